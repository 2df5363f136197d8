import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { connectSse, connectV1, textOf } from './harness/clients.ts'
import {
  ClusterApi,
  nodeSchema,
  replicaSchema,
  replicasSchema,
  routeSchema,
  statusSchema,
} from './harness/cluster-api.ts'
import { ClusterNode } from './harness/cluster-node.ts'
import { LoadClient } from './harness/load-client.ts'
import { freePort } from './harness/ports.ts'
import { rest } from './harness/rest.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

/** Nodes that are set up by hand, with nothing but what the founding documents give them. */
class Seed implements AsyncDisposable {
  readonly nodes: ClusterNode[] = []
  readonly #folder: string

  static async make(): Promise<Seed> {
    return new Seed(await mkdtemp(join(tmpdir(), 'flotilla-seeds-')))
  }

  private constructor(folder: string) {
    this.#folder = folder
  }

  async start(
    name: string,
    setup: { settings?: string; env?: Record<string, string>; port?: number },
  ): Promise<ClusterNode> {
    const { settings, env = {}, port } = setup
    const folder = join(this.#folder, name)
    const node = await ClusterNode.start({
      name,
      folder,
      settings,
      env,
      ...(port === undefined ? {} : { port }),
    })
    this.nodes.push(node)
    return node
  }

  async until<T>(what: string, look: () => Promise<T>): Promise<NonNullable<T>> {
    const seen = () => look().catch(() => undefined)
    return until<T | undefined>(what, seen, 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.nodes.map((node) => node.tail()).join('\n')}`)
    }) as Promise<NonNullable<T>>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** What `curl` shows: no credentials unless there are headers. */
async function curl<T>(
  node: ClusterNode,
  request: string,
  shape: z.ZodType<T>,
  { headers, body }: { headers?: Record<string, string>; body?: unknown } = {},
): Promise<T> {
  const answer = await rest(node.url, request, {
    as: headers === undefined ? {} : { headers },
    ...(body === undefined ? {} : { body }),
  })
  expect(`${request}: ${answer.status} ${answer.text.slice(0, 300)}`).toMatch(/: 2\d\d /)
  return shape.parse(answer.body)
}

function enveloped<T>(data: z.ZodType<T>) {
  return z.object({ success: z.literal(true), data }).transform((envelope) => envelope.data)
}

const done = z.looseObject({ success: z.literal(true) })
const server = (name: string) => JSON.stringify(fixture('minimal', '--name', name))

describe('the cluster guide (seed 000), as it is written', () => {
  const coordinatorSettings = `{
  "mcpServers": {
    // 可选：协调器也可以运行 MCP 服务器
    "example": ${server('example')}
  },
  "systemConfig": {
    "cluster": {
      "enabled": true,
      "mode": "coordinator",
      "coordinator": {
        "nodeTimeout": 15000,
        "cleanupInterval": 30000,
        "stickySessionTimeout": 3600000
      },
      "stickySession": {
        "enabled": true,
        "strategy": "consistent-hash",
        "cookieName": "MCPHUB_NODE",
        "headerName": "X-MCPHub-Node"
      }
    }
  }
}`
  const nodeSettings = (coordinator: string) => `{
  "mcpServers": {
    "amap": ${server('amap')},
    "playwright": ${server('playwright')}
  },
  "systemConfig": {
    "cluster": {
      "enabled": true,
      "mode": "node",
      "node": {
        "id": "node-1",
        "name": "工作节点 1",
        "coordinatorUrl": "${coordinator}",
        "heartbeatInterval": 5000,
        "registerOnStartup": true
      }
    }
  }
}`
  const minimalNodeSettings = (coordinator: string) => `{
  "mcpServers": {
    "playwright": ${server('playwright')}
  },
  "systemConfig": {
    "cluster": {
      "enabled": true,
      "mode": "node",
      "node": {
        "coordinatorUrl": "${coordinator}"
      }
    }
  }
}`

  test('[R7] [R8] [R42] [R47] [R48] [R49] [R50] [R51] [R52] [R53] [R54] [R55] [R59] starts, serves, and answers every curl', async () => {
    await using seed = await Seed.make()
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const env = { NODE_ENV: 'production' }
    // Nodes may come first: plain `depends_on` waits for nothing.
    const [first, , coordinator] = await Promise.all([
      seed.start('node1', { settings: nodeSettings(url), env }),
      seed.start('node2', { settings: minimalNodeSettings(url), env }),
      seed.start('coordinator', { settings: coordinatorSettings, env, port }),
    ])
    await curl(coordinator, 'GET /health', z.looseObject({ status: z.string() }))
    const nodes = enveloped(z.looseObject({ nodes: z.array(nodeSchema) }))
    const active = await seed.until('both nodes are active', async () => {
      const seen = (await curl(coordinator, 'GET /api/cluster/nodes?active=true', nodes)).nodes
      return seen.filter(({ role }) => role === 'worker').length === 2 ? seen : undefined
    })
    expect(active.find(({ id }) => id === 'node-1')).toMatchObject({ name: '工作节点 1', status: 'online' })
    expect((await curl(coordinator, 'GET /api/cluster/nodes', nodes)).nodes).toHaveLength(active.length)

    const status = await curl(coordinator, 'GET /api/cluster/status', enveloped(statusSchema))
    expect(status).toMatchObject({ enabled: true, mode: 'coordinator', role: 'master' })
    expect(status.stats).toMatchObject({ nodes: active.length, activeNodes: active.length })

    const path = 'GET /api/cluster/servers/playwright/replicas'
    const both = await seed.until('playwright runs on both', async () => {
      const { replicas } = await curl(coordinator, path, enveloped(replicasSchema))
      return replicas.length === 2 && replicas.every((each) => each.status === 'running')
        ? replicas
        : undefined
    })
    expect(new Set(both.map(({ nodeId }) => nodeId)).size).toBe(2)
    await until('the log says so', () =>
      /Node registered: 工作节点 1 \(node-1\) with 2 servers/.test(coordinator.log),
    )

    // Clients come to the coordinator, by either transport.
    const call = { name: 'playwright-echo', arguments: { text: 'hello' } }
    const client = await connectV1(`${url}/mcp`)
    const offered = (await client.listTools()).tools.map(({ name }) => name)
    for (const name of ['example-echo', 'amap-echo', 'playwright-echo']) expect(offered).toContain(name)
    expect(textOf(await client.callTool(call))).toBe('hello')
    await client.close()
    const older = await connectSse(`${url}/sse`)
    expect(textOf(await older.callTool(call))).toBe('hello')
    await older.close()

    const session = await LoadClient.open(`${url}/mcp`)
    await session.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: call })
    const route = await curl(
      coordinator,
      `GET /api/cluster/sessions/${session.sessionId}`,
      enveloped(routeSchema),
    )
    expect(route).toMatchObject({ sessionId: session.sessionId, serverName: 'playwright' })
    expect(both.map(({ id }) => id)).toContain(route.replicaId)
    await session.close()

    // A node's own surface: nothing for clients.
    expect((await rest(first.url, 'POST /mcp', { body: {} })).status).toBe(404)
    await curl(first, 'GET /health', z.looseObject({ status: z.string() }))
  }, 60_000)

  test('[R40] [R41] [R22] [R23] the smallest settings of the guide suffice; ids are made', async () => {
    await using seed = await Seed.make()
    const settings = '{ "systemConfig": { "cluster": { "enabled": true, "mode": "coordinator" } } }'
    const coordinator = await seed.start('coordinator', { settings })
    const own = minimalNodeSettings(coordinator.url)
    await Promise.all([seed.start('node1', { settings: own }), seed.start('node2', { settings: own })])
    const api = new ClusterApi(coordinator.url, undefined)
    const workers = await seed.until('both are online', async () => {
      const seen = (await api.nodes()).filter(({ role, status }) => role === 'worker' && status === 'online')
      return seen.length === 2 ? seen : undefined
    })
    expect(new Set(workers.map(({ id }) => id)).size).toBe(2)
    expect(workers.every(({ name }) => name !== '' && name !== undefined)).toBe(true)
  }, 60_000)
})

describe('the cluster design (seed 001), as it is written', () => {
  const TOKEN = 'your-secure-cluster-token'
  const PASSWORD = 'correct horse battery'
  const asNode = { 'x-cluster-token': TOKEN }
  const master = {
    CLUSTER_ENABLED: 'true',
    CLUSTER_ROLE: 'master',
    CLUSTER_NODE_ID: 'master-001',
    CLUSTER_MASTER_HOST: '127.0.0.1',
    CLUSTER_TOKEN: TOKEN,
    CLUSTER_HEARTBEAT_INTERVAL: '5000',
    CLUSTER_HEARTBEAT_TIMEOUT: '15000',
    ADMIN_PASSWORD: PASSWORD,
  }
  const worker = (id: string, url: string, port: number) => ({
    CLUSTER_ENABLED: 'true',
    CLUSTER_ROLE: 'worker',
    CLUSTER_NODE_ID: id,
    CLUSTER_MASTER_URL: url,
    CLUSTER_TOKEN: TOKEN,
    CLUSTER_ADVERTISE_HOST: '127.0.0.1',
    CLUSTER_ADVERTISE_PORT: String(port),
  })

  async function startSeed(seed: Seed) {
    const settings = JSON.stringify({ mcpServers: { fetch: fixture('minimal', '--name', 'fetch') } })
    const coordinator = await seed.start('master', { settings, env: master })
    // Workers have no settings file: they live on the environment, and on what the master gives them.
    const workers = await Promise.all(
      ['worker-001', 'worker-002'].map(async (id) => {
        const port = await freePort()
        return seed.start(id, { env: worker(id, coordinator.url, port), port })
      }),
    )
    const api = new ClusterApi(coordinator.url, PASSWORD)
    await seed.until('both workers are online', async () => {
      const online = (await api.nodes()).filter(
        ({ role, status }) => role === 'worker' && status === 'online',
      )
      return online.length === 2
    })
    return { coordinator, workers, api }
  }

  test('[R107] [R108] [R109] [R110] [R111] [R112] [R113] [R156] [R158] [R161] starts by environment alone and answers the management API', async () => {
    await using seed = await Seed.make()
    const { coordinator, workers, api } = await startSeed(seed)
    expect(coordinator.log).toContain('Cluster coordinator started (Master mode)')
    for (const each of workers) expect(each.log).toContain('Connected to master node (Worker mode)')

    const status = await curl(coordinator, 'GET /api/cluster/status', enveloped(statusSchema))
    expect(status).toMatchObject({ enabled: true, role: 'master', nodeId: 'master-001' })
    const detail = enveloped(z.looseObject({ node: nodeSchema, servers: z.array(replicaSchema) }))
    const node = await curl(coordinator, 'GET /api/cluster/nodes/worker-001', detail)
    expect(node.node).toMatchObject({ id: 'worker-001', role: 'worker' })
    // Addresses of nodes are for those who may see them.
    const { port } = workers[0] ?? { port: 0 }
    expect((await api.node('worker-001'))?.host).toBe('127.0.0.1')
    expect((await api.node('worker-001'))?.port).toBe(port)

    await api.setReplicas('fetch', {
      replicas: 2,
      affinity: { nodeIds: ['worker-001'], excludeNodeIds: ['master-001'] },
    })
    await seed.until('fetch runs twice', async () => (await api.running('fetch')).length === 2)
    const replicas = await curl(coordinator, 'GET /api/cluster/replicas/fetch', enveloped(replicasSchema))
    expect(replicas).toMatchObject({ serverName: 'fetch', desiredReplicas: 2, currentReplicas: 2 })
    expect(replicas.replicas.map(({ id }) => id).sort()).toEqual(['fetch-replica-1', 'fetch-replica-2'])

    const session = await LoadClient.open(`${coordinator.url}/mcp/fetch`)
    const params = { name: 'echo', arguments: { text: 'x' } }
    await session.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
    const sessions = z.looseObject({ sessions: z.array(routeSchema) })
    const { data } = z.object({ data: sessions }).parse(await api.ask('GET /api/cluster/sessions'))
    expect(data.sessions).toMatchObject([{ sessionId: session.sessionId, serverName: 'fetch' }])
    await session.close()

    // A node that may come back at any moment is not removed; one that has taken its leave is.
    expect(await workers[1]?.stop()).toBe(0)
    await seed.until('worker-002 is gone', async () => (await api.node('worker-002'))?.status !== 'online')
    await api.ask('DELETE /api/cluster/nodes/worker-002')
    expect((await api.nodes()).map(({ id }) => id)).not.toContain('worker-002')
  }, 60_000)

  test('[R98] [R99] [R104] the API that was there before works as ever', async () => {
    await using seed = await Seed.make()
    const { coordinator, api } = await startSeed(seed)
    await seed.until('fetch runs', async () => (await api.running('fetch')).length === 1)
    for (const { url } of seed.nodes) expect(await rest(url, 'GET /health')).toMatchObject({ status: 200 })
    const listed = await api.ask('GET /api/servers')
    expect(listed['data']).toMatchObject([{ name: 'fetch', status: 'connected' }])
    expect((await api.ask('GET /api/servers/fetch'))['data']).toMatchObject({ name: 'fetch' })
    const call = { toolName: 'echo', arguments: { text: 'over REST' } }
    expect(JSON.stringify(await api.ask('POST /api/tools/call/fetch', call))).toContain('over REST')
    await api.ask('POST /api/servers/fetch/reload')
    await api.ask('POST /api/servers/fetch/toggle', { enabled: false })
    await seed.until('it has no replicas', async () => (await api.status()).totalReplicas === 0)
    await api.ask('POST /api/servers/fetch/toggle', { enabled: true })
    await seed.until('fetch runs again', async () => (await api.running('fetch')).length === 1)
    expect(coordinator.running).toBe(true)
  }, 60_000)

  test('[R114] [R115] [R116] [R117] [R118] nodes speak to each other over HTTP too, with the token only', async () => {
    await using seed = await Seed.make()
    const { coordinator, workers, api } = await startSeed(seed)
    const registration = { nodeId: 'worker-003', host: '127.0.0.1', port: 3999, metadata: { hostname: 'h' } }
    const registered = z.looseObject({
      success: z.literal(true),
      config: z.looseObject({}),
      servers: z.array(z.looseObject({})),
    })
    for (const path of ['/internal/cluster/register', '/cluster/register']) {
      expect((await rest(coordinator.url, `POST ${path}`, { body: registration })).status).toBe(401)
      await curl(coordinator, `POST ${path}`, registered, { headers: asNode, body: registration })
    }
    expect((await api.nodes()).map(({ id }) => id)).toContain('worker-003')
    const beat = {
      nodeId: 'worker-003',
      servers: [{ name: 'fetch', status: 'connected', tools: 4 }],
      metrics: { cpuUsage: 10, memoryUsage: 20, activeConnections: 1 },
    }
    const before = (await api.node('worker-003'))?.lastHeartbeat ?? 0
    await curl(coordinator, 'POST /internal/cluster/heartbeat', done, { headers: asNode, body: beat })
    expect((await api.node('worker-003'))?.lastHeartbeat).toBeGreaterThanOrEqual(before)

    const [first] = workers
    if (!first) throw new Error('There is no worker.')
    const replica = { serverName: 'extra', replicaId: 'extra-replica-1' }
    const allocation = { ...replica, config: fixture('minimal', '--name', 'extra') }
    expect((await rest(first.url, 'POST /internal/servers/allocate', { body: allocation })).status).toBe(401)
    await curl(first, 'POST /internal/servers/allocate', done, { headers: asNode, body: allocation })
    const running = async () => (await api.running('extra')).some(({ id }) => id === replica.replicaId)
    await seed.until('the replica runs', running)
    await curl(first, 'POST /internal/servers/release', done, { headers: asNode, body: replica })
    await seed.until('it is gone', async () => !(await running().catch(() => false)))
  }, 60_000)

  test('[R135] [R136] settings files in the place of the environment do the same', async () => {
    await using seed = await Seed.make()
    const port = await freePort()
    const settings = {
      mcpServers: { fetch: fixture('minimal') },
      cluster: {
        enabled: true,
        role: 'master',
        nodeId: 'master-001',
        master: {
          host: '127.0.0.1',
          port,
          heartbeatInterval: 5000,
          heartbeatTimeout: 15000,
          loadBalanceStrategy: 'least-connections',
        },
        security: { token: TOKEN, tlsEnabled: false },
      },
    }
    const coordinator = await seed.start('master', { settings: JSON.stringify(settings), port })
    const workerPort = await freePort()
    const own = {
      cluster: {
        enabled: true,
        role: 'worker',
        nodeId: 'worker-001',
        worker: {
          masterUrl: coordinator.url,
          advertiseHost: '127.0.0.1',
          advertisePort: workerPort,
          maxServers: 20,
        },
        security: { token: TOKEN },
      },
    }
    await seed.start('worker-001', { settings: JSON.stringify(own), port: workerPort })
    const api = new ClusterApi(coordinator.url, undefined)
    const node = await seed.until('the worker is online', async () => {
      const seen = await api.node('worker-001')
      return seen?.status === 'online' ? seen : undefined
    })
    expect(node['maxServers']).toBe(20)
    await seed.until('fetch runs there', async () => {
      const running = await api.running('fetch')
      return running.length === 1 && running[0]?.nodeId === 'worker-001'
    })
  }, 60_000)
})
