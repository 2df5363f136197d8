import { describe, expect, test } from 'vitest'
import { Cluster, counter } from './harness/cluster.ts'
import { answerersBefore, checkHistory } from './harness/history.ts'
import { LoadGenerator, moment } from './harness/load.ts'
import { loadBoth, SHARED_AND_OWN } from './harness/two-loads.ts'
import { isAlive } from './harness/wait.ts'

/** How much later than the rule says a state may be seen: the look itself, and a machine that is busy. */
const SEEN_MS = 750

async function untilState(cluster: Cluster, id: string, state: string, ms: number): Promise<void> {
  await cluster.until(`${id} is ${state}`, async () => (await cluster.api.node(id))?.status === state, ms)
}

describe('a worker that falls silent with its connections open', () => {
  test('[R13] [R65] [R134] is unhealthy, then offline and replaced; what it had ends when it is back; no session is held twice', async () => {
    await using cluster = await Cluster.start({
      coordinator: SHARED_AND_OWN,
      workers: 3,
    })
    await cluster.untilRunning('c', 2)
    await cluster.untilRunning('own', 2)
    const [replica] = await cluster.api.replicas('c')
    const victim = cluster.worker(replica?.nodeId ?? '')
    const { shared, own } = await loadBoth(cluster)
    const { timeoutMs } = cluster.heartbeat

    const stoppedAt = moment()
    cluster.pause(victim)
    await untilState(cluster, victim.name, 'unhealthy', timeoutMs)
    await untilState(cluster, victim.name, 'offline', timeoutMs - (moment() - stoppedAt) + SEEN_MS)
    for (const server of ['c', 'own'])
      await cluster.until(`${server} runs twice elsewhere`, async () => {
        const running = await cluster.api.running(server)
        return running.length === 2 && running.every(({ nodeId }) => nodeId !== victim.name)
      })
    const before = answerersBefore([...shared.history, ...own.history], stoppedAt)
    const old = new Set([...before.values()].filter(({ ppid }) => ppid === victim.pid).map(({ pid }) => pid))
    expect(old.size).toBeGreaterThan(0)
    // Nobody but the frozen worker could end them.
    expect([...old].every(isAlive)).toBe(true)

    cluster.resume(victim)
    await cluster.until('what the worker had has ended', () => ![...old].some(isAlive), 5_000)
    await untilState(cluster, victim.name, 'online', 5_000)
    const resumedAt = moment()
    await cluster.until('all sessions have gone on', () => {
      const calls = [...shared.history, ...own.history].filter(({ sentAt }) => sentAt > resumedAt)
      return calls.length > 100
    })
    const histories = await Promise.all([shared.stop(), own.stop()])

    const verdict = checkHistory(histories.flat(), await cluster.executed(), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    expect([...verdict.failures.keys()].filter((code) => code !== 'upstream.lost')).toEqual([])
  }, 60_000)

  test('a pause that is shorter than the timeout costs nobody their session or their process', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({
        mcpServers: { own: counter(journals, { isolation: 'session', replicas: 1 }) },
      }),
      workers: 1,
      heartbeat: { intervalMs: 250, timeoutMs: 4_000 },
    })
    await cluster.untilRunning('own', 1)
    const load = await LoadGenerator.start({
      url: cluster.endpoint('own'),
      tool: 'next',
      sessions: 4,
      pauseMs: 50,
    })
    const worker = cluster.worker('worker-1')
    cluster.pause(worker)
    await untilState(cluster, 'worker-1', 'unhealthy', 3_000)
    cluster.resume(worker)
    await untilState(cluster, 'worker-1', 'online', 5_000)
    const resumedAt = moment()
    await cluster.until(
      'all sessions have gone on',
      () => load.history.filter(({ sentAt, endedAt }) => sentAt > resumedAt && endedAt).length > 20,
    )
    const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'never' })
    expect(verdict.violations).toEqual([])
    expect(verdict.failures.size).toBe(0)
  }, 60_000)
})
