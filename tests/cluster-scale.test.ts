import { describe, expect, test } from 'vitest'
import { Cluster, counter } from './harness/cluster.ts'
import { checkHistory, failureLines } from './harness/history.ts'
import { LoadGenerator } from './harness/load.ts'
import { isAlive } from './harness/wait.ts'

/** Processes that have answered so far. */
function pidsOf(load: LoadGenerator): Set<number> {
  return new Set(load.history.flatMap(({ outcome }) => (outcome.kind === 'answered' ? [outcome.by.pid] : [])))
}

describe('the number of replicas', () => {
  test('[R112] [R152] is changed over the API from 2 to 5 to 1 under load: no call fails, and what is too much ends', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }),
      workers: 2,
    })
    await cluster.untilRunning('c', 2)
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 16 })
    await cluster.api.setReplicas('c', { replicas: 5 })
    const five = await cluster.untilRunning('c', 5)
    const onFirst = five.filter(({ nodeId }) => nodeId === 'worker-1').length
    expect([2, 3]).toContain(onFirst)
    expect(await cluster.api.replication('c')).toMatchObject({ desiredReplicas: 5, currentReplicas: 5 })
    // Sessions that come now are given to the new ones too.
    const more = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 32 })
    await cluster.until('all five have answered', () => pidsOf(more).size === 5)

    await cluster.api.setReplicas('c', { replicas: 1 })
    await cluster.untilRunning('c', 1)
    await cluster.until('one process is left', () => [...pidsOf(more)].filter(isAlive).length === 1)
    const histories = await Promise.all([load.stop(), more.stop()])
    const verdict = checkHistory(histories.flat(), await cluster.executed(), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    expect(failureLines(verdict)).toEqual([])
    // It stands in the settings: the next start has it too.
    await cluster.coordinator.restart()
    expect(await cluster.untilRunning('c', 1)).toHaveLength(1)
  }, 90_000)

  test('[R167] follows the load by itself, up and down', async () => {
    const autoscale = { min: 1, max: 3, targetCalls: 2, upAfterMs: 500, downAfterMs: 1_000 }
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({ mcpServers: { c: counter(journals, { autoscale }) } }),
      workers: 2,
    })
    await cluster.untilRunning('c', 1)
    const load = await LoadGenerator.start({
      url: cluster.endpoint('c'),
      tool: 'slow',
      args: { ms: 200 },
      sessions: 8,
    })
    await cluster.untilRunning('c', 3)
    const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    expect(failureLines(verdict)).toEqual([])
    await cluster.untilRunning('c', 1)
    expect((await cluster.api.events()).filter(({ kind }) => kind === 'scaled').length).toBeGreaterThan(1)
  }, 90_000)

  test('starts from none with the first call', async () => {
    const autoscale = { min: 0, max: 2, targetCalls: 2, upAfterMs: 500, downAfterMs: 500 }
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({ mcpServers: { c: counter(journals, { autoscale }) } }),
      workers: 1,
    })
    // The very first session finds a server that nobody has ever seen running.
    const first = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 1 })
    expect(await cluster.api.running('c')).toHaveLength(1)
    const histories = [await first.stop()]
    await cluster.untilRunning('c', 0)
    const second = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 2 })
    histories.push(await second.stop())
    const verdict = checkHistory(histories.flat(), await cluster.executed(), { moves: 'never' })
    expect(verdict.violations).toEqual([])
    expect(failureLines(verdict)).toEqual([])
  }, 60_000)
})
