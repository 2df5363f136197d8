import { describe, expect, test } from 'vitest'
import { type Asking, startApi } from '../../../tests/fakes/api.ts'
import { FakeCluster } from '../../../tests/fakes/cluster.ts'
import { NodeGate } from '../../access/node-gate.ts'

const TOKEN = { 'x-cluster-token': 'cluster-token' }
const NODE = { nodeId: 'node-1', host: 'worker-1.internal', port: 3001 }
const BEAT = { nodeId: 'node-1', servers: [{ name: 'fetch', status: 'connected', tools: 3 }] }
const ROUTES = [
  ['/internal/cluster/register', NODE],
  ['/cluster/register', NODE],
  ['/internal/cluster/heartbeat', BEAT],
] as const

async function start(cluster = new FakeCluster()) {
  const api = await startApi({ services: { cluster } })
  const post = (path: string, asking: Asking) => api.ask('POST', path, asking)
  return { api, cluster, post, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

describe('a node that comes over HTTP', () => {
  test.each(['/internal/cluster/register', '/cluster/register'])(
    '[R114] [R115] registers at %s and learns what it is to run',
    async (path) => {
      await using world = await start()
      const metadata = { hostname: 'h', version: '1', os: 'linux', cpuUsage: 5, memoryUsage: 6 }
      const body = { ...NODE, metadata, unknown: 'member of a later version' }
      const { status, body: answer } = await world.post(path, { headers: TOKEN, body })
      expect(status).toBe(200)
      expect(answer).toEqual({
        success: true,
        config: { revision: 9, heartbeatInterval: 5_000, heartbeatTimeout: 15_000 },
        servers: [{ serverName: 'fetch', replicaId: 'fetch-replica-1', epoch: 7, config: { command: 'x' } }],
      })
      expect(world.cluster.told).toEqual([{ ...NODE, metadata }])
      expect(world.api.audit).toMatchObject([{ actor: 'key:cluster', target: 'node:node-1', success: true }])
    },
  )

  test('[R116] says how it is, and is told the revision; nothing of that is recorded', async () => {
    await using world = await start()
    const metrics = { cpuUsage: 5, memoryUsage: 6, activeConnections: 7 }
    const headers = { authorization: 'Bearer cluster-token' }
    const { body } = await world.post('/internal/cluster/heartbeat', { headers, body: { ...BEAT, metrics } })
    expect(body).toEqual({ success: true, revision: 9 })
    expect(world.cluster.told).toEqual([{ ...BEAT, metrics }])
    expect(world.api.access).toEqual([])
  })

  test.each(ROUTES)('needs the token at %s: a login or key is not enough', async (path, body) => {
    await using world = await start()
    const wrong = { 'x-cluster-token': 'cluster-tokem' }
    expect(await statusOf(world.post(path, { body }))).toBe(401)
    expect(await statusOf(world.post(path, { headers: wrong, body }))).toBe(401)
    expect(await statusOf(world.post(path, { headers: wrong, as: 'admin', body }))).toBe(401)
    expect(await statusOf(world.post(path, { as: 'nobody', body }))).toBe(401)
    expect(await statusOf(world.post(path, { as: 'open', body }))).toBe(401)
    expect(await statusOf(world.post(path, { as: 'admin', body }))).toBe(403)
    const page = { ...TOKEN, origin: 'http://localhost' }
    expect(await statusOf(world.post(path, { headers: page, body }))).toBe(401)
    expect(world.cluster.told).toEqual([])
  })

  test('needs no token where the cluster has none, if it is on this machine', async () => {
    const cluster = new FakeCluster()
    cluster.gate = new NodeGate(undefined)
    await using world = await start(cluster)
    expect(await statusOf(world.post('/cluster/register', { body: NODE }))).toBe(200)
    const headers = { 'x-forwarded-for': '10.1.2.3' }
    expect(await statusOf(world.post('/cluster/register', { headers, body: NODE }))).toBe(401)
  })

  test.each([
    {},
    { ...NODE, nodeId: '' },
    { ...NODE, nodeId: 'a\r\nset-cookie: x' },
    { ...NODE, nodeId: 'x'.repeat(101) },
    { ...NODE, host: '0.0.0.0' },
    { ...NODE, host: '::' },
    { ...NODE, host: 'a b' },
    { ...NODE, port: 0 },
    { ...NODE, port: 65_536 },
    { ...NODE, port: '3001' },
    { ...NODE, metadata: { cpuUsage: 101 } },
    [],
    'text',
  ])('is refused with %j', async (body) => {
    await using world = await start()
    const { status, body: answer } = await world.post('/cluster/register', {
      headers: TOKEN,
      body: JSON.stringify(body),
    })
    expect([status, answer['code']]).toEqual([400, 'request.invalid-params'])
    expect(answer['cure']).toBeDefined()
    expect(world.cluster.told).toEqual([])
  })

  test.each([
    { ...BEAT, servers: 'all' },
    { ...BEAT, servers: [{ name: 'x', status: 'fine', tools: 1 }] },
    { ...BEAT, servers: [{ name: 'x', status: 'connected', tools: -1 }] },
    { ...BEAT, metrics: { cpuUsage: 500, memoryUsage: 1, activeConnections: 1 } },
    { ...BEAT, servers: Array.from({ length: 10_001 }, () => BEAT.servers[0]) },
  ])('is refused with a wrong heartbeat', async (body) => {
    await using world = await start()
    const { status } = await world.post('/internal/cluster/heartbeat', { headers: TOKEN, body })
    expect(status).toBe(400)
    expect(world.cluster.told).toEqual([])
  })
})

function statusOf(answer: Promise<{ status: number }>): Promise<number> {
  return answer.then(({ status }) => status)
}
