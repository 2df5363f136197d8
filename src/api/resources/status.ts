import { z } from 'zod'
import { healthReport } from '../../observability/health.ts'
import * as contract from '../contract/status.ts'
import { allows, seesServer } from '../identity.ts'
import { type Context, type Route, route } from '../route.ts'
import { serverStatus } from '../server-views.ts'

/** How the hub is. None of these says success when it is not so. */
export const statusRoutes: readonly Route[] = [
  route({
    name: 'status',
    method: 'GET',
    path: '/api/status',
    permission: 'public',
    summary: 'Whether the hub is in order; with the right to read servers also what is wrong',
    answer: contract.status,
    statuses: [200, 503],
    handle: status,
  }),
  ...(['/health', '/healthz'] as const).map((path) =>
    route({
      name: path.slice(1),
      method: 'GET',
      path,
      permission: 'public',
      summary: 'Whether the hub is in order, for monitoring',
      shape: 'plain',
      answer: contract.health,
      statuses: [200, 503],
      handle: async (context) => {
        const { report, reasons, success } = await look(context)
        const message = reasons.length === 0 ? report.message : reasons.join(' ')
        return {
          plain: { ...report, success, status: stateOf(report.status, success), message },
          status: success ? 200 : 503,
        }
      },
    }),
  ),
  route({
    name: 'livez',
    method: 'GET',
    path: '/livez',
    permission: 'public',
    summary: 'Answers as long as the process lives: whoever restarts it for other reasons makes things worse',
    shape: 'plain',
    answer: contract.live,
    handle: async ({ hub }) => ({
      plain: { success: true, status: 'alive', timestamp: new Date(hub.now()).toISOString() },
    }),
  }),
  route({
    name: 'readyz',
    method: 'GET',
    path: '/readyz',
    permission: 'public',
    summary: 'Whether clients should be sent here: MCP goes on while the storage is away',
    shape: 'plain',
    answer: contract.ready,
    statuses: [200, 503],
    handle: async ({ hub, services }) => {
      const timestamp = new Date(hub.now()).toISOString()
      const { inForce, revision } = services.status.settings()
      if (hub.stopping())
        return { plain: { success: false, status: 'stopping', message: STOPPING, timestamp }, status: 503 }
      // Last good settings serve as well as new ones; without any there is nothing to serve.
      const ready = inForce || revision !== undefined
      const message = ready ? 'The hub takes requests.' : 'The hub has no settings yet.'
      const plain = { success: ready, status: ready ? 'ready' : 'unhealthy', message, timestamp }
      return { plain, status: ready ? 200 : 503 }
    },
  }),
  route({
    name: 'openapi',
    method: 'GET',
    path: '/api/openapi.json',
    permission: 'public',
    summary: 'This description, as OpenAPI 3.1',
    shape: 'plain',
    answer: z.looseObject({}),
    handle: async (context) => ({ plain: context.openApi() }),
  }),
]

const STOPPING = 'The hub is stopping.'

async function status(context: Context) {
  const { services, identity } = context
  const { storage, settings, report, reasons, success } = await look(context)
  const { inForce, revision } = settings
  const inside = context.known && allows(services.auth, identity, 'servers:read')
  return {
    success,
    status: success ? 200 : 503,
    message: reasons.length === 0 ? report.message : 'The hub is not in order.',
    data: {
      status: stateOf(report.status, success),
      version: services.status.version,
      storage: { reachable: storage.reachable },
      settings: { inForce, ...(revision === undefined ? {} : { revision }) },
      servers: report.servers,
      ...(inside ? { node: services.status.node, reasons, degraded: degraded(context) } : {}),
    },
  } as const
}

async function look({ services, hub }: Context) {
  const storage = await services.status.storage()
  const settings = services.status.settings()
  const stopping = hub.stopping()
  const statuses = [...hub.settings().servers.values()].map((spec) => serverStatus(hub, spec))
  const reasons = [
    ...(stopping ? [STOPPING] : []),
    ...(storage.reachable ? [] : ['The storage cannot be reached.']),
    ...(settings.inForce ? [] : ['The stored settings are not those in force.']),
  ]
  const report = healthReport(statuses, stopping, hub.now())
  return { storage, settings, report, reasons, success: reasons.length === 0 }
}

function stateOf(status: 'healthy' | 'degraded' | 'stopping', success: boolean) {
  return status === 'stopping' || success ? status : ('unhealthy' as const)
}

/** Servers that are not there, of those that the identity may see. They make nothing but themselves unusable. */
function degraded(context: Context) {
  const { hub, identity } = context
  return [...hub.settings().servers.values()].flatMap((spec) => {
    const state = serverStatus(hub, spec)
    if (state === 'connected' || state === 'idle' || state === 'disabled') return []
    if (!seesServer(identity, spec.name, spec)) return []
    return [{ name: spec.name, status: state }]
  })
}
