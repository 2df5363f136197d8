import { mayChange } from '../../access/permissions.ts'
import { HubError, toHubError } from '../../domain/errors.ts'
import type { SettingsEdit } from '../../domain/settings-revision.ts'
import * as contract from '../contract/servers.ts'
import { batchBeside, changeAnswer, changeQuery } from '../contract/shared.ts'
import { type Config, isStdio, noServer, ownershipOf, serversIn } from '../document.ts'
import { allows, requireFullScope, requireOwner, seesServer } from '../identity.ts'
import type { SettingsDocument } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'
import { createServer, deleteServer, mergeServer, renameServer, storedServer } from '../server-edits.ts'
import { serverView } from '../server-views.ts'
import { changed, changeSettings, made } from '../settings-change.ts'

/** The servers of the document, and what they do now. */
export const serverRoutes: readonly Route[] = [
  route({
    name: 'servers.list',
    method: 'GET',
    path: '/api/servers',
    permission: 'servers:read',
    summary: 'All servers that you may see, with their state and what they offer',
    answer: contract.serverView.array(),
    handle: async (context) => {
      const { document, etag } = await context.services.settings.current()
      const configs = serversIn(document)
      const names = [...context.hub.settings().servers.keys()]
      return { data: names.flatMap((name) => viewOf(context, name, configs.get(name)) ?? []), etag }
    },
  }),
  route({
    name: 'servers.get',
    method: 'GET',
    path: '/api/servers/:name',
    permission: 'servers:read',
    summary: 'One server: configuration, state, why it is down, what it offers',
    params: contract.serverParams,
    answer: contract.serverView,
    handle: async (context) => {
      const { name } = context.params
      const { document, etag } = await context.services.settings.current()
      const view = viewOf(context, name, serversIn(document).get(name))
      if (!view) throw noServer(name)
      return { data: view, etag }
    },
  }),
  route({
    name: 'servers.create',
    method: 'POST',
    path: '/api/servers',
    permission: 'servers:write',
    summary: 'Add a server; one that is started as a process needs servers:launch',
    query: changeQuery,
    body: contract.newServer,
    answer: changeAnswer,
    statuses: [200, 201],
    ifMatch: true,
    audit: 'server:{name}',
    handle: async (context) => {
      const { name, config } = context.body
      const outcome = await changeSettings(context, (document) => createOne(context, document, name, config))
      return made(context, changed(context, outcome, 'The server was added.'))
    },
  }),
  route({
    name: 'servers.batch',
    method: 'POST',
    path: '/api/servers/batch',
    permission: 'servers:write',
    summary: 'Add several servers in one change; those that cannot be added are named in the results',
    query: changeQuery,
    body: contract.newServers,
    answer: changeAnswer,
    beside: batchBeside,
    ifMatch: true,
    audit: 'servers',
    handle: createMany,
  }),
  route({
    name: 'servers.update',
    method: 'PUT',
    path: '/api/servers/:name',
    permission: 'servers:write',
    summary: 'Replace the configuration of a server, and its name if one is given',
    params: contract.serverParams,
    query: changeQuery,
    body: contract.serverUpdate,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'server:{name}',
    handle: async (context) => {
      const { params, body } = context
      const outcome = await changeSettings(context, (document) => {
        const stored = changeable(context, document, params.name)
        const config = prepare(context, {
          config: mergeServer(stored, body.config),
          stored,
          name: params.name,
        })
        return renameServer(document, params.name, body.name ?? params.name, config)
      })
      return changed(context, outcome, 'The server was changed.')
    },
  }),
  route({
    name: 'servers.rename',
    method: 'POST',
    path: '/api/servers/:name/rename',
    permission: 'servers:write',
    summary: 'Give a server another name; groups and declared keys follow',
    params: contract.serverParams,
    query: changeQuery,
    body: contract.rename,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'server:{name}',
    handle: async (context) => {
      const { params, body } = context
      const outcome = await changeSettings(context, (document) => {
        const stored = changeable(context, document, params.name)
        requireLaunch(context, stored)
        return renameServer(document, params.name, body.name, stored)
      })
      return changed(context, outcome, 'The server was renamed.')
    },
  }),
  route({
    name: 'servers.delete',
    method: 'DELETE',
    path: '/api/servers/:name',
    permission: 'servers:write',
    summary: 'Remove a server, also from groups',
    params: contract.serverParams,
    query: changeQuery,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'server:{name}',
    handle: async (context) => {
      const { name } = context.params
      const outcome = await changeSettings(context, (document) => {
        changeable(context, document, name)
        return deleteServer(document, name)
      })
      return changed(context, outcome, 'The server was removed.')
    },
  }),
  route({
    name: 'servers.toggle',
    method: 'POST',
    path: '/api/servers/:name/toggle',
    permission: 'servers:write',
    summary: 'Switch a server on or off',
    params: contract.serverParams,
    query: changeQuery,
    body: contract.toggle,
    answer: changeAnswer,
    ifMatch: true,
    audit: 'server:{name}',
    handle: async (context) => {
      const { params, body } = context
      const outcome = await changeSettings(context, (document) => {
        const stored = changeable(context, document, params.name)
        if (body.enabled) requireLaunch(context, stored)
        return [{ path: ['mcpServers', params.name, 'enabled'], value: body.enabled }]
      })
      return changed(context, outcome, `The server was switched ${body.enabled ? 'on' : 'off'}.`)
    },
  }),
]

/** A server that the identity may change. @throws HubError `resource.missing` or `access.denied` */
export function changeable(context: Context, document: SettingsDocument, name: string): Config {
  const stored = storedServer(document, name)
  if (!seesServer(context.identity, name, ownershipOf(stored))) throw noServer(name)
  if (!mayChange(context.identity, ownershipOf(stored)))
    throw new HubError('access.denied', `The server ${JSON.stringify(name)} belongs to somebody else.`, {
      cure: 'Ask its owner or an administrator.',
    })
  return stored
}

/** A server as the identity may see it; undefined when it may not, or while the server is not in force. */
function viewOf(context: Context, name: string, config: Config | undefined): Config | undefined {
  const { hub, services, identity } = context
  const spec = hub.settings().servers.get(name)
  if (!spec || !seesServer(identity, name, spec)) return undefined
  const { stderr, ...view } = serverView(hub, spec)
  const own = mayChange(identity, spec)
  const written = own && config && allows(services.auth, identity, 'servers:write') ? config : undefined
  return {
    ...view,
    owner: spec.owner,
    visibility: spec.visibility,
    ...(readsStderr(context, own) ? { stderr } : {}),
    ...(written ? { config: maskOne(context, name, written) } : {}),
  }
}

/** Somebody's own servers tell them all. Who sees everything, such as whoever comes to an open hub, need not read logs. */
function readsStderr({ services, identity }: Context, own: boolean): boolean {
  return (own && identity.viewer !== undefined) || allows(services.auth, identity, 'logs:read')
}

function maskOne({ services }: Context, name: string, config: Config): Config {
  return serversIn(services.secrets.mask({ mcpServers: { [name]: config } })).get(name) ?? {}
}

function createOne(
  context: Context,
  document: SettingsDocument,
  name: string,
  config: Config,
): SettingsEdit[] {
  const { identity } = context
  requireFullScope(identity)
  // What somebody adds is theirs; only those who see everything may add in another's name.
  const owner = identity.viewer ?? ownershipOf(config).owner ?? identity.username
  const owned = owner === undefined ? config : { ...config, owner }
  const edits = createServer(document, name, owned)
  return edits.map((edit) => ({ ...edit, value: prepare(context, { config: owned, stored: {}, name }) }))
}

/**
 * A configuration as it may be stored: masked secrets are the stored ones again, and what starts a process was judged.
 * @throws HubError `access.denied`, `server.launch-denied`, `settings.invalid`
 */
export function prepare(
  context: Context,
  { config, stored, name }: { config: Config; stored: Config; name: string },
): Config {
  const { services, identity } = context
  requireOwner(identity, ownershipOf(config).owner, stored)
  const restored = services.secrets.restore(
    { mcpServers: { [name]: config } },
    { mcpServers: { [name]: stored } },
  )
  const complete = serversIn(restored).get(name) ?? config
  if (requireLaunch(context, complete)) services.launch.check(complete)
  return complete
}

/** Whether it is a process that is started; then that right is needed. @throws HubError `access.denied` */
function requireLaunch({ services, identity }: Context, config: Config): boolean {
  const stdio = isStdio(config)
  if (stdio) services.auth.authorize(identity, 'servers:launch')
  return stdio
}

async function createMany(
  context: Context<unknown, Parameters<typeof changeSettings>[0]['query'], { servers: Named[] }>,
) {
  let results: { name: string; success: boolean; message?: string }[] = []
  const outcome = await changeSettings(context, (document) => {
    const taken = new Set<string>()
    results = []
    return context.body.servers.flatMap(({ name, config }) => {
      try {
        if (taken.has(name)) throw new HubError('resource.exists', 'This name is in the batch twice.')
        const edits = createOne(context, document, name, config)
        taken.add(name)
        results.push({ name, success: true })
        return edits
      } catch (error) {
        // What is wrong with one is told in its result and does not hold up the others.
        const known = toHubError(error)
        if (known.code === 'internal') throw error
        results.push({ name, success: false, message: known.message })
        return []
      }
    })
  })
  const successCount = results.filter(({ success }) => success).length
  const failureCount = results.length - successCount
  return {
    ...changed(context, outcome, `${successCount} of ${results.length} servers were added.`),
    success: successCount > 0,
    beside: { successCount, failureCount, results },
  }
}

interface Named {
  readonly name: string
  readonly config: Config
}
