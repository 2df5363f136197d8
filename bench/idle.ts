/** What a session costs that nobody uses. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Workplace } from './contestants.ts'
import { Connection, Session } from './mcp-client.ts'
import type { Memory } from './memory.ts'

export type IdleResult = {
  sessions: number
  openedPerSecond: number
  before: Memory
  after: Memory
  ended: Memory
  residentBytesPerSession: number
  heapBytesPerSession: number
}

export type IdleSubject = { url: string; toolPrefix: string; pid: number }

const connectionCount = 16
const settleMs = 2000
const aliveSamples = 100

/** A first crowd that comes and goes lets the heap grow and the code get warm; only the second is charged. */
export async function measureIdle(
  subject: IdleSubject,
  workplace: Workplace,
  counts: { warmUp: number; sessions: number },
): Promise<IdleResult> {
  const connections = Array.from({ length: connectionCount }, () => new Connection(subject.url))
  try {
    const crowd = await openAll(connections, counts.warmUp)
    await each(connections, crowd.length, (_connection, n) => crowd[n]?.end())
    await sleep(settleMs)
    const before = await workplace.probe.collect(subject.pid)
    const started = performance.now()
    const sessions = await openAll(connections, counts.sessions)
    const openedPerSecond = (counts.sessions / (performance.now() - started)) * 1000
    await sleep(settleMs)
    const after = await workplace.probe.collect(subject.pid)
    await assertAlive(sessions, subject.toolPrefix)
    await each(connections, sessions.length, (_connection, n) => sessions[n]?.end())
    await sleep(settleMs)
    await assertEnded(sessions)
    const ended = await workplace.probe.collect(subject.pid)
    const perSession = (kind: keyof Memory) => costOf(kind, before, after, ended) / counts.sessions
    return {
      sessions: counts.sessions,
      openedPerSecond,
      before,
      after,
      ended,
      residentBytesPerSession: perSession('residentBytes'),
      heapBytesPerSession: perSession('heapBytes'),
    }
  } finally {
    await Promise.all(connections.map((connection) => connection.close()))
  }
}

/** What they added, or what their end set free, whichever is more: something that the first crowd left behind, and
 *  that went away meanwhile, must not be counted in favour of the second. */
function costOf(kind: keyof Memory, before: Memory, after: Memory, ended: Memory): number {
  return after[kind] - Math.min(before[kind], ended[kind])
}

async function openAll(connections: Connection[], count: number): Promise<Session[]> {
  const sessions: Session[] = []
  await each(connections, count, async (connection) => {
    sessions.push(await Session.open(connection))
  })
  return sessions
}

async function each(
  connections: Connection[],
  count: number,
  act: (connection: Connection, n: number) => Promise<void> | undefined,
): Promise<void> {
  let next = 0
  const work = async (connection: Connection) => {
    for (let n = next++; n < count; n = next++) await act(connection, n)
  }
  await Promise.all(connections.map(work))
}

/** A hub that forgot the sessions would look cheap. */
async function assertAlive(sessions: Session[], toolPrefix: string): Promise<void> {
  const params = { name: `${toolPrefix}echo`, arguments: { text: 'still here' } }
  const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
  for (const session of someOf(sessions)) {
    const reply = await session.post(call)
    if (reply.status === 200 && reply.text().includes('still here')) continue
    throw new Error(`one of ${sessions.length} idle sessions is dead: ${reply.status} ${reply.text()}`)
  }
}

/** So would one that keeps none and lets everybody in. */
async function assertEnded(sessions: Session[]): Promise<void> {
  for (const session of someOf(sessions)) {
    const { status } = await session.post('{"jsonrpc":"2.0","id":1,"method":"ping"}')
    if (status !== 404) throw new Error(`a session that was ended answered ${status}, and not 404`)
  }
}

function someOf(sessions: Session[]): Session[] {
  const step = Math.max(1, Math.floor(sessions.length / aliveSamples))
  return sessions.filter((_session, n) => n % step === 0)
}
