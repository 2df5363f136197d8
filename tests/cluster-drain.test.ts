import { describe, expect, test } from 'vitest'
import { Cluster, counter, type Document } from './harness/cluster.ts'
import { checkHistory, failureLines } from './harness/history.ts'
import { LoadGenerator } from './harness/load.ts'

/** Three replicas on three workers; `version` changes nothing but what the processes are started with. */
function settings(version: number): Document {
  return (journals) => ({
    mcpServers: { c: counter(journals, { replicas: 3 }, '--name', `version-${version}`) },
  })
}

async function loaded(cluster: Cluster): Promise<LoadGenerator> {
  await cluster.untilRunning('c', 3)
  return LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 16, pauseMs: 5 })
}

async function expectNoFailure(cluster: Cluster, load: LoadGenerator): Promise<void> {
  const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'forward' })
  expect(verdict.violations).toEqual([])
  expect(failureLines(verdict)).toEqual([])
  expect(verdict.answered).toBeGreaterThan(10 * load.sessions.length)
}

describe('maintenance under load, with no failed call', () => {
  test('every worker in turn is drained, and has nothing left', async () => {
    await using cluster = await Cluster.start({ coordinator: settings(1), workers: 3 })
    const load = await loaded(cluster)
    for (const { name } of cluster.workers) {
      await cluster.api.drain(name)
      await cluster.until(
        `${name} is empty, and three replicas run elsewhere`,
        async () => {
          const replicas = await cluster.api.replicas('c')
          const elsewhere = replicas.filter(({ nodeId, phase }) => nodeId !== name && phase === 'running')
          return replicas.length === 3 && elsewhere.length === 3
        },
        20_000,
      )
      expect(await cluster.api.node(name)).toMatchObject({ cordoned: true, draining: true })
      await cluster.api.uncordon(name)
      expect(await cluster.api.node(name)).toMatchObject({ cordoned: false, draining: false })
    }
    await expectNoFailure(cluster, load)
  }, 90_000)

  test('[R80] a changed server is rolled out, one replica after the other', async () => {
    await using cluster = await Cluster.start({ coordinator: settings(1), workers: 3 })
    const load = await loaded(cluster)
    const before = new Map((await cluster.api.replicas('c')).map(({ id, epoch }) => [id, epoch]))
    const fewest: number[] = []
    await cluster.edit(settings(2))
    await cluster.until(
      'all replicas are new',
      async () => {
        const replicas = await cluster.api.replicas('c')
        const running = replicas.filter(({ phase }) => phase === 'running')
        fewest.push(running.length)
        const old = replicas.filter(({ id, epoch }) => before.get(id) === epoch)
        return old.length === 0 && running.length === 3 && replicas.length === 3
      },
      30_000,
    )
    expect(Math.min(...fewest)).toBeGreaterThanOrEqual(3)
    await expectNoFailure(cluster, load)
  }, 90_000)

  test('a worker that is told to end gives its replicas away first', async () => {
    await using cluster = await Cluster.start({ coordinator: settings(1), workers: 3 })
    const load = await loaded(cluster)
    const leaving = cluster.worker('worker-3')
    expect(await leaving.stop()).toBe(0)
    await cluster.until('three replicas run elsewhere', async () => {
      const running = await cluster.api.running('c')
      return running.length === 3 && running.every(({ nodeId }) => nodeId !== leaving.name)
    })
    await expectNoFailure(cluster, load)
  }, 60_000)
})
