import { mayChange } from '../../access/permissions.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { keyOf } from '../../gateway/catalog/listing.ts'
import * as contract from '../contract/servers.ts'
import { changeAnswer, changeQuery, nothing } from '../contract/shared.ts'
import * as tools from '../contract/tools.ts'
import { noServer, ownershipOf, serversIn } from '../document.ts'
import { allows, seesServer } from '../identity.ts'
import { eventsOf, linesOf } from '../log-lines.ts'
import type { SettingsDocument } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'
import { editItem, type ItemKind } from '../server-edits.ts'
import { changed, changeSettings } from '../settings-change.ts'
import { changeable, prepare } from './servers.ts'

/** What can be done with a server that is there, and with its tools, prompts and resources. */
export const serverWorkRoutes: readonly Route[] = [
  route({
    name: 'servers.reload',
    method: 'POST',
    path: '/api/servers/:name/reload',
    permission: 'servers:write',
    summary: 'Start a server anew, or connect to it again',
    params: contract.serverParams,
    answer: nothing,
    audit: 'server:{name}',
    handle: async (context) => {
      const { services, params } = context
      const { document } = await services.settings.current()
      reloadable(context, document, params.name)
      await services.servers.reload(params.name)
      return { message: 'The server is started anew.' }
    },
  }),
  route({
    name: 'servers.test-connect',
    method: 'POST',
    path: '/api/servers/test-connect',
    permission: 'servers:write',
    summary: 'Try a configuration without storing it',
    body: contract.testConnect,
    answer: contract.connectReport,
    audit: 'server:{name}',
    handle: async (context) => {
      const { services, body, signal } = context
      const { document } = await services.settings.current()
      const stored = body.name === undefined ? {} : changeable(context, document, body.name)
      const name = body.name ?? 'test'
      const config = prepare(context, { config: body.config ?? stored, stored, name })
      return { data: await services.servers.testConnect(config, signal), message: 'The server answers.' }
    },
  }),
  route({
    name: 'servers.logs',
    method: 'GET',
    path: '/api/servers/:name/logs',
    permission: 'servers:read',
    summary: 'The last lines that a server wrote; with follow, those to come as server-sent events',
    params: contract.serverParams,
    query: contract.logsQuery,
    answer: contract.logLine.array(),
    streams: ['text/event-stream'],
    handle: async (context) => {
      const { services, identity, params, query, signal } = context
      const { document } = await services.settings.current()
      const config = serversIn(document).get(params.name)
      const owned = config ? ownershipOf(config) : broughtAlong(context, params.name)
      if (!owned || !seesServer(identity, params.name, owned)) throw noServer(params.name)
      // Logs tell more than lists do: they are the owner's, and of those who may read all logs.
      if (!mayChange(identity, owned) || !allows(services.auth, identity, 'servers:write'))
        services.auth.authorize(identity, 'logs:read')
      const recent = services.logs.recent(query.limit, params.name)
      if (!query.follow) return { data: linesOf(recent) }
      return eventsOf(recent, services.logs.follow(signal, params.name))
    },
  }),
  route({
    name: 'tools.call',
    method: 'POST',
    path: '/api/tools/call/:server',
    permission: 'tools:call',
    summary: 'Call a tool of a server',
    params: tools.callParams,
    body: tools.call,
    answer: tools.callAnswer,
    changes: false,
    handle: async (context) => {
      const { services, identity, params, body, credentials, signal } = context
      const { toolName: tool, arguments: args } = body
      const result = await services.tools.call(identity, {
        server: params.server,
        tool,
        arguments: args,
        ip: credentials.ip,
        userAgent: credentials.headers['user-agent'],
        signal,
      })
      return { data: { ...result, toolName: tool, arguments: args } }
    },
  }),
  ...(['tools', 'prompts', 'resources'] as const).flatMap(itemRoutes),
]

function itemRoutes(kind: ItemKind): Route[] {
  const base = {
    permission: 'servers:write',
    params: contract.toolParams,
    query: changeQuery,
    answer: changeAnswer,
    ifMatch: true,
    audit: `server:{server}/${kind}/{item}`,
  } as const
  const one = kind.slice(0, -1)
  const path = `/api/servers/:server/${kind}/:item`
  return [
    route({
      ...base,
      name: `${kind}.toggle`,
      method: 'POST',
      path: `${path}/toggle`,
      summary: `Switch a ${one} of a server on or off`,
      body: contract.toggle,
      handle: (context) => changeItem(context, kind, { enabled: context.body.enabled }),
    }),
    route({
      ...base,
      name: `${kind}.describe`,
      method: 'PUT',
      path: `${path}/description`,
      summary: `Describe a ${one} of a server in other words`,
      body: contract.description,
      handle: (context) => changeItem(context, kind, { description: context.body.description }),
    }),
    route({
      ...base,
      name: `${kind}.undescribe`,
      method: 'DELETE',
      path: `${path}/description`,
      summary: `Show the server's own description of a ${one} again`,
      handle: (context) => changeItem(context, kind, { description: undefined }),
    }),
  ]
}

interface ItemParams {
  readonly server: string
  readonly item: string
}

type ItemContext = Context<ItemParams, Parameters<typeof changeSettings>[0]['query']>

async function changeItem(
  context: ItemContext,
  kind: ItemKind,
  change: { enabled?: boolean; description?: string | undefined },
) {
  const { server, item } = context.params
  const outcome = await changeSettings(context, (document) => {
    const stored = changeable(context, document, server)
    requireItem(context, kind, stored)
    return editItem(document, { server, kind, name: item }, change)
  })
  return changed(context, outcome, 'The server was changed.')
}

/** An item that the server lists or the settings name; of a server whose lists nobody has seen, any. */
function requireItem({ hub, params }: ItemContext, kind: ItemKind, stored: object): void {
  const { server, item } = params
  const listing = hub.listing(server)
  if (!listing || listing[kind].some((each) => keyOf(kind, each) === item)) return
  const overrides: unknown = Object.entries(stored).find(([key]) => key === kind)?.[1]
  if (typeof overrides === 'object' && overrides !== null && Object.hasOwn(overrides, item)) return
  throw new HubError('resource.missing', `The server has no ${kind.slice(0, -1)} ${JSON.stringify(item)}.`, {
    cure: `GET /api/servers/${encodeURIComponent(server)} lists what it has.`,
  })
}

/** A server that the settings do not have: a worker has brought it. */
function broughtAlong({ hub }: Context, name: string): ServerSpec | undefined {
  return hub.settings().servers.get(name)
}

/** @throws HubError `resource.missing` or `access.denied` */
function reloadable(context: Context, document: SettingsDocument, name: string): void {
  const { identity } = context
  const brought = serversIn(document).has(name) ? undefined : broughtAlong(context, name)
  if (!brought || !seesServer(identity, name, brought)) changeable(context, document, name)
  else if (!mayChange(identity, brought))
    throw new HubError(
      'access.denied',
      `The server ${JSON.stringify(name)} is not yours: a worker has brought it.`,
      {
        cure: 'Ask its owner or an administrator.',
      },
    )
}
