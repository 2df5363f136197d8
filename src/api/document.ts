import { HubError } from '../domain/errors.ts'
import type { Shareable } from '../domain/visibility.ts'
import { isObject } from '../mcp/json-rpc.ts'
import type { SettingsDocument } from './ports.ts'

export type Config = Readonly<Record<string, unknown>>

/** The servers of a settings document, as they stand there. */
export function serversIn(document: SettingsDocument): ReadonlyMap<string, Config> {
  const { mcpServers } = document
  if (!isObject(mcpServers)) return new Map()
  return new Map(
    Object.entries(mcpServers).flatMap(([name, config]) =>
      isObject(config) ? [[name, config] as const] : [],
    ),
  )
}

/** The groups of a settings document with the places at which they stand. */
export function groupsIn(document: SettingsDocument): { index: number; group: Config }[] {
  const { groups } = document
  if (!Array.isArray(groups)) return []
  return groups.flatMap((group: unknown, index) => (isObject(group) ? [{ index, group }] : []))
}

/** Who owns a server or group and who else may see it; what has an owner and no word on visibility is private. */
export function ownershipOf({ owner, visibility, sharedWithUsers }: Config): Shareable {
  const known = typeof owner === 'string' && owner !== '' ? owner : undefined
  const said = visibility === 'private' || visibility === 'group' || visibility === 'public'
  return {
    owner: known,
    visibility: said ? visibility : known === undefined ? 'public' : 'private',
    sharedWithUsers: Array.isArray(sharedWithUsers)
      ? sharedWithUsers.filter((name): name is string => typeof name === 'string')
      : [],
  }
}

/**
 * Whether a configuration may mean that a process is started. Without a type a URL would come first, but one that is
 * a variable may turn out empty: a command alone counts.
 */
export function isStdio({ type, command }: Config): boolean {
  return type === undefined ? command !== undefined : type === 'stdio'
}

export function noServer(name: string): HubError {
  return new HubError('resource.missing', `There is no server ${JSON.stringify(name.slice(0, 200))}.`, {
    cure: 'GET /api/servers lists them.',
  })
}

export function noGroup(id: string): HubError {
  return new HubError('resource.missing', `There is no group ${JSON.stringify(id.slice(0, 200))}.`, {
    cure: 'GET /api/groups lists them.',
  })
}
