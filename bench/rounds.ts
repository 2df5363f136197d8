/** Contestants measured in turn: a, b, c, a, b, c … so that a change of the machine's mood meets all of them. */

import type { Contestant } from './contestants.ts'
import type { Driver } from './driver.ts'
import type { LoadResult } from './load.ts'
import { processorMs } from './memory.ts'
import type { Running } from './processes.ts'
import { median } from './statistics.ts'
import type { Workload } from './workloads.ts'

export type Pace = { rounds: number; durationMs: number; warmUpMs: number }
export type Round = LoadResult & { processorUsPerCall: number; helperUsPerCall: number }
export type Summary = {
  callsPerSecond: number
  p50Ms: number
  p99Ms: number
  processorUsPerCall: number
  /** Of all helpers together. */
  helperUsPerCall: number
}
export type Series = {
  section: string
  sessions: number
  contestant: string
  median: Summary
  rounds: Round[]
}

export type Match = {
  section: string
  contestants: Contestant[]
  workload: Omit<Workload, 'tool'>
  sessions: number
}

/**
 * Loads each contestant in turn until its code is compiled. How long that takes depends on how much code there is, and at one session a
 * time it would reach far into the rounds that count.
 */
export async function warm(driver: Driver, match: Omit<Match, 'sessions'>, pace: Pace): Promise<void> {
  for (let round = 0; round < WARM_ROUNDS; round++)
    for (const contestant of match.contestants)
      await playOne(driver, { ...match, sessions: WARM_SESSIONS }, contestant, pace)
}

const WARM_ROUNDS = 2
const WARM_SESSIONS = 16

export async function play(driver: Driver, match: Match, pace: Pace): Promise<Series[]> {
  const rounds = match.contestants.map((): Round[] => [])
  // Round 0 warms up: it is as long as the others and counts for nothing.
  for (let round = 0; round <= pace.rounds; round++) {
    for (const [n, contestant] of match.contestants.entries()) {
      const played = await playOne(driver, match, contestant, pace)
      if (round > 0) rounds[n]?.push(played)
    }
  }
  return match.contestants.map(({ name }, n) => {
    const own = rounds[n] ?? []
    const { section, sessions } = match
    return { section, sessions, contestant: name, median: summaryOf(own), rounds: own }
  })
}

async function playOne(driver: Driver, match: Match, contestant: Contestant, pace: Pace): Promise<Round> {
  const { url, toolPrefix, running, helpers = [] } = contestant
  const { workload, sessions } = match
  const tool = `${toolPrefix}${workload.kind}`
  const before = await processorMs(running.pid)
  const helpersBefore = await togetherMs(helpers)
  const { warmUpMs, durationMs } = pace
  const result = await driver.load({ url, sessions, warmUpMs, durationMs, workload: { ...workload, tool } })
  const spentMs = (await processorMs(running.pid)) - before
  const helpersSpentMs = (await togetherMs(helpers)) - helpersBefore
  if (result.calls === 0) throw new Error(`${contestant.name} answered no call within ${durationMs} ms`)
  // Calls of the warm-up cost time and are not counted: the share of the window is all that may be charged.
  const share = durationMs / (warmUpMs + durationMs)
  const perCall = (ms: number) => (ms * share * 1000) / result.calls
  return { ...result, processorUsPerCall: perCall(spentMs), helperUsPerCall: perCall(helpersSpentMs) }
}

async function togetherMs(processes: Running[]): Promise<number> {
  const each = await Promise.all(processes.map(({ pid }) => processorMs(pid)))
  return each.reduce((sum, ms) => sum + ms, 0)
}

export function summaryOf(rounds: Round[]): Summary {
  const over = (value: (round: Round) => number) => median(rounds.map(value))
  return {
    callsPerSecond: over(({ callsPerSecond }) => callsPerSecond),
    p50Ms: over(({ p50Ms }) => p50Ms),
    p99Ms: over(({ p99Ms }) => p99Ms),
    processorUsPerCall: over(({ processorUsPerCall }) => processorUsPerCall),
    helperUsPerCall: over(({ helperUsPerCall }) => helperUsPerCall),
  }
}

export type Comparison = {
  ofMedians: number
  medianOfRounds: number
  addedP50Ms: number
  medianAddedP50Ms: number
}

export function compare(series: Series, baseline: Series): Comparison {
  const pairs = series.rounds.flatMap((round, n) => {
    const other = baseline.rounds[n]
    return other ? [{ round, other }] : []
  })
  return {
    ofMedians: series.median.callsPerSecond / baseline.median.callsPerSecond,
    medianOfRounds: median(pairs.map(({ round, other }) => round.callsPerSecond / other.callsPerSecond)),
    addedP50Ms: series.median.p50Ms - baseline.median.p50Ms,
    medianAddedP50Ms: median(pairs.map(({ round, other }) => round.p50Ms - other.p50Ms)),
  }
}
