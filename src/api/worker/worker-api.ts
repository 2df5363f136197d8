import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import { HubError, toHubError } from '../../domain/errors.ts'
import { readBody as readWhole } from '../../gateway/front/http.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { PROMETHEUS_TYPE, prometheusText } from '../../observability/prometheus.ts'
import { allocation, joinOrder, release } from '../contract/internal.ts'
import { asHubError, failureOf } from '../failure.ts'
import { parseBody } from '../json-body.ts'
import { shownUrl, workerMetrics } from './metrics.ts'
import type { WorkerPort } from './ports.ts'

export interface WorkerApiDeps {
  readonly worker: WorkerPort
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Takes known secrets out of a sentence. */
  harmless(text: string): string
}

export interface WorkerApi {
  /** Answers a request, whatever it is. Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void
}

const BODY_LIMIT = 1024 * 1024

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** All that a worker serves over HTTP: health, metrics, and what nodes of its cluster may ask. Clients go to the coordinator. */
export function createWorkerApi(deps: WorkerApiDeps): WorkerApi {
  return {
    handle(request, response) {
      const id = deps.random.id(96)
      answer(deps, request).then(
        (given) => send(request, response, { ...given, id }),
        (error: unknown) => refuse(deps, { request, response, id }, error),
      )
    },
  }
}

async function answer(deps: WorkerApiDeps, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  const page = Object.hasOwn(PAGES, path) ? PAGES[path] : undefined
  if (page) {
    requireMethod(request, ['GET', 'HEAD'])
    return page(deps)
  }
  const order = Object.hasOwn(ORDERS, path) ? ORDERS[path] : undefined
  if (!order) throw notHere(deps.worker, path)
  requireMethod(request, ['POST'])
  requireNode(deps.worker, request)
  await order(deps.worker, hasBody(request) ? await readBody(request) : {})
  return json(200, { success: true })
}

const PAGES: Readonly<Record<string, (deps: WorkerApiDeps) => Answer>> = {
  '/health': health,
  '/healthz': health,
  '/livez': ({ clock }) => json(200, { success: true, status: 'alive', timestamp: isoTime(clock) }),
  '/readyz': ({ worker, clock }) => {
    const { ready, message } = stateOf(worker)
    const status = ready ? 'ready' : worker.stopping() ? 'stopping' : 'unhealthy'
    return json(ready ? 200 : 503, { success: ready, status, message, timestamp: isoTime(clock) })
  },
  '/metrics': ({ worker }) => ({
    status: 200,
    type: PROMETHEUS_TYPE,
    text: prometheusText(workerMetrics(worker)),
  }),
}

/** RFC 9112 §6: without these two there is none. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

const ORDERS: Readonly<Record<string, (worker: WorkerPort, body: unknown) => Promise<void>>> = {
  '/internal/servers/allocate': (worker, body) => worker.allocate(checked(allocation, body)),
  '/internal/servers/release': (worker, body) => worker.release(checked(release, body)),
  '/internal/cluster/join': (worker, body) => worker.join(checked(joinOrder, body).coordinatorUrl),
}

function health({ worker, clock }: WorkerApiDeps): Answer {
  const { ready, message } = stateOf(worker)
  const replicas = worker.replicas().filter(({ phase }) => phase !== 'terminated')
  const connected = replicas.filter(({ phase }) => phase === 'running' || phase === 'stopped').length
  const disconnected = replicas.length - connected
  const good = disconnected === 0 ? 'healthy' : 'degraded'
  const status = ready ? good : worker.stopping() ? 'stopping' : 'unhealthy'
  return json(ready ? 200 : 503, {
    success: ready,
    status,
    role: 'worker',
    message: ready ? `${connected} of ${replicas.length} servers are connected.` : message,
    servers: { total: replicas.length, connected, disconnected },
    timestamp: isoTime(clock),
  })
}

/** A worker without a coordinator serves nobody. */
function stateOf(worker: WorkerPort): { ready: boolean; message: string } {
  if (worker.stopping()) return { ready: false, message: 'The worker is stopping.' }
  if (worker.links().some(({ up }) => up)) return { ready: true, message: 'The worker takes work.' }
  return { ready: false, message: 'The worker is linked to no coordinator.' }
}

function isoTime(clock: Clock): string {
  return new Date(clock.now()).toISOString()
}

function requireMethod({ method }: IncomingMessage, allowed: readonly string[]): void {
  if (allowed.includes(method ?? '')) return
  throw new HubError('request.method-not-allowed', `${method} does not work here.`, {
    data: { allow: allowed.join(', ') },
    cure: `Use ${allowed.join(', ')}.`,
  })
}

/** @throws HubError `access.unauthenticated` */
function requireNode(worker: WorkerPort, { headers, socket }: IncomingMessage): void {
  if (worker.admits({ headers, ip: socket.remoteAddress })) return
  throw new HubError('access.unauthenticated', 'This is for nodes of the cluster only.', {
    cure: 'Send the token of the cluster (CLUSTER_TOKEN) in the header X-Cluster-Token.',
  })
}

function notHere(worker: WorkerPort, path: string): HubError {
  const [coordinator] = worker.links()
  const where = coordinator ? ` at ${shownUrl(coordinator.coordinator)}` : ''
  return new HubError(
    'route.unknown',
    `There is nothing at ${path.slice(0, 200)}: this is a worker, which serves no clients itself.`,
    { cure: `Connect to its coordinator${where}.` },
  )
}

/** @throws HubError `request.media-type`, `request.too-large`, `request.invalid-json` */
async function readBody(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new HubError('request.media-type', 'Bodies are JSON here.', {
      cure: 'Send "Content-Type: application/json".',
    })
  const bytes = await readWhole(request, BODY_LIMIT).catch((error: unknown) => {
    throw toHubError(error).code === 'request.too-large' ? tooLarge(error) : error
  })
  return parseBody(bytes.toString())
}

function tooLarge(cause: unknown): HubError {
  return new HubError('request.too-large', `The body is larger than ${BODY_LIMIT} bytes.`, {
    cause,
    cure: 'Send less at once.',
  })
}

/** @throws HubError `request.invalid-params` */
function checked<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = ['body', ...(issue?.path ?? [])].map(String).join('.')
  throw new HubError('request.invalid-params', `${where}: ${issue?.message ?? 'is not valid'}.`, {
    cause: result.error,
    cure: 'Send what the coordinator of this version sends.',
  })
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json; charset=utf-8', text: JSON.stringify(body) }
}

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
}

function refuse({ log, harmless }: WorkerApiDeps, { request, response, id }: Asked, error: unknown): void {
  if (asHubError(error).code === 'internal')
    log.error({ err: error, requestId: id, method: request.method }, 'a request to the worker failed')
  const { status, headers, body } = failureOf(error, id, harmless)
  send(request, response, { ...json(status, body), id, headers })
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  given: Answer & { readonly id: string; readonly headers?: Readonly<Record<string, string>> },
): void {
  const bytes = Buffer.from(given.text)
  response.writeHead(given.status, {
    'content-type': given.type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': given.id,
    ...given.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : bytes)
  // A body that nobody reads would keep the connection from its next request.
  request.resume()
}
