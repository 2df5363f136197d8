import type { HubError } from '../../domain/errors.ts'
import type { KeyScope, KeySpec } from '../../domain/server-spec.ts'
import { expand, type Variables } from './expand.ts'
import type { KeyInput, SettingsInput } from './schema.ts'

type Path = readonly (string | number)[]

/** Says what is wrong with the value at a path of the document. */
export interface Complaints {
  invalid(path: Path, why: string): HubError
  warn(path: Path, what: string): void
}

const LEGACY: Path = ['systemConfig', 'routing', 'bearerAuthKey']
const SHORTEST_TOKEN = 8

/**
 * The keys that are switched on, with their tokens expanded.
 * @throws HubError `settings.invalid`; never with a token in its text
 */
export function interpretKeys(
  { bearerKeys = [], systemConfig }: SettingsInput,
  variables: Variables,
  complaints: Complaints,
): KeySpec[] {
  const keys: KeySpec[] = []
  for (const [index, input] of bearerKeys.entries()) {
    if (input.enabled === false) continue
    const path = ['bearerKeys', index, 'token']
    const token = expandToken(input.token, variables, path, complaints)
    const twin = keys.find((key) => key.token === token)
    if (twin)
      throw complaints.invalid(path, `this is the token of the key ${JSON.stringify(twin.name)} already`)
    const id = input.id ?? input.name ?? `key-${index + 1}`
    keys.push({ id, name: input.name ?? id, token, scope: scopeOf(input) })
  }
  const single = systemConfig?.routing?.bearerAuthKey
  if (!single) return keys
  const token = expandToken(single, variables, LEGACY, complaints)
  const known = bearerKeys.some((input) => readToken(input.token, variables).token === token)
  // MCPHub copies this key into "bearerKeys", where it may since have been narrowed or switched off.
  if (known) complaints.warn(LEGACY, 'this token is in "bearerKeys" too; what stands there counts')
  else keys.push({ id: 'bearerAuthKey', name: 'bearerAuthKey', token, scope: { kind: 'all' } })
  return keys
}

function expandToken(text: string, variables: Variables, path: Path, complaints: Complaints): string {
  const { token, missing } = readToken(text, variables)
  // A token with a hole in it would be easier to guess than it looks.
  if (missing !== undefined) throw complaints.invalid(path, `\${${missing}} is not set`)
  if (token.length < SHORTEST_TOKEN)
    throw complaints.invalid(path, `a key needs at least ${SHORTEST_TOKEN} characters`)
  return token
}

function readToken(text: string, variables: Variables): { token: string; missing: string | undefined } {
  const { text: expanded, missing } = expand(text, variables)
  // A header never carries the spaces around a token.
  return { token: expanded.trim(), missing: missing[0] }
}

/** Without a type the lists count as soon as one is there: who writes them wants less than everything. */
function scopeOf({ accessType, allowedGroups, allowedServers }: KeyInput): KeyScope {
  const type = accessType ?? ((allowedGroups ?? allowedServers) ? 'custom' : 'all')
  if (type === 'all') return { kind: 'all' }
  return {
    kind: 'some',
    groups: new Set(type === 'servers' ? [] : (allowedGroups ?? [])),
    servers: new Set(type === 'groups' ? [] : (allowedServers ?? [])),
  }
}
