import { mayChange } from '../../access/permissions.ts'
import { HubError } from '../../domain/errors.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import * as contract from '../contract/groups.ts'
import { batchBeside, changeAnswer, changeQuery } from '../contract/shared.ts'
import { type Config, groupsIn, noGroup, ownershipOf, serversIn } from '../document.ts'
import {
  appendGroups,
  editGroup,
  membersOf,
  requireDistinct,
  requireFreeName,
  requireMembers,
  type StoredGroup,
  storedGroup,
} from '../group-edits.ts'
import { requireFullScope, requireOwner, seesGroup, seesServer } from '../identity.ts'
import type { SettingsDocument } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'
import { memberName } from '../server-edits.ts'
import { type ChangeQuery, changed, changeSettings, made } from '../settings-change.ts'

type NewGroup = Config & { readonly name: string; readonly servers: readonly unknown[] }

/** Groups of servers. `:id` is a group's id or its name. */
export const groupRoutes: readonly Route[] = [
  route({
    name: 'groups.list',
    method: 'GET',
    path: '/api/groups',
    permission: 'groups:read',
    summary: 'All groups that you may see',
    answer: contract.group.array(),
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      const visible = groupsIn(document).filter(({ group }) => seesGroup(context.identity, group))
      return { data: visible.map(({ group }) => viewOf(context, document, group)), etag }
    },
  }),
  route({
    name: 'groups.get',
    method: 'GET',
    path: '/api/groups/:id',
    permission: 'groups:read',
    summary: 'One group',
    params: contract.groupParams,
    answer: contract.group,
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      return { data: viewOf(context, document, visibleGroup(context, document).group), etag }
    },
  }),
  route({
    name: 'groups.create',
    method: 'POST',
    path: '/api/groups',
    permission: 'groups:write',
    summary: 'Make a group',
    query: changeQuery,
    body: contract.newGroup,
    answer: changeAnswer.extend({ id: contract.group.shape.id }),
    statuses: [200, 201],
    ifMatch: true,
    audit: 'group:{name}',
    handle: async (context) => {
      const id = context.uuid()
      const outcome = await changeSettings(context, (document) =>
        appendGroups(document, [newGroup(context, document, context.body, id)]),
      )
      return made(context, changed(context, outcome, 'The group was made.', { id }))
    },
  }),
  route({
    name: 'groups.batch',
    method: 'POST',
    path: '/api/groups/batch',
    permission: 'groups:write',
    summary: 'Make several groups in one change; those that cannot be made are named in the results',
    query: changeQuery,
    body: contract.newGroups,
    answer: changeAnswer,
    beside: batchBeside,
    ifMatch: true,
    audit: 'groups',
    handle: createMany,
  }),
  route({
    name: 'groups.update',
    method: 'PUT',
    path: '/api/groups/:id',
    permission: 'groups:write',
    summary: 'Change what is given of a group; the rest stays',
    params: contract.groupParams,
    query: changeQuery,
    body: contract.groupUpdate,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'group:{id}',
    handle: async (context) => {
      const outcome = await changeSettings(context, (document) => {
        const stored = changeableGroup(context, document)
        const { name, servers, owner } = context.body
        if (name !== undefined) requireFreeName(document, name, stored.index)
        if (owner !== undefined) requireOwner(context.identity, owner, stored.group)
        const members = servers && { servers: withHidden(context, document, stored.group, servers) }
        return editGroup(stored, { ...context.body, ...members })
      })
      return changed(context, outcome, 'The group was changed.')
    },
  }),
  route({
    name: 'groups.delete',
    method: 'DELETE',
    path: '/api/groups/:id',
    permission: 'groups:write',
    summary: 'Remove a group; its servers stay',
    params: contract.groupParams,
    query: changeQuery,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'group:{id}',
    handle: async (context) => {
      const outcome = await changeSettings(context, (document) => [
        { path: ['groups', changeableGroup(context, document).index], value: undefined },
      ])
      return changed(context, outcome, 'The group was removed.')
    },
  }),
]

/** A group that the identity may see. @throws HubError `resource.missing` */
export function visibleGroup(context: Context<{ id: string }>, document: SettingsDocument): StoredGroup {
  const stored = storedGroup(document, context.params.id)
  if (!seesGroup(context.identity, stored.group)) throw noGroup(context.params.id)
  return stored
}

/** @throws HubError `resource.missing` or `access.denied` */
export function changeableGroup(context: Context<{ id: string }>, document: SettingsDocument): StoredGroup {
  const stored = visibleGroup(context, document)
  if (!mayChange(context.identity, ownershipOf(stored.group)))
    throw new HubError('access.denied', 'This group belongs to somebody else.', {
      cure: 'Ask its owner or an administrator.',
    })
  return stored
}

/** Members as somebody may see them: those of servers that are shown to them. */
export function shownMembers(context: Context, document: SettingsDocument, group: Config): unknown[] {
  return membersOf(group).filter((member) => !isHidden(context, document, member))
}

/**
 * New members, and those that were there unseen: what somebody does not see they do not remove.
 * @throws HubError `resource.missing` or `request.invalid-params`
 */
export function withHidden(
  context: Context,
  document: SettingsDocument,
  group: Config,
  members: readonly unknown[],
): unknown[] {
  requireDistinct(members)
  // A member whose server is gone may stay until it is taken out.
  const before = new Set(shownMembers(context, document, group).map(memberName))
  const fresh = members.filter((member) => !before.has(memberName(member)))
  requireMembers(document, fresh, (name, config) => seesServer(context.identity, name, ownershipOf(config)))
  return [...members, ...membersOf(group).filter((member) => isHidden(context, document, member))]
}

function isHidden(context: Context, document: SettingsDocument, member: unknown): boolean {
  const name = memberName(member) ?? ''
  const config = serversIn(document).get(name)
  return config !== undefined && !seesServer(context.identity, name, ownershipOf(config))
}

function viewOf(context: Context, document: SettingsDocument, group: Config): Config {
  const id = group['id'] ?? group['name']
  return { ...group, id, servers: shownMembers(context, document, group) }
}

/** @throws HubError `resource.exists`, `resource.missing` or `access.denied` */
function newGroup(context: Context, document: SettingsDocument, input: NewGroup, id: string): Config {
  const { identity } = context
  requireFullScope(identity)
  requireFreeName(document, input.name)
  requireDistinct(input.servers)
  requireMembers(document, input.servers, (name, config) => seesServer(identity, name, ownershipOf(config)))
  const given = ownershipOf(input).owner
  if (given !== undefined) requireOwner(identity, given, {})
  const owner = identity.viewer ?? given ?? identity.username
  return { id, ...input, ...(owner === undefined ? {} : { owner }) }
}

async function createMany(context: Context<unknown, ChangeQuery, { groups: NewGroup[] }>) {
  let results: { name: string; success: boolean; message?: string }[] = []
  const outcome = await changeSettings(context, (document) => {
    results = []
    const made: Config[] = []
    for (const input of context.body.groups) {
      try {
        // The ones before are not in the document yet.
        requireFreeName({ groups: made }, input.name)
        made.push(newGroup(context, document, input, context.uuid()))
        results.push({ name: input.name, success: true })
      } catch (error) {
        // What is wrong with one is told in its result and does not hold up the others.
        if (!(error instanceof HubError)) throw error
        results.push({ name: input.name, success: false, message: error.message })
      }
    }
    return made.length === 0 ? [] : appendGroups(document, made)
  })
  const successCount = results.filter(({ success }) => success).length
  const failureCount = results.length - successCount
  return {
    ...changed(context, outcome, `${successCount} of ${results.length} groups were made.`),
    success: successCount > 0,
    beside: { successCount, failureCount, results },
  }
}

/** A member with all that can be said about it. */
export function wholeMember(member: unknown): Config {
  return isObject(member) ? member : { name: String(member) }
}
