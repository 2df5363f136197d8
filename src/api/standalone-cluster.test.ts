import { describe, expect, test } from 'vitest'
import { FakeSettings, fakeHub, startApi } from '../../tests/fakes/api.ts'
import { nodeOf } from '../../tests/fakes/cluster.ts'
import { FakeClock } from '../../tests/harness/fake-clock.ts'
import { HubError } from '../domain/errors.ts'
import type { HubInsight } from './server-views.ts'
import { standaloneCluster } from './standalone-cluster.ts'

const SETTINGS = {
  mcpServers: { a: { command: 'x' }, b: { command: 'x' }, off: { command: 'x', enabled: false } },
}

async function start(hub: Partial<HubInsight> = {}) {
  const reloaded: string[] = []
  const insight = { ...fakeHub(new FakeSettings(SETTINGS), new FakeClock()), ...hub }
  const cluster = standaloneCluster({
    facts: nodeOf('alone', { role: 'coordinator', host: undefined, port: undefined }),
    startedAt: 1,
    hub: insight,
    sessionCount: () => 4,
    reload: (server) => reloaded.push(server) > 0,
  })
  const api = await startApi({ settings: SETTINGS, services: { cluster } })
  const ask = (request: string, body?: object) => {
    const [method = '', path = ''] = request.split(' ')
    return api.ask(method, path, { as: 'admin', ...(body ? { body } : {}) })
  }
  return { ask, reloaded, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

describe('[R2] a hub that runs alone', () => {
  test('says so, and lists itself and each of its servers once', async () => {
    const error = new HubError('server.unavailable', 'It ends at once.')
    await using world = await start({
      report: (server) =>
        server === 'a'
          ? undefined
          : ({ state: { kind: 'failed', error, failures: 1, retryAt: 0 }, sessionUpstreams: 2 } as never),
    })
    const { status, body } = await world.ask('GET /api/cluster/status')
    expect(status).toBe(200)
    expect(body['data']).toMatchObject({
      enabled: false,
      mode: 'standalone',
      role: 'standalone',
      nodeId: 'alone',
      leader: null,
      stats: { nodes: 1, activeNodes: 1, servers: 2, sessions: 4 },
      nodes: [{ id: 'alone', host: null, port: null, servers: 2 }],
      totalReplicas: 2,
      healthyReplicas: 0,
    })
    const { body: b } = await world.ask('GET /api/cluster/replicas/b')
    expect(b['data']).toMatchObject({
      desiredReplicas: 1,
      replicas: [
        { id: 'b-replica-1', nodeId: 'alone', status: 'error', error: 'It ends at once.', sessions: 2 },
      ],
    })
    expect((await world.ask('GET /api/cluster/replicas/off')).status).toBe(404)
    expect((await world.ask('GET /api/cluster/events')).body['data']).toEqual({ events: [], last: 0 })
    expect((await world.ask('GET /api/cluster/sessions')).body['data']).toEqual({ sessions: [], total: 0 })
  })

  test('keeps a number for the day when it is a coordinator, and says so', async () => {
    await using world = await start()
    const { status, body } = await world.ask('PUT /api/cluster/replicas/a', { replicas: 3 })
    expect(status).toBe(200)
    expect(body['data']).toMatchObject({ warnings: [expect.stringContaining('runs alone')] })
  })

  test('restarts its servers, and refuses what concerns other nodes with the cure', async () => {
    await using world = await start()
    expect((await world.ask('POST /api/cluster/servers/a/restart')).status).toBe(200)
    expect(world.reloaded).toEqual(['a'])
    for (const request of ['cordon', 'uncordon', 'drain'].map(
      (action) => `POST /api/cluster/nodes/alone/${action}`,
    )) {
      const { status, body } = await world.ask(request)
      expect([request, status, body['code']]).toEqual([request, 409, 'cluster.off'])
      expect(body['cure']).toContain('CLUSTER_ROLE')
    }
    expect((await world.ask('DELETE /api/cluster/nodes/alone')).status).toBe(409)
  })

  test('takes nobody for a node of it, not even from this machine', async () => {
    await using world = await start()
    const node = { nodeId: 'n', host: 'h', port: 1 }
    expect((await world.ask('POST /internal/cluster/register', node)).status).toBe(403)
  })
})
