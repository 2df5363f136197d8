import { HubError } from '../domain/errors.ts'
import type { SettingsEdit } from '../domain/settings-revision.ts'
import { isObject } from '../mcp/json-rpc.ts'
import { type Config, groupsIn, noServer, serversIn } from './document.ts'
import type { SettingsDocument } from './ports.ts'

/** What of a server's lists can be switched off or described anew, as the settings call it. */
export type ItemKind = 'tools' | 'prompts' | 'resources'

const DEFAULT_SEPARATOR = '-'

/** @throws HubError `resource.exists` */
export function createServer(document: SettingsDocument, name: string, config: Config): SettingsEdit[] {
  if (serversIn(document).has(name))
    throw new HubError('resource.exists', `There is a server ${JSON.stringify(name)} already.`, {
      cure: `Choose another name, or change it with PUT /api/servers/${encodeURIComponent(name)}.`,
    })
  return [{ path: ['mcpServers', name], value: config }]
}

/** The server as it is stored. @throws HubError `resource.missing` */
export function storedServer(document: SettingsDocument, name: string): Config {
  const stored = serversIn(document).get(name)
  if (!stored) throw noServer(name)
  return stored
}

/** Who owns a server, since when, and who sees it stays as it is unless the update says otherwise. */
export function mergeServer(stored: Config, update: Config): Config {
  const kept = KEPT.filter((key) => stored[key] !== undefined && update[key] === undefined)
  return { ...update, ...Object.fromEntries(kept.map((key) => [key, stored[key]])) }
}

const KEPT = [
  'owner',
  'visibility',
  'sharedWithUsers',
  'createdAt',
  // Clients that know of no cluster must not scale a server back by changing its description.
  'replicas',
  'affinity',
  'strategy',
  'autoscale',
  'stateLoss',
] as const

/**
 * A server under another name: groups and the keys of the document that name it follow.
 * @throws HubError `resource.exists`
 */
export function renameServer(
  document: SettingsDocument,
  from: string,
  to: string,
  config: Config,
): SettingsEdit[] {
  if (from === to) return [{ path: ['mcpServers', from], value: config }]
  return [
    ...createServer(document, to, config),
    { path: ['mcpServers', from], value: undefined },
    ...memberEdits(document, (name) => (name === from ? to : name)),
    ...keyEdits(document, from, to),
  ]
}

/** Without a server: groups lose it as a member. */
export function deleteServer(document: SettingsDocument, name: string): SettingsEdit[] {
  return [
    { path: ['mcpServers', name], value: undefined },
    ...memberEdits(document, (member) => (member === name ? undefined : member)),
  ]
}

/** The name of a member of a group, which may stand there with more about it. */
export function memberName(member: unknown): string | undefined {
  if (typeof member === 'string') return member
  return isObject(member) && typeof member['name'] === 'string' ? member['name'] : undefined
}

/** Gives members other names; `undefined` removes them. */
function memberEdits(
  document: SettingsDocument,
  rename: (name: string) => string | undefined,
): SettingsEdit[] {
  return groupsIn(document).flatMap(({ index, group }) => {
    const members: unknown[] = Array.isArray(group['servers']) ? group['servers'] : []
    const renamed = members.flatMap((member) => {
      const name = memberName(member)
      if (name === undefined) return [member]
      const next = rename(name)
      if (next === undefined) return []
      if (next === name) return [member]
      return [isObject(member) ? { ...member, name: next } : next]
    })
    const same = renamed.length === members.length && renamed.every((member, at) => member === members[at])
    return same ? [] : [{ path: ['groups', index, 'servers'], value: renamed }]
  })
}

function keyEdits(document: SettingsDocument, from: string, to: string): SettingsEdit[] {
  const keys: unknown[] = Array.isArray(document['bearerKeys']) ? document['bearerKeys'] : []
  return keys.flatMap((key, index) => {
    const allowed: unknown = isObject(key) ? key['allowedServers'] : undefined
    if (!Array.isArray(allowed) || !allowed.includes(from)) return []
    const renamed = allowed.map((name: unknown) => (name === from ? to : name))
    return [{ path: ['bearerKeys', index, 'allowedServers'], value: renamed }]
  })
}

/** What the operator says about one tool, prompt or resource of a server; `undefined` takes it back. */
export function editItem(
  document: SettingsDocument,
  item: { readonly server: string; readonly kind: ItemKind; readonly name: string },
  change: { readonly enabled?: boolean; readonly description?: string | undefined },
): SettingsEdit[] {
  const stored = storedServer(document, item.server)
  const key = overrideKey(document, stored, item)
  return Object.entries(change).map(([member, value]) => ({
    path: ['mcpServers', item.server, item.kind, key, member],
    value,
  }))
}

/** MCPHub stores some names behind the server's; an override that is there is the one to be changed. */
function overrideKey(
  document: SettingsDocument,
  stored: Config,
  { server, kind, name }: { readonly server: string; readonly kind: ItemKind; readonly name: string },
): string {
  const overrides = stored[kind]
  const prefixed = `${server}${separatorOf(document)}${name}`
  const known = isObject(overrides) ? overrides : {}
  return !Object.hasOwn(known, name) && Object.hasOwn(known, prefixed) ? prefixed : name
}

function separatorOf({ systemConfig }: SettingsDocument): string {
  const separator = isObject(systemConfig) ? systemConfig['nameSeparator'] : undefined
  return typeof separator === 'string' ? separator : DEFAULT_SEPARATOR
}
