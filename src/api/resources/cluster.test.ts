import { describe, expect, test } from 'vitest'
import { type Asking, startApi } from '../../../tests/fakes/api.ts'
import { FakeCluster, nodeOf, SESSION } from '../../../tests/fakes/cluster.ts'
import { defaultReplication } from '../../domain/replication.ts'

const SETTINGS = {
  mcpServers: {
    fetch: { command: 'npx', args: ['-y', 'fetch'], replicas: 2 },
    time: { command: 'x', autoscale: { min: 1, max: 3 }, loadBalanceStrategy: 'random' },
    idle: { command: 'x', replicas: 0 },
  },
}

async function start(cluster = new FakeCluster()) {
  const api = await startApi({ settings: SETTINGS, services: { cluster } })
  const ask = async (request: string, asking: Asking = {}) => {
    const [method = '', path = ''] = request.split(' ')
    return api.ask(method, path, { as: 'admin', ...asking })
  }
  return { api, cluster, ask, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

describe('the cluster in one look', () => {
  test('[R48] [R49] [R107] has what both founding documents show', async () => {
    await using world = await start()
    const { status, body } = await world.ask('GET /api/cluster/status')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: true,
      data: {
        enabled: true,
        mode: 'coordinator',
        role: 'master',
        nodeId: 'coordinator',
        stats: { nodes: 3, activeNodes: 2, servers: 3, sessions: 10 },
        nodes: [{ id: 'coordinator', role: 'master' }, { id: 'n1', role: 'worker' }, { id: 'n2' }],
        totalReplicas: 4,
        healthyReplicas: 2,
        sessions: 10,
      },
    })
  })

  test('[R68] names the nodes that run another version', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/status')
    expect(body).toMatchObject({ data: { version: '1.0.0', otherVersions: ['n2'] } })
  })

  test('[R54] needs no credentials on an open hub, and a key that reads is enough elsewhere', async () => {
    await using world = await start()
    const paths = [
      'status',
      'nodes',
      'nodes?active=true',
      'nodes/n1',
      'servers/fetch/replicas',
      'replicas/fetch',
      'replicas',
      `sessions/${SESSION}`,
      'sessions',
      'events',
    ]
    for (const as of ['open', 'reader'])
      for (const path of paths) {
        const { status } = await world.ask(`GET /api/cluster/${path}`, { as })
        expect([as, path, status]).toEqual([as, path, 200])
      }
    expect((await world.ask('GET /api/cluster/status', { as: 'alice' })).status).toBe(403)
  })
})

describe('nodes', () => {
  test('[R50] [R85] [R108] are listed with addresses, times, load and what else is known', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/nodes')
    expect(body['data']).toMatchObject({ nodes: [{}, {}, {}] })
    const { nodes } = body['data'] as { nodes: unknown[] }
    expect(nodes[1]).toEqual({
      id: 'n1',
      name: 'name of n1',
      role: 'worker',
      host: 'n1.internal',
      port: 3001,
      status: 'online',
      lastHeartbeat: 2_000,
      registeredAt: 1_000,
      metadata: {
        hostname: 'host-n1',
        version: '1.0.0',
        os: 'linux 6.1',
        cpuUsage: 12.3,
        memoryUsage: 50,
      },
      labels: {},
      weight: 1,
      maxServers: 20,
      servers: 2,
      runtimes: ['npx'],
      activeCalls: 3,
      cordoned: false,
      draining: false,
    })
  })

  test('[R51] with ?active=true are those that are online', async () => {
    await using world = await start()
    const ids = async (query: string) => {
      const { body } = await world.ask(`GET /api/cluster/nodes${query}`)
      return (body['data'] as { nodes: { id: string }[] }).nodes.map(({ id }) => id)
    }
    expect(await ids('?active=true')).toEqual(['coordinator', 'n1'])
    expect(await ids('?active=false')).toEqual(['coordinator', 'n1', 'n2'])
    expect((await world.ask('GET /api/cluster/nodes?active=perhaps')).status).toBe(400)
  })

  test('[R109] one node comes with the replicas on it', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/nodes/n1')
    expect(body['data']).toMatchObject({
      node: { id: 'n1' },
      servers: [{ id: 'fetch-replica-1' }, { id: 'time-replica-1' }, { id: 'theirs@n1' }],
    })
    const missing = await world.ask('GET /api/cluster/nodes/n9')
    expect([missing.status, missing.body['code']]).toEqual([404, 'resource.missing'])
  })

  test('keep their addresses from those who may not change the cluster', async () => {
    await using world = await start()
    for (const path of ['status', 'nodes', 'nodes/n1']) {
      const { text } = await world.ask(`GET /api/cluster/${path}`, { as: 'reader' })
      expect(text).not.toContain('n1.internal')
      expect(text).not.toContain('host-n1')
    }
  })

  test('are cordoned, drained and brought back', async () => {
    await using world = await start()
    for (const action of ['cordon', 'uncordon', 'drain']) {
      const { status, body } = await world.ask(`POST /api/cluster/nodes/n1/${action}`)
      expect([status, body['success']]).toEqual([200, true])
    }
    expect(world.cluster.done).toEqual(['cordon n1', 'uncordon n1', 'drain n1'])
    const { body } = await world.ask('GET /api/cluster/nodes/n1')
    expect(body['data']).toMatchObject({ node: { cordoned: true, draining: true } })
    expect((await world.ask('POST /api/cluster/nodes/n9/drain')).status).toBe(404)
    expect((await world.ask('POST /api/cluster/nodes/n1/drain', { as: 'reader' })).status).toBe(403)
    expect(world.api.audit).toContainEqual(
      expect.objectContaining({ action: 'cluster.nodes.drain', target: 'node:n1', success: true }),
    )
  })

  test('[R110] are removed when they are gone, and not before', async () => {
    await using world = await start()
    expect((await world.ask('DELETE /api/cluster/nodes/n2')).status).toBe(200)
    expect(world.cluster.done).toEqual(['remove n2'])
    const refused = await world.ask('DELETE /api/cluster/nodes/n1')
    expect([refused.status, refused.body['cure']]).toEqual([409, 'Drain it first.'])
  })
})

describe('replicas of a server', () => {
  const whole = {
    serverName: 'fetch',
    desiredReplicas: 2,
    currentReplicas: 2,
    healthyReplicas: 1,
    managed: true,
    affinity: { nodeIds: [], excludeNodeIds: [], labels: {} },
    strategy: null,
    autoscale: null,
    stateLoss: 'stateless',
    shortage: 'No node can take a replica of "fetch": 1 cordoned.',
  }

  test('[R52] [R111] are the same at both paths: how many are wanted, how many there are, and which', async () => {
    await using world = await start()
    const one = await world.ask('GET /api/cluster/replicas/fetch')
    const other = await world.ask('GET /api/cluster/servers/fetch/replicas')
    expect(one.body).toMatchObject({ success: true, data: { ...whole, replicas: [{}, {}] } })
    expect(other.body).toEqual(one.body)
    expect((await world.ask('GET /api/cluster/replicas/nope')).status).toBe(404)
  })

  test('[R86] have ids, nodes, states and reasons', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/replicas/time')
    expect(body['data']).toMatchObject({
      replicas: [
        {
          id: 'time-replica-1',
          serverName: 'time',
          nodeId: 'n1',
          status: 'error',
          phase: 'error',
          error: 'It ends at once.',
          createdAt: 1_500,
          origin: 'managed',
          epoch: 7,
        },
      ],
    })
  })

  test.each([
    ['pending', 'stopped'],
    ['starting', 'stopped'],
    ['running', 'running'],
    ['error', 'error'],
    ['stopped', 'stopped'],
    ['terminated', 'stopped'],
  ] as const)('[R86] that are %s are called %s', async (phase, status) => {
    await using world = await start()
    world.cluster.replicaList = world.cluster.replicaList.slice(0, 1).map((each) => ({ ...each, phase }))
    const { body } = await world.ask('GET /api/cluster/replicas/fetch')
    expect(body['data']).toMatchObject({ replicas: [{ status, phase }] })
  })

  test('can be had of all servers at once', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/replicas')
    expect(body['data']).toMatchObject({
      servers: [{ serverName: 'fetch' }, { serverName: 'time' }, { serverName: 'theirs', managed: false }],
    })
  })

  test('are started anew', async () => {
    await using world = await start()
    expect((await world.ask('POST /api/cluster/servers/fetch/restart')).status).toBe(200)
    expect(world.cluster.done).toEqual(['restart fetch'])
    expect((await world.ask('POST /api/cluster/servers/nope/restart')).status).toBe(404)
  })
})

describe('how many replicas there are', () => {
  const put = (server: string) => `PUT /api/cluster/replicas/${server}`

  test('[R112] is set with where they run, and stands in the settings', async () => {
    await using world = await start()
    const body = { replicas: 5, affinity: { nodeIds: ['n1'], excludeNodeIds: ['n2'] } }
    const { status, body: answer, headers } = await world.ask(put('fetch'), { body })
    expect(status).toBe(200)
    expect(answer).toMatchObject({ success: true, data: { revision: 2, warnings: [], serverName: 'fetch' } })
    expect(headers.etag).toBe('"2"')
    expect(world.api.settings.document).toMatchObject({
      mcpServers: { fetch: { ...SETTINGS.mcpServers.fetch, ...body } },
    })
  })

  test('[R87] is set with strategy and autoscaling; null takes them back', async () => {
    await using world = await start()
    const autoscale = { min: 1, max: 8, targetCalls: 4 }
    await world.ask(put('fetch'), { body: { strategy: 'round-robin', autoscale } })
    expect(world.api.settings.document).toMatchObject({
      mcpServers: { fetch: { strategy: 'round-robin', autoscale, replicas: 2 } },
    })
    await world.ask(put('fetch'), { body: { strategy: null, autoscale: null } })
    expect(world.api.settings.document['mcpServers']).toMatchObject({ fetch: SETTINGS.mcpServers.fetch })
    await world.ask(put('time'), { body: { strategy: 'weighted' } })
    const { time } = world.api.settings.document['mcpServers'] as Record<string, object>
    expect(time).toEqual({ command: 'x', autoscale: { min: 1, max: 3 }, strategy: 'weighted' })
  })

  test('is refused when it makes no sense, and nothing is stored', async () => {
    await using world = await start()
    const wrong = [
      {},
      { replicas: -1 },
      { replicas: 1_001 },
      { replicas: 1.5 },
      { replicas: '3' },
      { replica: 3 },
      { strategy: 'fair' },
      { affinity: { nodes: ['n1'] } },
      { affinity: { nodeIds: 'n1' } },
      { autoscale: { min: 3, max: 2 } },
      { autoscale: { min: -1 } },
    ]
    for (const body of wrong) {
      const { status, body: answer } = await world.ask(put('fetch'), { body })
      expect([body, status, answer['code']]).toEqual([body, 400, 'request.invalid-params'])
    }
    expect(world.api.settings.revisions).toHaveLength(1)
  })

  test('is refused for a server that is not there, or that only workers have', async () => {
    await using world = await start()
    expect((await world.ask(put('nope'), { body: { replicas: 1 } })).status).toBe(404)
    const { status, body } = await world.ask(put('theirs'), { body: { replicas: 2 } })
    expect([status, body['code']]).toEqual([409, 'resource.in-use'])
    expect(body['cure']).toContain('coordinator')
  })

  test('heeds If-Match, and can be tried', async () => {
    await using world = await start()
    const tried = await world.ask(`${put('fetch')}?dryRun`, { body: { replicas: 9 } })
    expect(tried.body).toMatchObject({ data: { revision: 1 }, message: expect.stringContaining('dry run') })
    const headers = { 'if-match': '"7"' }
    expect((await world.ask(put('fetch'), { headers, body: { replicas: 9 } })).status).toBe(412)
    expect(world.api.settings.revisions).toHaveLength(1)
  })

  test('warns of nodes that are not there, and of a number that autoscaling overrules', async () => {
    await using world = await start()
    const affinity = { nodeIds: ['n9', 'n1'] }
    const { body } = await world.ask(put('time'), { body: { replicas: 2, affinity } })
    expect(body['data']).toMatchObject({
      warnings: [expect.stringContaining('autoscaling'), expect.stringContaining('"n9"')],
    })
  })

  test('needs the right to start processes where it switches a server on', async () => {
    await using world = await start()
    world.cluster.wantedReplicas.set('idle', {
      desired: 0,
      replication: { ...defaultReplication('shared'), replicas: 0 },
      managed: true,
      shortage: undefined,
    })
    const { status, body } = await world.ask(put('idle'), { as: 'scaler', body: { replicas: 1 } })
    expect([status, body['message']]).toEqual([403, 'This needs servers:launch.'])
    expect((await world.ask(put('fetch'), { as: 'scaler', body: { replicas: 3 } })).status).toBe(200)
    expect((await world.ask(put('idle'), { body: { replicas: 1 } })).status).toBe(200)
  })
})

describe('sessions', () => {
  test('[R88] [R113] are listed with their replicas', async () => {
    await using world = await start()
    const { body } = await world.ask('GET /api/cluster/sessions?limit=1&offset=1')
    expect(body['data']).toEqual({
      sessions: [
        {
          sessionId: SESSION,
          serverName: 'time',
          nodeId: 'n1',
          replicaId: 'time-replica-1',
          createdAt: 1_000,
          lastActivity: 3_000,
        },
      ],
      total: 3,
    })
  })

  test('[R53] one session shows what it is bound to, the last used first', async () => {
    await using world = await start()
    const { body } = await world.ask(`GET /api/cluster/sessions/${SESSION}`, { as: 'open' })
    expect(body['data']).toMatchObject({
      sessionId: SESSION,
      nodeId: 'n1',
      replicaId: 'time-replica-1',
      serverName: 'time',
      routes: [{ serverName: 'fetch' }, { serverName: 'time' }],
    })
    const missing = await world.ask('GET /api/cluster/sessions/nope')
    expect([missing.status, missing.body['code']]).toEqual([404, 'session.unknown'])
  })

  test('keep their ids from those who only read', async () => {
    await using world = await start()
    const { text } = await world.ask('GET /api/cluster/sessions', { as: 'reader' })
    expect(text).not.toContain(SESSION)
    expect(text).toContain(`${SESSION.slice(0, 8)}…`)
  })

  test('keep their ids out of access and audit records', async () => {
    await using world = await start()
    await world.ask(`GET /api/cluster/sessions/${SESSION}`)
    await world.ask(`DELETE /api/cluster/sessions/${SESSION}/`)
    const records = JSON.stringify([world.api.access, world.api.audit])
    expect(records).not.toContain(SESSION)
    expect(world.api.access).toContainEqual(
      expect.objectContaining({ resource: `/api/cluster/sessions/${SESSION.slice(0, 8)}…` }),
    )
    expect(world.api.audit).toContainEqual(
      expect.objectContaining({ target: `session:${SESSION.slice(0, 8)}…`, success: true }),
    )
  })

  test('are ended by those who may', async () => {
    await using world = await start()
    const request = `DELETE /api/cluster/sessions/${SESSION}`
    expect((await world.ask(request, { as: 'reader' })).status).toBe(403)
    expect((await world.ask(request)).status).toBe(200)
    expect((await world.ask(request)).status).toBe(404)
  })
})

describe('what happens', () => {
  test('is listed after the last that one knows', async () => {
    const cluster = new FakeCluster()
    cluster.eventList = [1, 2, 3].map((number) => ({
      number,
      at: number,
      kind: 'joined' as const,
      node: 'n1',
      server: undefined,
      replica: undefined,
      text: `event ${number}`,
    }))
    await using world = await start(cluster)
    const { body } = await world.ask('GET /api/cluster/events?since=1')
    expect(body['data']).toEqual({
      events: [
        { number: 2, at: 2, kind: 'joined', node: 'n1', text: 'event 2' },
        { number: 3, at: 3, kind: 'joined', node: 'n1', text: 'event 3' },
      ],
      last: 3,
    })
    expect((await world.ask('GET /api/cluster/events?since=-1')).status).toBe(400)
  })

  test('[R174] a refresh can be forced, and tells who has the present revision', async () => {
    await using world = await start()
    const { body } = await world.ask('POST /api/cluster/sync')
    expect(body['data']).toEqual({
      revision: 5,
      nodes: [
        { nodeId: 'n1', revision: 9, confirmed: 9, inSync: true },
        { nodeId: 'n2', revision: 9, confirmed: null, inSync: false },
      ],
    })
  })
})

test('a thousand nodes are one answer', async () => {
  const cluster = new FakeCluster()
  cluster.nodeList = Array.from({ length: 1_000 }, (_, at) => nodeOf(`n${at}`))
  await using world = await start(cluster)
  const { body } = await world.ask('GET /api/cluster/status')
  expect(body['data']).toMatchObject({ stats: { nodes: 1_000, activeNodes: 1_000 } })
})
