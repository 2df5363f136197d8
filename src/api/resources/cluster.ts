import { HubError } from '../../domain/errors.ts'
import { replicasView, sessionView, statusView } from '../cluster-views.ts'
import * as contract from '../contract/cluster.ts'
import { changeQuery, nothing } from '../contract/shared.ts'
import { showsSecrets } from '../identity.ts'
import type { ClusterPort, SettingsDocument } from '../ports.ts'
import { type ReplicasChange, replicasEdits } from '../replicas-edits.ts'
import { type Context, type Route, route } from '../route.ts'
import { changed, changeSettings } from '../settings-change.ts'
import { changeable } from './servers.ts'

/** The cluster as a whole, and what runs in it. */
export const clusterRoutes: readonly Route[] = [
  route({
    name: 'cluster.status',
    method: 'GET',
    path: '/api/cluster/status',
    permission: 'cluster:read',
    summary: 'The cluster in one look: nodes, replicas and sessions',
    answer: contract.status,
    handle: async (context) => ({
      data: statusView(context.services.cluster, showsSecrets(context.services.auth, context.identity)),
    }),
  }),
  route({
    name: 'cluster.replicas.list',
    method: 'GET',
    path: '/api/cluster/replicas',
    permission: 'cluster:read',
    summary: 'All servers, with how many replicas each is to have and where they are',
    answer: contract.allReplicas,
    handle: async ({ services: { cluster } }) => ({
      data: { servers: cluster.servers().flatMap((name) => replicasView(cluster, name) ?? []) },
    }),
  }),
  route({
    name: 'cluster.replicas.get',
    method: 'GET',
    path: '/api/cluster/replicas/:server',
    permission: 'cluster:read',
    summary: 'How many replicas a server is to have, and where they are',
    params: contract.serverParams,
    answer: contract.replicas,
    handle: async ({ services, params }) => ({ data: requireReplicas(services.cluster, params.server) }),
  }),
  route({
    name: 'cluster.servers.replicas',
    method: 'GET',
    path: '/api/cluster/servers/:name/replicas',
    permission: 'cluster:read',
    summary: 'The same as /api/cluster/replicas/:server',
    params: contract.nameParams,
    answer: contract.replicas,
    handle: async ({ services, params }) => ({ data: requireReplicas(services.cluster, params.name) }),
  }),
  route({
    name: 'cluster.replicas.set',
    method: 'PUT',
    path: '/api/cluster/replicas/:server',
    permission: 'cluster:write',
    summary: 'Set how many replicas a server has, where they run, and how sessions are spread over them',
    params: contract.serverParams,
    query: changeQuery,
    body: contract.replicasChange,
    answer: contract.replicasChanged,
    ifMatch: true,
    audit: 'server:{server}',
    handle: setReplicas,
  }),
  route({
    name: 'cluster.servers.restart',
    method: 'POST',
    path: '/api/cluster/servers/:name/restart',
    permission: 'cluster:write',
    summary: 'Start all replicas of a server anew, one after the other',
    params: contract.nameParams,
    answer: nothing,
    audit: 'server:{name}',
    handle: async ({ services, params }) => {
      requireReplicas(services.cluster, params.name)
      await services.cluster.restart(params.name)
      return { message: 'The replicas are started anew, one after the other.' }
    },
  }),
  route({
    name: 'cluster.sessions.list',
    method: 'GET',
    path: '/api/cluster/sessions',
    permission: 'cluster:read',
    summary: 'Which replicas the sessions of clients are bound to, the latest used first',
    query: contract.sessionsQuery,
    answer: contract.sessions,
    handle: async (context) => {
      const { routes, total } = context.services.cluster.sessions(context.query)
      const showsIds = showsSecrets(context.services.auth, context.identity)
      return { data: { sessions: routes.map((each) => sessionView(each, showsIds)), total } }
    },
  }),
  route({
    name: 'cluster.sessions.get',
    method: 'GET',
    path: '/api/cluster/sessions/:session',
    permission: 'cluster:read',
    summary: 'Which replicas one session is bound to; whoever knows its id may ask',
    params: contract.sessionParams,
    answer: contract.session,
    handle: async ({ services, params }) => {
      const routes = services.cluster.session(params.session)
      if (!routes) throw noSession()
      const views = routes.map((each) => sessionView(each, true))
      const [latest] = views.toSorted((a, b) => b.lastActivity - a.lastActivity)
      return { data: { ...latest, sessionId: params.session, routes: views } }
    },
  }),
  route({
    name: 'cluster.sessions.end',
    method: 'DELETE',
    path: '/api/cluster/sessions/:session',
    permission: 'cluster:write',
    summary: "End a client's session; the client begins a new one",
    params: contract.sessionParams,
    answer: nothing,
    audit: 'session:{session}',
    handle: async ({ services, params }) => {
      if (!(await services.cluster.endSession(params.session))) throw noSession()
      return { message: 'The session was ended.' }
    },
  }),
]

/** @throws HubError `resource.missing` */
function requireReplicas(cluster: ClusterPort, server: string) {
  const view = replicasView(cluster, server)
  if (view) return view
  throw new HubError('resource.missing', `There is no server ${JSON.stringify(server.slice(0, 200))}.`, {
    cure: 'GET /api/cluster/replicas lists them; servers that are switched off have no replicas.',
  })
}

function noSession(): HubError {
  return new HubError('session.unknown', 'There is no such session.', {
    cure: 'GET /api/cluster/sessions lists them; it may have ended.',
  })
}

type SetContext = Context<
  { readonly server: string },
  Parameters<typeof changeSettings>[0]['query'],
  ReplicasChange
>

async function setReplicas(context: SetContext) {
  const { services, params, body } = context
  const { server } = params
  let autoscaled = false
  const outcome = await changeSettings(context, (document) => {
    requireManaged(services.cluster, server)
    const stored = stepInto(context, document)
    autoscaled = body.autoscale === undefined && Boolean(stored['autoscale'])
    return replicasEdits(server, stored, body)
  })
  const warnings = [
    ...outcome.warnings,
    ...(autoscaled && body.replicas !== undefined ? [IDLE_NUMBER] : []),
    ...(services.cluster.summary().enabled ? [] : [ALONE]),
    ...strangersIn(services.cluster, body),
  ]
  const view = replicasView(services.cluster, server) ?? {}
  return changed(context, { ...outcome, warnings }, 'The replicas were changed.', view)
}

const IDLE_NUMBER =
  'The number counts only once autoscaling is switched off for this server ("autoscale": null).'

const ALONE = 'This hub runs alone: it runs each server once, whatever is set here.'

/** The server as it is stored. @throws HubError `resource.missing`, `access.denied` */
function stepInto(context: SetContext, document: SettingsDocument) {
  const stored = changeable(context, document, context.params.server)
  // From nothing to something is what switching on is, and needs the same right.
  const starts = stored['replicas'] === 0 && (context.body.replicas ?? 0) > 0
  if (starts && stored['url'] === undefined)
    context.services.auth.authorize(context.identity, 'servers:launch')
  return stored
}

/** @throws HubError `resource.in-use` for a server that only workers' own settings have */
function requireManaged(cluster: ClusterPort, server: string): void {
  if (cluster.wanted(server)?.managed !== false) return
  throw new HubError(
    'resource.in-use',
    `The server ${JSON.stringify(server)} stands in settings of workers only, which decide how many there are.`,
    { cure: 'Add it to the settings of the coordinator to set a number here.' },
  )
}

/** Warnings of nodes that are named and not there: they may come, or be typing errors. */
function strangersIn(cluster: ClusterPort, { affinity }: ReplicasChange): string[] {
  const known = new Set(cluster.nodes().map(({ id }) => id))
  const named = new Set([...(affinity?.nodeIds ?? []), ...(affinity?.excludeNodeIds ?? [])])
  return [...named]
    .filter((id) => !known.has(id))
    .map((id) => `There is no node ${JSON.stringify(id)} at present.`)
}
