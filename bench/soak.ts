/** Five minutes of load, with sessions that come and go, to see whether anything grows. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Contestant, Workplace } from './contestants.ts'
import type { Driver } from './driver.ts'
import { type Memory, openFiles, residentBytes } from './memory.ts'
import { median, slope } from './statistics.ts'

export type SoakResult = {
  calls: number
  residentSlopeBytesPerMinute: number
  residentGrowthShare: number
  heapGrowthBytes: number
  heapGrowthBytesPerCall: number
  openFilesBefore: number
  openFilesAfter: number
  samples: Sample[]
}

export type SoakPlan = {
  durationMs: number
  settleMs: number
  sessions: number
  sampleMs: number
  taskMs: number
}
type Sample = { atMs: number; residentBytes: number; openFiles: number }

const restMs = 3000

/** The contestants share one process; each task opens its own sessions and ends them. */
export async function soak(
  driver: Driver,
  contestants: Contestant[],
  workplace: Workplace,
  plan: SoakPlan,
): Promise<SoakResult> {
  const pid = contestants[0]?.running.pid
  if (pid === undefined) throw new Error('nothing to soak')
  const first = await loadFor(driver, contestants, plan, plan.settleMs)
  await sleep(restMs)
  const before = await restingMemory(workplace, pid)
  // The forced collection shrank the heap: one task of load lets it find its size again.
  const between = await loadFor(driver, contestants, plan, plan.taskMs)
  const stop = new AbortController()
  const loading = loadFor(driver, contestants, plan, plan.durationMs - plan.settleMs)
  const [second, samples] = await Promise.all([
    loading.finally(() => stop.abort()),
    sampleUntil(stop.signal, pid, plan.sampleMs),
  ])
  await sleep(restMs)
  const after = await restingMemory(workplace, pid)
  const heapGrowthBytes = after.memory.heapBytes - before.memory.heapBytes
  const perMs = slope(samples.map(({ atMs, residentBytes: y }) => ({ x: atMs, y })))
  const growth = perMs * (plan.durationMs - plan.settleMs)
  return {
    calls: first + between + second,
    residentSlopeBytesPerMinute: perMs * 60_000,
    residentGrowthShare: growth / median(samples.map((sample) => sample.residentBytes)),
    heapGrowthBytes,
    heapGrowthBytesPerCall: heapGrowthBytes / (between + second),
    openFilesBefore: before.openFiles,
    openFilesAfter: after.openFiles,
    samples,
  }
}

async function loadFor(
  driver: Driver,
  contestants: Contestant[],
  plan: SoakPlan,
  ms: number,
): Promise<number> {
  const until = performance.now() + ms
  let calls = 0
  for (let turn = 0; performance.now() < until; turn++) {
    const contestant = contestants[turn % contestants.length]
    if (!contestant) throw new Error('nothing to soak')
    const { url, toolPrefix } = contestant
    const workload = { kind: 'echo', tool: `${toolPrefix}echo`, size: 0 } as const
    const task = { url, sessions: plan.sessions, warmUpMs: 0, durationMs: plan.taskMs, workload }
    calls += (await driver.load(task)).calls
  }
  return calls
}

async function restingMemory(
  workplace: Workplace,
  pid: number,
): Promise<{ memory: Memory; openFiles: number }> {
  return { memory: await workplace.probe.collect(pid), openFiles: await openFiles(pid) }
}

async function sampleUntil(signal: AbortSignal, pid: number, everyMs: number): Promise<Sample[]> {
  const samples: Sample[] = []
  const started = performance.now()
  while (!signal.aborted) {
    const atMs = Math.round(performance.now() - started)
    samples.push({ atMs, residentBytes: await residentBytes(pid), openFiles: await openFiles(pid) })
    await sleep(everyMs, undefined, { signal }).catch((error) => {
      if (!signal.aborted) throw error
    })
  }
  return samples
}
