import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { Cluster, counter, type Heartbeat, TOKEN } from './harness/cluster.ts'
import { checkHistory, failureLines } from './harness/history.ts'
import { LoadGenerator, moment } from './harness/load.ts'
import { LoadClient } from './harness/load-client.ts'
import { seededRandom } from './harness/seeded-random.ts'

const LINK_PATH = '/internal/cluster/link'
const BIG = 100 * 1024 * 1024

function start(heartbeat?: Heartbeat): Promise<Cluster> {
  return Cluster.start({
    ...(heartbeat ? { heartbeat } : {}),
    coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }),
    workers: 2,
  })
}

async function expectNoFailure(cluster: Cluster, load: LoadGenerator): Promise<void> {
  const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'never' })
  expect(verdict.violations).toEqual([])
  expect(failureLines(verdict)).toEqual([])
}

/** Writes bytes to a port and waits until the other side has closed, or some time has passed. */
function throwAt(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    socket.setTimeout(500, () => socket.destroy())
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.resume()
  })
}

function upgrade(path: string, more = ''): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${more}\r\n`
  )
}

/** Resident memory of a process, MB. */
async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

describe('nodes that do not belong to the cluster', () => {
  test('[R92] with a wrong token, without one, or with an old one are refused, are told why, and the cluster goes on', async () => {
    await using cluster = await start()
    await cluster.untilRunning('c', 2)
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 8 })
    const before = await cluster.api.node('worker-1')
    const rogues = await Promise.all(
      ['another-cluster-token-0123456789', '', `${TOKEN}-old`].map(async (token, n) => {
        const stranger = await cluster.launchWorker({ id: `rogue-${n}`, env: { CLUSTER_TOKEN: token } })
        // It cannot take the place of one that belongs either.
        const env = { CLUSTER_TOKEN: token, CLUSTER_NODE_ID: 'worker-1' }
        return [stranger, await cluster.launchWorker({ id: `double-${n}`, env })]
      }),
    )
    for (const rogue of rogues.flat())
      await cluster.until(`${rogue.name} knows why`, () => /token/i.test(rogue.log))
    await cluster.untilOnlyOnline('worker-1', 'worker-2')
    expect((await cluster.api.node('worker-1'))?.registeredAt).toBe(before?.registeredAt)
    expect([cluster.coordinator, ...rogues.flat()].some(({ log }) => log.includes(TOKEN))).toBe(false)
    await expectNoFailure(cluster, load)
  }, 60_000)

  test('that send rubbish to the link are thrown out, and the cluster goes on', async () => {
    await using cluster = await start()
    await cluster.untilRunning('c', 2)
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 8 })
    const random = seededRandom(7)
    const bytes = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
    const rubbish = Array.from({ length: 60 }, (_, n) => {
      if (n % 3 === 0) return bytes(200)
      const head = Buffer.from(upgrade(n % 3 === 1 ? LINK_PATH : `${LINK_PATH}/../link`, 'X-Any: 1\r\n'))
      return Buffer.concat([head, bytes(2_000)])
    })
    await Promise.all(rubbish.map((each) => throwAt(cluster.coordinator.port, each)))
    await cluster.untilOnlyOnline('worker-1', 'worker-2')
    await expectNoFailure(cluster, load)
  }, 60_000)
})

const ROUNDS = 3

describe('a result of 100 MB', () => {
  test('delays no heartbeat and no other call, and leaves nothing in the coordinator', async () => {
    // The server's line of 100 MB is one JSON text, which the worker parses in one go: on a busy machine that takes a second.
    await using cluster = await start({ intervalMs: 2_000, timeoutMs: 10_000 })
    await cluster.untilRunning('c', 2)
    const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 16 })
    const before = await residentMb(cluster.coordinator.pid)
    let peak = before
    let longestSilence = 0
    let watching = true
    const watch = (async () => {
      while (watching) {
        peak = Math.max(peak, await residentMb(cluster.coordinator.pid))
        const workers = (await cluster.api.nodes()).filter(({ role }) => role === 'worker')
        expect(workers.map(({ status }) => status)).toEqual(['online', 'online'])
        longestSilence = Math.max(longestSilence, ...workers.map((node) => Date.now() - node.lastHeartbeat))
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })()
    const client = await LoadClient.open(cluster.endpoint('c'), { timeoutMs: 60_000 })
    const from = moment()
    for (let round = 0; round < ROUNDS; round += 1) {
      const params = { name: 'big', arguments: { bytes: BIG } }
      const { status, bytes } = await client.drain({
        jsonrpc: '2.0',
        id: round,
        method: 'tools/call',
        params,
      })
      expect(status).toBe(200)
      expect(bytes).toBeGreaterThan(BIG)
    }
    const until = moment()
    await client.close()
    watching = false
    await watch
    expect(longestSilence).toBeLessThan(cluster.heartbeat.timeoutMs / 2)
    // One result, as it came, as the answer and as it waits for the client; and what was not collected yet of the one before.
    expect(peak - before).toBeLessThan(600)
    const during = load.history.filter(({ sentAt }) => sentAt >= from && sentAt <= until)
    expect(during.length).toBeGreaterThan(50)
    const byWorker = Map.groupBy(during, ({ outcome }) => (outcome.kind === 'answered' ? outcome.by.ppid : 0))
    const waits = byWorker
      .values()
      .map((calls) => Math.max(...calls.map(({ sentAt, endedAt }) => (endedAt ?? moment()) - sentAt)))
    // The worker that parses it is busy with that; the calls of the other one share the coordinator with it, and pass it there.
    expect(byWorker.size).toBe(2)
    expect(Math.min(...waits)).toBeLessThan((until - from) / ROUNDS / 2)
    await expectNoFailure(cluster, load)
  }, 120_000)
})
