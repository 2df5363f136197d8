import { describe, expect, test } from 'vitest'
import { Cluster, counter } from './harness/cluster.ts'
import { type CallRecord, checkHistory, failureLines } from './harness/history.ts'
import { LoadSession } from './harness/load.ts'

const SESSIONS = 500
const HALF_OF_THE_CALLS = 10
const BALANCES = ['round-robin', 'least-connections', 'weighted', 'random'] as const

interface Sweep {
  readonly cluster: Cluster
  readonly server: string
  readonly history: CallRecord[]
  readonly sessions: readonly LoadSession[]
}

async function open(cluster: Cluster, server: string, headers?: (n: number) => Record<string, string>) {
  const history: CallRecord[] = []
  const sessions = Array.from({ length: SESSIONS }, (_, n) => {
    const url = cluster.endpoint(server)
    const setup = { url, tool: 'next', cookies: true, timeoutMs: 30_000, headers: headers?.(n) ?? {} }
    return new LoadSession(`${server}-${n}`, setup, history)
  })
  await Promise.all(sessions.map((session) => session.open()))
  return { cluster, server, history, sessions }
}

async function call(sessions: readonly LoadSession[], times: number): Promise<void> {
  await Promise.all(
    sessions.map(async (session) => {
      for (let n = 0; n < times; n += 1) await session.call()
    }),
  )
}

/** Replica → how many sessions it has answered. */
function spread(history: readonly CallRecord[]): Map<string, number> {
  const pairs = new Map<string, string>()
  for (const { client, outcome } of history)
    if (outcome.kind === 'answered') pairs.set(client, outcome.by.replica)
  const counts = new Map<string, number>()
  for (const replica of pairs.values()) counts.set(replica, (counts.get(replica) ?? 0) + 1)
  return counts
}

/** 500 sessions × 20 calls, with a fifth replica in the middle: each session sees its first replica only. */
async function expectSticky({ cluster, server, history, sessions }: Sweep): Promise<void> {
  await call(sessions, HALF_OF_THE_CALLS)
  const before = spread(history)
  expect(before.size).toBe(4)
  await cluster.api.setReplicas(server, { replicas: 5 })
  await cluster.untilRunning(server, 5)
  await call(sessions, HALF_OF_THE_CALLS)
  const verdict = checkHistory(history, await cluster.executed(), { moves: 'never' })
  expect(verdict.violations).toEqual([])
  expect(failureLines(verdict)).toEqual([])
  expect(verdict.answered).toBe(SESSIONS * HALF_OF_THE_CALLS * 2)
  // Every session counts its calls in one process without a gap.
  const last = history.flatMap(({ outcome }) => (outcome.kind === 'answered' ? [outcome.by.session] : []))
  expect(Math.max(...last)).toBe(HALF_OF_THE_CALLS * 2)
  // A new session may come to the fifth; the old ones are none of its business.
  expect(spread(history)).toEqual(before)
  await Promise.all(sessions.map((session) => session.client?.drop()))
}

function start(sticky: Record<string, unknown>, servers: Record<string, Record<string, unknown>>) {
  return Cluster.start({
    coordinator: (journals) => ({
      mcpServers: Object.fromEntries(
        Object.entries(servers).map(([name, own]) => [name, counter(journals, { replicas: 4, ...own })]),
      ),
      systemConfig: { cluster: { stickySession: { enabled: true, ...sticky } } },
    }),
    workers: 2,
  })
}

describe('500 sessions × 20 calls on four replicas', () => {
  test('[R46] [R19] each session sees one replica, under every way of balancing; a fifth replica moves none', async () => {
    const servers = Object.fromEntries(BALANCES.map((strategy) => [strategy, { strategy }]))
    await using cluster = await start({ strategy: 'consistent-hash' }, servers)
    for (const strategy of BALANCES) await cluster.untilRunning(strategy, 4)
    for (const strategy of BALANCES) {
      const sweep = await open(cluster, strategy)
      await expectSticky(sweep)
      // None of the four may be forgotten; hashing and chance spread unevenly.
      const counts = [...spread(sweep.history).values()]
      expect(Math.min(...counts)).toBeGreaterThan(SESSIONS / 4 / 2.5)
    }
  }, 120_000)

  test('[R20] under the strategy `cookie` a session is told its node, and a new session that shows it comes to the same', async () => {
    const strategy = { strategy: 'cookie', cookieName: 'MCPHUB_NODE' }
    await using cluster = await start(strategy, { c: {} })
    await cluster.untilRunning('c', 4)
    const sweep = await open(cluster, 'c')
    await expectSticky(sweep)
    const cookies = sweep.sessions.map(({ client }) => client?.cookie ?? 'none')
    expect([...new Set(cookies)].sort()).toEqual(['MCPHUB_NODE=worker-1', 'MCPHUB_NODE=worker-2'])
    for (const node of ['worker-1', 'worker-2'])
      expect(await pidsReached(cluster, { cookie: `MCPHUB_NODE=${node}` })).toEqual([
        cluster.worker(node).pid,
      ])
  }, 120_000)

  test('[R21] under the strategy `header` a session comes to the node that it names', async () => {
    const strategy = { strategy: 'header', headerName: 'X-MCPHub-Node' }
    await using cluster = await start(strategy, { c: {} })
    await cluster.untilRunning('c', 4)
    await expectSticky(await open(cluster, 'c', (n) => ({ 'x-mcphub-node': `worker-${1 + (n % 2)}` })))
    for (const node of ['worker-1', 'worker-2'])
      expect(await pidsReached(cluster, { 'x-mcphub-node': node })).toEqual([cluster.worker(node).pid])
    // A node that is not there is no reason to refuse anybody.
    expect(await pidsReached(cluster, { 'x-mcphub-node': 'worker-9' })).not.toEqual([])
  }, 120_000)
})

/** The nodes' processes that answer 10 new sessions with these headers. */
async function pidsReached(cluster: Cluster, headers: Record<string, string>): Promise<number[]> {
  const history: CallRecord[] = []
  for (let n = 0; n < 10; n += 1) {
    const session = new LoadSession(
      `new-${JSON.stringify(headers)}-${n}`,
      { url: cluster.endpoint('c'), tool: 'next', headers },
      history,
    )
    await session.call()
    await session.close()
  }
  return [
    ...new Set(history.flatMap(({ outcome }) => (outcome.kind === 'answered' ? [outcome.by.ppid] : []))),
  ]
}
