import { HubError } from '../domain/errors.ts'
import type { SettingsEdit } from '../domain/settings-revision.ts'
import { type Config, groupsIn, noGroup, serversIn } from './document.ts'
import type { SettingsDocument } from './ports.ts'
import { memberName } from './server-edits.ts'

/** A group as it is stored, by its id or name. */
export interface StoredGroup {
  readonly index: number
  readonly group: Config
}

/** @throws HubError `resource.missing` */
export function storedGroup(document: SettingsDocument, idOrName: string): StoredGroup {
  const groups = groupsIn(document)
  const found =
    groups.find(({ group }) => group['id'] === idOrName) ??
    groups.find(({ group }) => group['name'] === idOrName)
  if (!found) throw noGroup(idOrName)
  return found
}

export function membersOf(group: Config): readonly unknown[] {
  return Array.isArray(group['servers']) ? group['servers'] : []
}

/** @throws HubError `resource.exists` */
export function requireFreeName(document: SettingsDocument, name: string, but?: number): void {
  const taken = groupsIn(document).some(
    ({ index, group }) => index !== but && (group['name'] === name || group['id'] === name),
  )
  if (taken)
    throw new HubError('resource.exists', `There is a group ${JSON.stringify(name)} already.`, {
      cure: 'Choose another name; ids of groups count as names too.',
    })
}

/** Groups at the end of the list, which may not be there yet. */
export function appendGroups(document: SettingsDocument, groups: readonly Config[]): SettingsEdit[] {
  const { groups: stored } = document
  if (!Array.isArray(stored)) return [{ path: ['groups'], value: groups }]
  return groups.map((group, at) => ({ path: ['groups', stored.length + at], value: group }))
}

/** Members of a group with other values; `undefined` removes one. */
export function editGroup({ index, group }: StoredGroup, changes: Config): SettingsEdit[] {
  return Object.entries(changes)
    .filter(([key, value]) => value !== group[key])
    .map(([key, value]) => ({ path: ['groups', index, key], value }))
}

/**
 * Servers that may become members: they exist, and `visible` lets them through.
 * @throws HubError `resource.missing`
 */
export function requireMembers(
  document: SettingsDocument,
  members: readonly unknown[],
  visible: (name: string, config: Config) => boolean,
): void {
  const servers = serversIn(document)
  for (const member of members) {
    const name = memberName(member) ?? ''
    const config = servers.get(name)
    // Somebody else's private server is none for whoever may not see it.
    if (config && visible(name, config)) continue
    throw new HubError('resource.missing', `There is no server ${JSON.stringify(name)} to be a member.`, {
      cure: 'GET /api/servers lists them.',
    })
  }
}

/** @throws HubError `request.invalid-params` when a server is a member twice */
export function requireDistinct(members: readonly unknown[]): void {
  const seen = new Set<string | undefined>()
  for (const name of members.map(memberName)) {
    if (seen.has(name))
      throw new HubError('request.invalid-params', `The server ${JSON.stringify(name)} is named twice.`, {
        cure: 'Name each server once.',
      })
    seen.add(name)
  }
}
