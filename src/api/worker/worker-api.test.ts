import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { replicaOf } from '../../../tests/fakes/cluster.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { type RawRequest, raw } from '../../../tests/harness/raw.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { NodeGate } from '../../access/node-gate.ts'
import { HubError } from '../../domain/errors.ts'
import type { WorkerLink, WorkerPort } from './ports.ts'
import { createWorkerApi } from './worker-api.ts'

const UP: WorkerLink = {
  coordinator: 'https://user:pass@hub.example:3000/x',
  up: true,
  heartbeatAgeMs: 1_500,
}
const DOWN: WorkerLink = { coordinator: 'http://other:3000', up: false, heartbeatAgeMs: undefined }
const TOKEN = { 'x-cluster-token': 's3cret' }
const JSON_BODY = { 'content-type': 'application/json' }
const ALLOCATION = { serverName: 'fetch', replicaId: 'fetch-replica-1', config: { command: 'npx' } }

async function start(parts: Partial<WorkerPort> = {}) {
  const told: unknown[] = []
  const gate = new NodeGate('s3cret')
  const worker: WorkerPort = {
    node: 'n1',
    version: '1.2.3',
    links: () => [UP, DOWN],
    replicas: () => [replicaOf('fetch', 'n1'), replicaOf('time', 'n1', { phase: 'error', sessions: 3 })],
    load: () => ({ cpuPercent: 12.5, memoryPercent: 40, activeCalls: 2 }),
    stopping: () => false,
    admits: (credentials) => gate.admits(credentials),
    allocate: async (replica) => void told.push(['allocate', replica]),
    release: async (replica) => void told.push(['release', replica]),
    join: async (url) => void told.push(['join', url]),
    ...parts,
  }
  const { logger, lines } = recordingLogger()
  const api = createWorkerApi({
    worker,
    clock: new FakeClock(),
    random: fixedRandom(0.5),
    log: logger,
    harmless: (text) => text.replaceAll('canary', '***'),
  })
  const server = createServer((request, response) => api.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = async (request: string, asking: RawRequest = {}) => {
    const [method = '', path = ''] = request.split(' ')
    const { status, headers, body } = await raw(`${url}${path}`, { method, ...asking })
    const json: Record<string, unknown> =
      /json/.test(headers['content-type'] ?? '') && body ? JSON.parse(body) : {}
    return { status, headers, text: body, body: json }
  }
  const post = (path: string, body: unknown, headers: Record<string, string> = TOKEN) =>
    ask(`POST ${path}`, { headers: { ...JSON_BODY, ...headers }, body: JSON.stringify(body) })
  return {
    ask,
    post,
    told,
    lines,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

describe('the health of a worker', () => {
  test('[R97] is good while it is linked to a coordinator', async () => {
    await using world = await start()
    const { status, body } = await world.ask('GET /health')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: true,
      status: 'degraded',
      role: 'worker',
      servers: { total: 2, connected: 1, disconnected: 1 },
      timestamp: '2023-11-14T22:13:20.000Z',
    })
    expect((await world.ask('GET /readyz')).body).toMatchObject({ success: true, status: 'ready' })
    expect((await world.ask('GET /livez')).body).toMatchObject({ success: true, status: 'alive' })
    const head = await world.ask('HEAD /health?verbose')
    expect([head.status, head.text]).toEqual([200, ''])
  })

  test.each<[string, Partial<WorkerPort>, string]>([
    ['no coordinator is there', { links: () => [DOWN] }, 'unhealthy'],
    ['it is stopping', { stopping: () => true }, 'stopping'],
  ])('is no success when %s, though it lives', async (_when, parts, state) => {
    await using world = await start(parts)
    for (const path of ['/health', '/readyz']) {
      const { status, body } = await world.ask(`GET ${path}`)
      expect([path, status, body['success'], body['status']]).toEqual([path, 503, false, state])
    }
    expect((await world.ask('GET /livez')).status).toBe(200)
  })
})

test('[R168] a worker tells Prometheus its role, replicas by phase, calls, links and heartbeats', async () => {
  await using world = await start()
  const { status, headers, text } = await world.ask('GET /metrics')
  expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  for (const line of [
    'flotilla_info{version="1.2.3",role="worker",node="n1"} 1',
    'flotilla_replicas{phase="running"} 1',
    'flotilla_replicas{phase="error"} 1',
    'flotilla_replicas{phase="starting"} 0',
    'flotilla_calls_in_flight 2',
    'flotilla_replica_sessions 3',
    'flotilla_node_cpu_percent 12.5',
    'flotilla_link_up{coordinator="https://hub.example:3000"} 1',
    'flotilla_link_up{coordinator="http://other:3000"} 0',
    'flotilla_heartbeat_age_seconds{coordinator="https://hub.example:3000"} 1.5',
  ])
    expect(text.split('\n')).toContain(line)
  expect(text).not.toContain('pass')
  expect(text).not.toMatch(/age_seconds\{coordinator="http:\/\/other/)
})

describe('[R82] a worker serves no clients', () => {
  test.each([
    'GET /',
    'POST /mcp',
    'GET /sse',
    'GET /api/servers',
    'POST /api/auth/login',
    'GET /constructor',
  ])('%s is nothing here, and the answer names the coordinator', async (request) => {
    await using world = await start()
    const { status, body } = await world.ask(request)
    expect([status, body['code']]).toEqual([404, 'route.unknown'])
    expect(body['cure']).toBe('Connect to its coordinator at https://hub.example:3000.')
  })

  test('methods that do not belong are refused', async () => {
    await using world = await start()
    const health = await world.ask('POST /health')
    expect([health.status, health.headers.allow]).toEqual([405, 'GET, HEAD'])
    const allocate = await world.ask('GET /internal/servers/allocate')
    expect([allocate.status, allocate.headers.allow]).toEqual([405, 'POST'])
  })
})

describe('what nodes of the cluster may ask of a worker', () => {
  test('[R117] [R118] run a replica, and end it', async () => {
    await using world = await start()
    const { config: _config, ...release } = ALLOCATION
    const first = await world.post('/internal/servers/allocate', ALLOCATION)
    expect([first.status, first.body]).toEqual([200, { success: true }])
    expect((await world.post('/internal/servers/release', release)).status).toBe(200)
    expect(world.told).toEqual([
      ['allocate', ALLOCATION],
      ['release', release],
    ])
  })

  test('join its coordinators, or one of them, with or without a body', async () => {
    await using world = await start()
    const url = 'http://hub.example:3000'
    expect((await world.post('/internal/cluster/join', { coordinatorUrl: url })).status).toBe(200)
    expect((await world.post('/internal/cluster/join', {})).status).toBe(200)
    expect((await world.ask('POST /internal/cluster/join', { headers: TOKEN })).status).toBe(200)
    expect(world.told).toEqual([
      ['join', url],
      ['join', undefined],
      ['join', undefined],
    ])
    const wrong = await world.post('/internal/cluster/join', { coordinatorUrl: 7 })
    expect([wrong.status, wrong.body['code']]).toEqual([400, 'request.invalid-params'])
  })

  test.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['a wrong token', { 'x-cluster-token': 'secret' }],
    ['a wrong bearer', { authorization: 'Bearer secret' }],
    ['the token from a page', { ...TOKEN, origin: 'http://127.0.0.1' }],
  ])('is refused with %s', async (_what, headers) => {
    await using world = await start()
    for (const path of ['servers/allocate', 'servers/release', 'cluster/join']) {
      const { status, body } = await world.post(`/internal/${path}`, ALLOCATION, headers)
      expect([status, body['code']]).toEqual([401, 'access.unauthenticated'])
    }
    expect(world.told).toEqual([])
  })

  test.each([
    [{}, 'body.serverName: '],
    [{ ...ALLOCATION, config: [] }, 'body.config: '],
    [{ ...ALLOCATION, config: 'npx' }, 'body.config: '],
    [{ ...ALLOCATION, replicaId: '' }, 'body.replicaId: '],
    [null, 'body: '],
  ])('is refused with the body %j', async (body, why) => {
    await using world = await start()
    const { status, body: answer } = await world.post('/internal/servers/allocate', body)
    expect([status, answer['code']]).toEqual([400, 'request.invalid-params'])
    expect(answer['message']).toContain(why)
    expect(world.told).toEqual([])
  })

  test('is refused when it is no JSON, too deep or too long', async () => {
    await using world = await start()
    const path = 'POST /internal/servers/allocate'
    const headers = { ...JSON_BODY, ...TOKEN }
    const send = async (body: string, others = headers) => {
      const { status, body: answer } = await world.ask(path, { headers: others, body })
      return [status, answer['code']]
    }
    expect(await send('{')).toEqual([400, 'request.invalid-json'])
    expect(await send('['.repeat(1_000))).toEqual([400, 'request.invalid'])
    expect(await send(' '.repeat(1024 * 1024 + 1))).toEqual([413, 'request.too-large'])
    expect(await send('{}', { ...TOKEN, 'content-type': 'text/plain' })).toEqual([415, 'request.media-type'])
  })

  test('says why it was not done, without secrets, and logs only what is a bug', async () => {
    await using world = await start({
      allocate: async () => {
        throw new HubError('settings.invalid', 'The canary is wrong.', { cure: 'Mend it.' })
      },
      release: async () => {
        throw new TypeError('canary is undefined')
      },
    })
    const refused = await world.post('/internal/servers/allocate', ALLOCATION)
    expect([refused.status, refused.body['message']]).toEqual([422, 'The *** is wrong.'])
    expect(world.lines).toEqual([])
    const failed = await world.post('/internal/servers/release', ALLOCATION)
    expect([failed.status, failed.text.includes('canary')]).toEqual([500, false])
    expect(world.lines).toHaveLength(1)
  })
})
