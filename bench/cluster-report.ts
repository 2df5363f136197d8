/** What a cluster costs against one process, as data and in words. */

import type { Machine } from './machine.ts'
import { atLeast, atMost, type Check } from './report.ts'
import { type Comparison, compare, type Pace, type Series } from './rounds.ts'
import { judged, markdown, plain, type Table } from './tables.ts'

export type ClusterReport = { date: string; machine: Machine; pace: Pace; series: Series[] }

export const names = {
  alone: 'standalone',
  one: 'coordinator + 1 worker',
  two: 'coordinator + 2 workers, 2 replicas',
}

type Row = { series: Series; versus: Comparison | undefined }

function rowsOf(all: Series[]): Row[] {
  return all.map((series) => {
    const isBaseline = (other: Series) =>
      other.contestant === names.alone &&
      other.section === series.section &&
      other.sessions === series.sessions
    const baseline = series.contestant === names.alone ? undefined : all.find(isBaseline)
    return { series, versus: baseline && compare(series, baseline) }
  })
}

/** Only one worker is held against one process: two bring more processor than the machine of a bench may have. */
export function checksOf({ series }: ClusterReport): Check[] {
  const judgedRows = rowsOf(series).filter(
    ({ series: { section, contestant } }) => section === 'calls' && contestant === names.one,
  )
  return judgedRows.flatMap(({ series: { sessions }, versus }) => {
    if (!versus) return []
    const where = `${names.one} / ${names.alone}, ${sessions} sessions`
    const checks = [atLeast(`calls/s of ${where}`, versus.medianOfRounds, 0.85, '×')]
    if (sessions === 1) checks.push(atMost(`added p50, ${where}`, versus.medianAddedP50Ms, 0.15, 'ms'))
    return checks
  })
}

function measured(rows: Row[]): Table {
  const head = ['load', 'sessions', 'contestant', 'calls/s', 'p50 ms', 'p99 ms']
  head.push('hub µs/call', 'workers µs/call', 'ratio of medians', 'median ratio', 'added p50 ms')
  const body = rows.map(({ series: { section, sessions, contestant, median }, versus }) => {
    const { callsPerSecond, p50Ms, p99Ms, processorUsPerCall, helperUsPerCall } = median
    return [
      section,
      String(sessions),
      contestant,
      callsPerSecond.toFixed(callsPerSecond < 1000 ? 1 : 0),
      p50Ms.toFixed(3),
      p99Ms.toFixed(3),
      processorUsPerCall.toFixed(0),
      contestant === names.alone ? '' : helperUsPerCall.toFixed(0),
      ...(versus
        ? [versus.ofMedians.toFixed(3), versus.medianOfRounds.toFixed(3), versus.medianAddedP50Ms.toFixed(3)]
        : ['', '', '']),
    ]
  })
  return { head, body }
}

function facts({ date, machine, pace }: ClusterReport): string[] {
  const { processor, cores, memoryGb, system, node, loadBefore } = machine
  return [
    `${date}, ${processor}, ${cores} cores, ${memoryGb} GB, ${system}, Node ${node}, load before ${loadBefore}`,
    `${pace.rounds} rounds of ${pace.durationMs} ms in turn after warm-up rounds; driver, nodes and servers share the machine`,
    'hub: the standalone process or the coordinator; workers: all of them together',
  ]
}

export function asText(report: ClusterReport): string {
  const tables = [measured(rowsOf(report.series)), judged(checksOf(report))]
  return [...facts(report), ...tables.map(plain)].join('\n\n')
}

export function asMarkdown(report: ClusterReport): string {
  const lines = facts(report).map((line) => `- ${line}`)
  const tables = [measured(rowsOf(report.series)), judged(checksOf(report))]
  return `${['# Bench of the cluster', lines.join('\n'), ...tables.map(markdown)].join('\n\n')}\n`
}
