import { setTimeout as passed } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Cluster } from './harness/cluster.ts'
import {
  answerersBefore,
  type CallRecord,
  checkHistory,
  failureLines,
  timesToNextSuccess,
} from './harness/history.ts'
import { inFlight } from './harness/in-flight.ts'
import { LinkProxy } from './harness/link-proxy.ts'
import { type LoadGenerator, LoadSession, moment } from './harness/load.ts'
import { loadBoth, SHARED_AND_OWN } from './harness/two-loads.ts'

/** Far longer than the link is away in these tests. */
const HEARTBEAT = { intervalMs: 500, timeoutMs: 8_000 }
const CUT_MS = 1_000

interface World extends AsyncDisposable {
  readonly cluster: Cluster
  readonly proxy: LinkProxy
  /** Of the worker behind the proxy. */
  readonly pid: number
}

/** Two workers, of which the first reaches its coordinator through a proxy; `c` and `own` run on both. */
async function start(): Promise<World> {
  await using opening = new AsyncDisposableStack()
  const cluster = opening.use(await Cluster.start({ workers: 0, heartbeat: HEARTBEAT }))
  const proxy = opening.use(await LinkProxy.start(Number(new URL(cluster.url).port)))
  await Promise.all([
    cluster.addWorker({ id: 'worker-1', env: { CLUSTER_MASTER_URL: proxy.url } }),
    cluster.addWorker({ id: 'worker-2' }),
  ])
  // Only now, so that they are spread.
  await cluster.edit(SHARED_AND_OWN)
  for (const server of ['c', 'own']) await cluster.untilSpread(server, 2)
  const all = opening.move()
  return {
    cluster,
    proxy,
    pid: cluster.worker('worker-1').pid,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Clients that were answered by the worker behind the proxy last. */
function hitBy(history: readonly CallRecord[], at: number, pid: number): Set<string> {
  const before = [...answerersBefore(history, at)]
  return new Set(before.filter(([, { ppid }]) => ppid === pid).map(([client]) => client))
}

async function untilOnline(cluster: Cluster, ms: number): Promise<void> {
  await cluster.until(
    'the worker is online',
    async () => (await cluster.api.node('worker-1'))?.status === 'online',
    ms,
  )
}

/** Every session still is the first of its client, with the process that it had, and those of the lost link have gone on since. */
async function expectKept({ cluster, pid }: World, own: LoadGenerator, at: number): Promise<void> {
  const hit = hitBy(own.history, at, pid)
  expect(hit.size).toBeGreaterThan(0)
  const backAt = moment()
  await cluster.until(
    'every session has gone on',
    () =>
      [...timesToNextSuccess(own.history, backAt).values()].length === own.sessions.length &&
      [...timesToNextSuccess(own.history, backAt).values()].every(Number.isFinite),
  )
  const history = await own.stop()
  expect(own.sessions.map(({ generation }) => generation)).toEqual(own.sessions.map(() => 1))
  const before = answerersBefore(history, at)
  for (const [client, { pid: now }] of answerersBefore(history, moment()))
    expect({ client, pid: now }).toEqual({ client, pid: before.get(client)?.pid })
  const verdict = checkHistory(history, await cluster.executed(), { moves: 'never' })
  expect(verdict.violations).toEqual([])
  expect([...verdict.failures.keys()].filter((code) => code !== 'upstream.lost')).toEqual([])
}

describe('a link that is cut for less than the heartbeat timeout', () => {
  test('costs no session and no process; stateless sessions go on at once with the other replica', async () => {
    await using world = await start()
    const { cluster, proxy, pid } = world
    const { shared, own } = await loadBoth(cluster)
    const cutAt = moment()
    proxy.cut()
    await passed(CUT_MS)
    proxy.mend()
    await untilOnline(cluster, HEARTBEAT.timeoutMs)
    await expectKept(world, own, cutAt)

    const history = await shared.stop()
    const hit = hitBy(history, cutAt, pid)
    expect(hit.size).toBeGreaterThan(0)
    const times = timesToNextSuccess(history, cutAt)
    expect(Math.max(...[...hit].map((client) => times.get(client) ?? 0))).toBeLessThan(
      HEARTBEAT.timeoutMs / 4,
    )
    const verdict = checkHistory(history, await cluster.executed())
    expect(verdict.violations).toEqual([])
    expect([...verdict.failures.keys()].filter((code) => code !== 'upstream.lost')).toEqual([])
    expect(shared.sessions.every(({ generation }) => generation === 1)).toBe(true)
    expect(
      (await cluster.api.events()).filter(({ kind }) => kind === 'offline' || kind === 'replaced'),
    ).toEqual([])
  }, 90_000)

  test('ends each call in flight that may have taken effect with one clear error, and repeats those that only read', async () => {
    await using world = await start()
    const { cluster, proxy } = world
    const slow = await inFlight(cluster, { server: 'c', tool: 'slow', ms: 8_000, sessions: 12 })
    const reading = await inFlight(cluster, { server: 'c', tool: 'slow_read', ms: 5_000, sessions: 12 })
    proxy.cut()
    await passed(CUT_MS)
    proxy.mend()
    await Promise.all([slow.ended, reading.ended])
    const executed = await cluster.executed()

    const writes = checkHistory(slow.history, executed)
    expect(writes.violations).toEqual([])
    expect([...writes.failures.keys()]).toEqual(['upstream.lost'])
    const reads = checkHistory(reading.history, executed, { repeatable: new Set(['slow_read']) })
    expect(reads.violations).toEqual([])
    expect(failureLines(reads)).toEqual([])
    expect(reads.repeated).toBeGreaterThan(0)
  }, 90_000)
})

describe('a link that is open and carries nothing', () => {
  test('is noticed by both sides, and made anew before the lease is over: sessions keep their processes', async () => {
    await using world = await start()
    const { cluster, proxy, pid } = world
    const { shared, own } = await loadBoth(cluster)
    const deadAt = moment()
    proxy.swallow()
    await cluster.until(
      'the coordinator has noticed',
      async () => (await cluster.api.node('worker-1'))?.status === 'unhealthy',
      3 * HEARTBEAT.intervalMs + 750,
    )
    // New sessions do not come to it.
    const late = new LoadSession('late', { url: cluster.endpoint('c'), tool: 'next' }, [])
    const { outcome } = await late.call()
    expect(outcome.kind === 'answered' && outcome.by.ppid).toBe(cluster.worker('worker-2').pid)
    await late.close()
    await untilOnline(cluster, HEARTBEAT.timeoutMs)
    expect(moment() - deadAt).toBeLessThan(HEARTBEAT.timeoutMs)
    await expectKept(world, own, deadAt)

    const history = await shared.stop()
    expect(hitBy(history, deadAt, pid).size).toBeGreaterThan(0)
    const verdict = checkHistory(history, await cluster.executed())
    expect(verdict.violations).toEqual([])
    expect([...verdict.failures.keys()].filter((code) => code !== 'upstream.lost')).toEqual([])
    expect(
      (await cluster.api.events()).filter(({ kind }) => kind === 'offline' || kind === 'replaced'),
    ).toEqual([])
  }, 90_000)
})
