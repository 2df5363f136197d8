import type { HubError } from '../../domain/errors.ts'
import { FULL_SCOPE, type KeyScope } from '../../domain/key-scope.ts'
import type { KeySpec } from '../../domain/server-spec.ts'
import { hashOfDeclared } from '../../domain/tokens.ts'
import { resolveSecret, type Sources, whyMissing } from './expand.ts'
import type { KeyInput, SettingsInput } from './schema.ts'

type Path = readonly (string | number)[]

/** Says what is wrong with the value at a path of the document. */
export interface Complaints {
  invalid(path: Path, why: string): HubError
  warn(path: Path, what: string): void
  unreadable(path: Path, error: unknown): HubError
}

const LEGACY: Path = ['systemConfig', 'routing', 'bearerAuthKey']
const SHORTEST_TOKEN = 8

/**
 * The keys that are switched on, with their tokens expanded.
 * @throws HubError `settings.invalid`; never with a token in its text
 */
export function interpretKeys(
  { bearerKeys = [], systemConfig }: SettingsInput,
  sources: Sources,
  complaints: Complaints,
): KeySpec[] {
  const keys: KeySpec[] = []
  for (const [index, input] of bearerKeys.entries()) {
    if (input.enabled === false) continue
    const path = ['bearerKeys', index, 'token']
    const token = expandToken(input.token, sources, path, complaints)
    const twin = keys.find((key) => sameToken(key.token, token))
    if (twin)
      throw complaints.invalid(path, `this is the token of the key ${JSON.stringify(twin.name)} already`)
    const id = input.id ?? input.name ?? `key-${index + 1}`
    if (input.kind === 'user' && !input.owner)
      complaints.warn(['bearerKeys', index], 'a key of kind "user" needs an "owner"; it opens nothing')
    else keys.push({ id, name: input.name ?? id, token, ...rightsOf(input) })
  }
  const single = systemConfig?.routing?.bearerAuthKey
  if (!single) return keys
  const token = expandToken(single, sources, LEGACY, complaints)
  const known = bearerKeys.some((input) => tokenOf(input, sources) === token)
  // MCPHub copies this key into "bearerKeys", where it may since have been narrowed or switched off.
  if (known) complaints.warn(LEGACY, 'this token is in "bearerKeys" too; what stands there counts')
  else keys.push({ id: 'bearerAuthKey', name: 'bearerAuthKey', token, ...rightsOf({ token: single }) })
  return keys
}

function expandToken(text: string, sources: Sources, path: Path, complaints: Complaints): string {
  const { token, missing } = readToken(text, sources, path, complaints)
  // A token with a hole in it would be easier to guess than it looks.
  if (missing !== undefined) throw complaints.invalid(path, whyMissing(missing))
  if (token.length < SHORTEST_TOKEN)
    throw complaints.invalid(path, `a key needs at least ${SHORTEST_TOKEN} characters`)
  return token
}

function readToken(
  text: string,
  sources: Sources,
  path: Path,
  complaints: Complaints,
): { token: string; missing: string | undefined } {
  try {
    const { text: expanded, missing } = resolveSecret(text, sources)
    // A header never carries the spaces around a token.
    return { token: expanded.trim(), missing: missing[0] }
  } catch (error) {
    throw complaints.unreadable(path, error)
  }
}

/** Undefined for one that cannot be opened; only a key that is switched off gets this far with such a token. */
function tokenOf({ token }: KeyInput, sources: Sources): string | undefined {
  try {
    return resolveSecret(token, sources).text.trim()
  } catch {
    // What it says does not matter, for it opens nothing.
    return undefined
  }
}

/** One may be written as its hash and the other not. */
function sameToken(a: string, b: string): boolean {
  return hashOfDeclared(a) === hashOfDeclared(b)
}

function rightsOf(input: KeyInput): Omit<KeySpec, 'id' | 'name' | 'token'> {
  const scope = scopeOf(input)
  // MCPHub gives only keys of kind "user" to their owner; without a kind the owner counts: that opens less.
  const owner = (input.kind !== 'system' && input.owner) || undefined
  return {
    scope,
    owner,
    // A key for everything may also look at everything. Changing things must be said.
    rest: input.rest ?? (scope.kind === 'all' && owner === undefined ? 'read' : 'none'),
    grants: input.grants ?? [],
    expiresAt:
      typeof input.expiresAt === 'string' ? Date.parse(input.expiresAt) : (input.expiresAt ?? undefined),
    requestsPerMinute: input.requestsPerMinute ?? undefined,
    maxConcurrent: input.maxConcurrent ?? undefined,
  }
}

/** Without a type the lists count as soon as one is there: who writes them wants less than everything. */
function scopeOf({ accessType, allowedGroups, allowedServers, allowedTools }: KeyInput): KeyScope {
  const type = accessType ?? ((allowedGroups ?? allowedServers ?? allowedTools) ? 'custom' : 'all')
  if (type === 'all') return FULL_SCOPE
  const counts = (list: typeof type) => type === list || type === 'custom'
  return {
    kind: 'some',
    groups: new Set(counts('groups') ? allowedGroups : []),
    servers: new Set(counts('servers') ? allowedServers : []),
    tools: new Map(
      Object.entries((counts('tools') && allowedTools) || {}).map(([server, tools]) => [
        server,
        new Set(tools),
      ]),
    ),
  }
}
