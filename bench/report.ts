/** The outcome as data: what was measured, what was to be reached, and whether it was. */

import type { IdleResult } from './idle.ts'
import type { Machine } from './machine.ts'
import { type Comparison, compare, type Series } from './rounds.ts'
import type { SoakResult } from './soak.ts'

export type Report = {
  date: string
  machine: Machine
  pace: Record<string, number>
  hubReadyAfterMs: number | undefined
  series: Series[]
  idle: IdleResult | undefined
  soak: SoakResult | undefined
}

export type Row = { series: Series; versus: { baseline: string; comparison: Comparison } | undefined }
export type Check = { name: string; value: number; limit: number; unit: string; isReached: boolean }

export const names = {
  relay: 'bare relay',
  direct: 'direct',
  one: 'hub /mcp/<server>',
  all: 'hub /mcp, 51 servers',
}

const baselineOf: Record<string, string> = { [names.all]: names.one }
const isFirst = (name: string) => name === names.relay || name === names.direct

export function rowsOf(all: Series[]): Row[] {
  return all.map((series) => {
    const { section, sessions, contestant } = series
    const group = all.filter((other) => other.section === section && other.sessions === sessions)
    const baseline = group.find((other) => {
      if (isFirst(contestant)) return false
      const wanted = baselineOf[contestant]
      return wanted ? other.contestant === wanted : isFirst(other.contestant)
    })
    if (!baseline) return { series, versus: undefined }
    return { series, versus: { baseline: baseline.contestant, comparison: compare(series, baseline) } }
  })
}

export const atLeast = (name: string, value: number, limit: number, unit: string): Check => {
  return { name, value, limit, unit, isReached: value >= limit }
}
export const atMost = (name: string, value: number, limit: number, unit: string): Check => {
  return { name, value, limit, unit, isReached: value <= limit }
}

/** Ratios are judged by the median over rounds of the ratio within a round: both sides met the same weather. */
export function checksOf({ series, idle, soak }: Report): Check[] {
  const checks: Check[] = []
  for (const { series: own, versus } of rowsOf(series.filter(({ section }) => section === 'calls'))) {
    if (!versus) continue
    const { medianOfRounds, medianAddedP50Ms } = versus.comparison
    const where = `${own.contestant} / ${versus.baseline}, ${own.sessions} sessions`
    const isOne = own.contestant === names.one
    checks.push(atLeast(`calls/s of ${where}`, medianOfRounds, isOne ? 0.8 : 0.9, '×'))
    if (isOne && own.sessions === 1) checks.push(atMost(`added p50, ${where}`, medianAddedP50Ms, 0.15, 'ms'))
  }
  if (idle) checks.push(...idleChecks(idle))
  if (soak) checks.push(...soakChecks(soak))
  return checks
}

function idleChecks({ sessions, residentBytesPerSession, heapBytesPerSession }: IdleResult): Check[] {
  const each = `of each of ${sessions} idle sessions`
  return [
    atMost(`resident memory ${each}`, residentBytesPerSession / 1024, 5, 'KB'),
    atMost(`heap after collection ${each}`, heapBytesPerSession / 1024, 5, 'KB'),
  ]
}

/** A leak of a byte or two per call would show as megabytes; a resident set breathes by some percent. */
function soakChecks({
  heapGrowthBytes,
  residentGrowthShare,
  openFilesBefore,
  openFilesAfter,
}: SoakResult): Check[] {
  return [
    atMost('soak: growth of the heap after collection', heapGrowthBytes / 1024 / 1024, 2, 'MB'),
    atMost('soak: trend of resident memory', residentGrowthShare * 100, 5, '%'),
    atMost('soak: growth of open files', openFilesAfter - openFilesBefore, 2, 'files'),
  ]
}
