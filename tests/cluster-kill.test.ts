import { describe, expect, test } from 'vitest'
import { Cluster, counter } from './harness/cluster.ts'
import {
  answerersBefore,
  type CallRecord,
  checkHistory,
  failureLines,
  timesToNextSuccess,
} from './harness/history.ts'
import { inFlight } from './harness/in-flight.ts'
import { LoadGenerator, moment } from './harness/load.ts'

/** The calls of some clients that ended after a moment. */
function callsOf(history: readonly CallRecord[], clients: ReadonlySet<string>, since: number): CallRecord[] {
  return history.filter(({ client, endedAt }) => clients.has(client) && (endedAt ?? since) >= since)
}

describe('SIGKILL of a worker under the load of 32 sessions', () => {
  test('[R45] [R133] stateless sessions go on within 500 ms, others notice nothing, replicas run elsewhere', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 3 }) } }),
      workers: 3,
    })
    await cluster.untilSpread('c', 3)
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 32 })
    const victim = cluster.worker('worker-2')
    const pid = victim.pid
    await cluster.until('the victim has sessions', () =>
      [...answerersBefore(load.history, moment()).values()].some(({ ppid }) => ppid === pid),
    )

    const killedAt = moment()
    await cluster.kill(victim)
    await cluster.until(
      'three replicas run again, none of them on the victim',
      async () => {
        const running = await cluster.api.running('c')
        return running.length === 3 && running.every(({ nodeId }) => nodeId !== victim.name)
      },
      cluster.heartbeat.timeoutMs + 2_000,
    )
    const history = await load.stop()

    const verdict = checkHistory(history, await cluster.executed(), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    const before = answerersBefore(history, killedAt)
    const hit = new Set([...before].filter(([, { ppid }]) => ppid === pid).map(([client]) => client))
    const others = new Set([...before.keys()].filter((client) => !hit.has(client)))
    expect(hit.size).toBeGreaterThan(0)
    expect(others.size).toBeGreaterThan(0)
    const times = timesToNextSuccess(history, killedAt)
    const longest = (clients: ReadonlySet<string>) =>
      Math.max(...[...clients].map((client) => times.get(client) ?? 0))
    // What the others waited at the same moment is the machine's part, not the failover's.
    expect(longest(hit) - longest(others)).toBeLessThanOrEqual(500)
    const noticed = callsOf(history, others, killedAt).filter(({ outcome }) => outcome.kind !== 'answered')
    expect(noticed).toEqual([])
    // A call may have been in flight: it ends with this error, for it must not be executed again.
    expect([...verdict.failures.keys()].filter((code) => code !== 'upstream.lost')).toEqual([])
    expect(verdict.failures.get('upstream.lost')?.length ?? 0).toBeLessThanOrEqual(hit.size)
  }, 60_000)

  test('calls that only read are repeated elsewhere: no client sees an error', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }),
      workers: 2,
    })
    await cluster.untilSpread('c', 2)
    const reading = await inFlight(cluster, { server: 'c', tool: 'slow_read', ms: 5_000, sessions: 24 })
    await cluster.kill(cluster.worker('worker-1'))
    await reading.ended
    const verdict = checkHistory(reading.history, await cluster.executed(), {
      repeatable: new Set(['slow_read']),
      moves: 'forward',
    })
    expect(verdict.violations).toEqual([])
    expect(failureLines(verdict)).toEqual([])
    expect(verdict.repeated).toBeGreaterThan(0)
  }, 60_000)

  test('[R63] sessions with a process of their own begin anew on another worker, and the others keep theirs', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({
        mcpServers: { own: counter(journals, { isolation: 'session', replicas: 2 }) },
      }),
      workers: 2,
    })
    await cluster.untilRunning('own', 2)
    const load = await LoadGenerator.start({
      url: cluster.endpoint('own'),
      tool: 'next',
      sessions: 8,
      pauseMs: 50,
    })
    const victim = cluster.worker('worker-1')
    // The servers' parent tells on which node they are; only those of the victim may change.
    const pid = victim.pid
    const killedAt = moment()
    await cluster.kill(victim)
    await cluster.until(
      'every session has been answered since',
      () => [...timesToNextSuccess(load.history, killedAt).values()].every(Number.isFinite),
      cluster.heartbeat.timeoutMs + 5_000,
    )
    const history = await load.stop()
    const verdict = checkHistory(history, await cluster.executed(), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    const before = answerersBefore(history, killedAt)
    for (const [client, last] of answerersBefore(history, moment())) {
      const first = before.get(client)
      if (first?.ppid !== pid)
        expect({ client, replica: last.replica }).toEqual({ client, replica: first?.replica })
      else expect(last.ppid).not.toBe(pid)
    }
  }, 60_000)
})
