import { HubError } from '../../domain/errors.ts'
import * as contract from '../contract/groups.ts'
import { changeAnswer, changeQuery } from '../contract/shared.ts'
import { type Config, noServer } from '../document.ts'
import { editGroup, membersOf } from '../group-edits.ts'
import type { SettingsDocument } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'
import { memberName } from '../server-edits.ts'
import { changed, changeSettings } from '../settings-change.ts'
import { changeableGroup, shownMembers, visibleGroup, wholeMember, withHidden } from './groups.ts'

const change = {
  permission: 'groups:write',
  query: changeQuery,
  answer: changeAnswer,
  ifMatch: true,
} as const

/** The members of a group, and what of each it shows. */
export const memberRoutes: readonly Route[] = [
  route({
    name: 'groups.members',
    method: 'GET',
    path: '/api/groups/:id/servers',
    permission: 'groups:read',
    summary: 'The names of the servers of a group',
    params: contract.groupParams,
    answer: contract.memberParams.shape.server.array(),
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      const members = shownMembers(context, document, visibleGroup(context, document).group)
      return { data: members.flatMap((member) => memberName(member) ?? []), etag }
    },
  }),
  route({
    ...change,
    name: 'groups.members.add',
    method: 'POST',
    path: '/api/groups/:id/servers',
    summary: 'Add a server to a group',
    params: contract.groupParams,
    body: contract.newMember,
    audit: 'group:{id}',
    handle: async (context) => {
      const { serverName } = context.body
      const outcome = await changeSettings(context, (document) => {
        const stored = changeableGroup(context, document)
        const shown = shownMembers(context, document, stored.group)
        if (shown.some((member) => memberName(member) === serverName))
          throw new HubError('resource.exists', `The group has ${JSON.stringify(serverName)} already.`, {
            cure: 'Nothing needs to be done.',
          })
        return editGroup(stored, {
          servers: withHidden(context, document, stored.group, [...shown, serverName]),
        })
      })
      return changed(context, outcome, 'The server was added to the group.')
    },
  }),
  route({
    ...change,
    name: 'groups.members.replace',
    method: 'PUT',
    path: '/api/groups/:id/servers/batch',
    summary: 'Give a group other servers',
    params: contract.groupParams,
    body: contract.membersBody,
    audit: 'group:{id}',
    handle: async (context) => {
      const outcome = await changeSettings(context, (document) => {
        const stored = changeableGroup(context, document)
        return editGroup(stored, {
          servers: withHidden(context, document, stored.group, context.body.servers),
        })
      })
      return changed(context, outcome, 'The group has other servers now.')
    },
  }),
  route({
    ...change,
    name: 'groups.members.remove',
    method: 'DELETE',
    path: '/api/groups/:id/servers/:server',
    summary: 'Take a server out of a group',
    params: contract.memberParams,
    audit: 'group:{id}',
    handle: async (context) => {
      const { server } = context.params
      const outcome = await changeSettings(context, (document) => {
        const stored = changeableGroup(context, document)
        requireMember(context, document, stored.group)
        const rest = membersOf(stored.group).filter((member) => memberName(member) !== server)
        return editGroup(stored, { servers: rest })
      })
      return changed(context, outcome, 'The server was taken out of the group.')
    },
  }),
  route({
    name: 'groups.configs',
    method: 'GET',
    path: '/api/groups/:id/server-configs',
    permission: 'groups:read',
    summary: 'The servers of a group with what of each it shows',
    params: contract.groupParams,
    answer: contract.member.array(),
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      const { group } = visibleGroup(context, document)
      return { data: shownMembers(context, document, group).map(wholeMember), etag }
    },
  }),
  route({
    name: 'groups.config',
    method: 'GET',
    path: '/api/groups/:id/server-configs/:server',
    permission: 'groups:read',
    summary: 'One server of a group with what of it the group shows',
    params: contract.memberParams,
    answer: contract.member,
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      const { group } = visibleGroup(context, document)
      return { data: requireMember(context, document, group), etag }
    },
  }),
  route({
    ...change,
    name: 'groups.config.tools',
    method: 'PUT',
    path: '/api/groups/:id/server-configs/:server/tools',
    summary: 'Say which tools of a server a group shows',
    params: contract.memberParams,
    body: contract.memberTools,
    audit: 'group:{id}',
    handle: async (context) => {
      const { params, body } = context
      const outcome = await changeSettings(context, (document) => {
        const stored = changeableGroup(context, document)
        const found = requireMember(context, document, stored.group)
        const servers = membersOf(stored.group).map((member) =>
          memberName(member) === params.server ? { ...found, tools: body.tools } : member,
        )
        return editGroup(stored, { servers })
      })
      return changed(context, outcome, 'The group shows other tools now.')
    },
  }),
]

/** @throws HubError `resource.missing` */
function requireMember(
  context: Context<{ server: string }>,
  document: SettingsDocument,
  group: Config,
): Config {
  const { server } = context.params
  const member = shownMembers(context, document, group).find((each) => memberName(each) === server)
  if (member === undefined) throw noServer(server)
  return wholeMember(member)
}
