import { setTimeout as passed } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Cluster, counter, TOKEN } from './harness/cluster.ts'
import { processesOf } from './harness/cluster-node.ts'
import { checkHistory } from './harness/history.ts'
import { LinkProxy } from './harness/link-proxy.ts'
import { LoadGenerator, moment } from './harness/load.ts'
import { LoadClient } from './harness/load-client.ts'
import { freePort } from './harness/ports.ts'
import { rest } from './harness/rest.ts'
import { isAlive, until } from './harness/wait.ts'

/** By the lines of their processes, `counter`s of the coordinator's document and those of a worker's own. */
async function counters(cluster: Cluster): Promise<{ managed: number[]; pinned: number[] }> {
  const lines = await processesOf(cluster.journals)
  const pids = (which: (line: string) => boolean) =>
    lines
      .filter(which)
      .map((line) => Number.parseInt(line, 10))
      .sort()
  const isPinned = (line: string) => line.includes('--name pinned')
  return { managed: pids((line) => !isPinned(line)), pinned: pids(isPinned) }
}

function start(timeoutMs: number): Promise<Cluster> {
  return Cluster.start({
    coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }),
    workers: [
      { settings: (journals) => ({ mcpServers: { p: counter(journals, {}, '--name', 'pinned') } }) },
      {},
    ],
    heartbeat: { intervalMs: 250, timeoutMs },
  })
}

const assignments = z.looseObject({
  data: z.looseObject({
    nodes: z.array(z.looseObject({ nodeId: z.string(), confirmed: z.number().nullable() })),
  }),
})

/** Until the coordinator has placed what it wants to place, and every worker runs just that. */
async function untilPlaced(cluster: Cluster): Promise<void> {
  await cluster.until('all workers follow the coordinator', async () => {
    const { nodes } = assignments.parse(await cluster.api.ask('POST /api/cluster/sync')).data
    return nodes.length === 2 && nodes.every(({ confirmed }) => (confirmed ?? 0) > 0)
  })
}

describe('a coordinator that is killed and started again', () => {
  test('within the lease of its workers it adopts what runs there: no process is started anew, none twice', async () => {
    await using cluster = await start(8_000)
    await cluster.untilRunning('c', 2)
    await cluster.untilRunning('p', 1)
    await cluster.api.cordon('worker-2')
    const before = await counters(cluster)
    expect([before.managed.length, before.pinned.length]).toEqual([2, 1])
    const replicas = (await cluster.api.replicas('c')).map(({ id, epoch, nodeId }) => ({ id, epoch, nodeId }))
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 8 })

    const idle = await LoadClient.open(cluster.endpoint('c'))

    await cluster.coordinator.restart()
    const backAt = moment()
    expect((await idle.post({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(404)
    await idle.drop()
    await untilPlaced(cluster)
    await cluster.untilRunning('c', 2)
    await cluster.until('every client has gone on', () => {
      const going = new Set(
        load.history.flatMap(({ client, sentAt, outcome }) =>
          sentAt > backAt && outcome.kind === 'answered' ? [client] : [],
        ),
      )
      return going.size === load.sessions.length
    })
    expect(await counters(cluster)).toEqual(before)
    const now = (await cluster.api.replicas('c')).map(({ id, epoch, nodeId }) => ({ id, epoch, nodeId }))
    expect(now.sort(byId)).toEqual(replicas.sort(byId))
    const cordoned = (await cluster.api.nodes()).filter((node) => node.cordoned).map(({ id }) => id)
    expect(cordoned).toEqual(['worker-2'])

    const history = await load.stop()
    expect(load.sessions.map(({ generation }) => generation)).toEqual(load.sessions.map(() => 2))
    const verdict = checkHistory(history, await cluster.executed())
    // While the coordinator is away nobody is there who could answer.
    expect(verdict.violations.filter(({ kind }) => kind !== 'no answer')).toEqual([])
    expect(
      history.some(({ outcome }) => outcome.kind === 'answered' && !before.managed.includes(outcome.by.pid)),
    ).toBe(false)
  }, 90_000)

  test('waits for a worker that is late: what runs there is started nowhere else while its lease lasts', async () => {
    await using cluster = await Cluster.start({
      workers: 0,
      heartbeat: { intervalMs: 250, timeoutMs: 15_000 },
    })
    await using proxy = await LinkProxy.start(Number(new URL(cluster.url).port))
    await Promise.all([
      cluster.addWorker({ id: 'worker-1', env: { CLUSTER_MASTER_URL: proxy.url } }),
      cluster.addWorker({ id: 'worker-2' }),
    ])
    await cluster.edit((journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }))
    await cluster.untilSpread('c', 2)
    const before = await counters(cluster)
    proxy.cut()
    await cluster.coordinator.restart()
    await cluster.until('the other worker is back', async () => {
      const running = await cluster.api.running('c')
      return running.length === 1 && running[0]?.nodeId === 'worker-2'
    })
    // Longer than a coordinator waits that does not know of any worker.
    await passed(4_000)
    expect(await counters(cluster)).toEqual(before)
    proxy.mend()
    await cluster.untilRunning('c', 2)
    await untilPlaced(cluster)
    expect(await counters(cluster)).toEqual(before)
  }, 90_000)

  test('away for longer, its workers stop what it has placed, and go on with their own; all is placed again when it is back', async () => {
    await using cluster = await start(1_500)
    await cluster.untilRunning('c', 2)
    await cluster.untilRunning('p', 1)
    const before = await counters(cluster)
    await cluster.coordinator.kill()
    await until(
      'the workers have stopped what was placed on them',
      () => !before.managed.some(isAlive),
      5_000,
    )
    expect(await counters(cluster)).toEqual({ managed: [], pinned: before.pinned })

    await cluster.coordinator.start()
    // Whichever worker came back first may have been given both.
    await cluster.untilSpread('c', 2)
    await cluster.untilRunning('p', 1)
    const after = await counters(cluster)
    expect([after.managed.length, after.pinned]).toEqual([2, before.pinned])
    for (const server of ['c', 'p']) {
      const load = await LoadGenerator.start({ url: cluster.endpoint(server), tool: 'next', sessions: 2 })
      await load.stop()
    }
  }, 90_000)
})

test("a worker's own server can be started anew from the coordinator", async () => {
  await using cluster = await start(4_000)
  await cluster.untilRunning('p', 1)
  const { pinned: before } = await counters(cluster)
  await cluster.api.ask('POST /api/cluster/servers/p/restart')
  await cluster.until('another process has taken its place', async () => {
    const { pinned } = await counters(cluster)
    return pinned.length === 1 && pinned[0] !== before[0]
  })
  await cluster.untilRunning('p', 1)
  const after = await counters(cluster)
  await cluster.api.ask('POST /api/servers/p/reload')
  await cluster.api.ask('GET /api/servers/p/logs')
  await cluster.until('and another that of this one', async () => {
    const { pinned } = await counters(cluster)
    return pinned.length === 1 && pinned[0] !== after.pinned[0]
  })
  await cluster.untilRunning('p', 1)
  const load = await LoadGenerator.start({ url: cluster.endpoint('p'), tool: 'next', sessions: 2 })
  expect(checkHistory(await load.stop(), await cluster.executed()).violations).toEqual([])
}, 60_000)

test('what a server on a worker wrote before it failed is seen at the coordinator, without its secrets', async () => {
  const canary = 'canary-4711-of-a-worker'
  const script = 'console.error("cannot use key " + process.env.API_KEY); process.exit(3)'
  await using cluster = await Cluster.start({
    coordinator: {
      mcpServers: { bad: { command: process.execPath, args: ['-e', script], env: { API_KEY: canary } } },
    },
  })
  const shown = z.looseObject({ data: z.looseObject({ stderr: z.array(z.string()) }) })
  const stderr = await cluster.until('the reason is shown', async () => {
    const { data } = shown.parse(await cluster.api.ask('GET /api/servers/bad'))
    return data.stderr.length > 0 ? data.stderr : undefined
  })
  expect(stderr[0]).toBe('cannot use key [redacted]')
  const logs = JSON.stringify(await cluster.api.ask('GET /api/servers/bad/logs'))
  expect(logs).toContain('cannot use key [redacted]')
  expect(logs).not.toContain(canary)
}, 60_000)

test('a worker that does not register by itself joins when it is told to, and only where its settings say', async () => {
  await using cluster = await Cluster.start({ workers: 0 })
  const elsewhere = `http://127.0.0.1:${await freePort()}`
  const worker = await cluster.launchWorker({ id: 'worker-1', env: { CLUSTER_REGISTER_ON_STARTUP: 'false' } })
  const join = (body: object, headers: Record<string, string> = { 'x-cluster-token': TOKEN }) =>
    rest(worker.url, 'POST /internal/cluster/join', { body, as: { headers } })
  expect((await join({}, {})).status).toBe(401)
  expect((await join({ coordinatorUrl: elsewhere })).status).toBe(400)
  expect(await cluster.api.node('worker-1')).toBeUndefined()
  expect((await join({ coordinatorUrl: cluster.url })).status).toBe(200)
  await cluster.untilOnline(worker)
  expect((await join({})).status).toBe(200)
}, 60_000)

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}
