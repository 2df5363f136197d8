/** The load driver, a process of its own: a line of JSON on stdin is a task, a line on stdout its result.
 *  It lives as long as the bench, so that every contestant meets a driver which is equally warm.
 *  Closed loop: each session has one connection and sends its next call when the last is answered. */

import { createInterface } from 'node:readline'
import { Connection, Session } from './mcp-client.ts'
import { exchangeOf, type Workload } from './workloads.ts'

export type LoadTask = {
  url: string
  sessions: number
  warmUpMs: number
  durationMs: number
  workload: Workload
}
export type LoadResult = {
  calls: number
  wrong: number
  callsPerSecond: number
  p50Ms: number
  p99Ms: number
}

type Window = { from: number; until: number; latencies: number[]; wrong: number }

async function drive(session: Session, number: number, workload: Workload, window: Window): Promise<void> {
  const exchange = exchangeOf(workload, number)
  let now = performance.now()
  for (let id = 1; now < window.until; id++) {
    const { body, isRight } = exchange(id)
    const sent = performance.now()
    const reply = await session.post(body)
    now = performance.now()
    if (reply.status !== 200)
      throw new Error(`a call was answered ${reply.status}: ${reply.text().slice(0, 300)}`)
    if (!isRight(reply.messages())) window.wrong++
    if (now >= window.from && now <= window.until) window.latencies.push(now - sent)
  }
}

async function load(task: LoadTask): Promise<LoadResult> {
  const connections = Array.from({ length: task.sessions }, () => new Connection(task.url))
  try {
    const sessions = await Promise.all(connections.map((connection) => Session.open(connection)))
    const from = performance.now() + task.warmUpMs
    const window: Window = { from, until: from + task.durationMs, latencies: [], wrong: 0 }
    await Promise.all(sessions.map((session, n) => drive(session, n, task.workload, window)))
    await Promise.all(sessions.map((session) => session.end()))
    const sorted = Float64Array.from(window.latencies).sort()
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
    const callsPerSecond = (sorted.length / task.durationMs) * 1000
    return { calls: sorted.length, wrong: window.wrong, callsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99) }
  } finally {
    await Promise.all(connections.map((connection) => connection.close()))
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await load(JSON.parse(line) as LoadTask).catch((error) => ({ failed: String(error) }))
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
