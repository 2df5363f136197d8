/** The report in words: the same cells as plain text for the terminal and as Markdown for the file. */

import type { Check, Report, Row } from './report.ts'
import { checksOf, rowsOf } from './report.ts'

export type Table = { head: string[]; body: string[][] }

const mb = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MB`
const kb = (bytes: number) => `${(bytes / 1024).toFixed(2)} KB`

function measured(rows: Row[]): Table {
  const head = ['load', 'sessions', 'contestant', 'calls/s', 'p50 ms', 'p99 ms', 'own µs/call', 'against']
  head.push('ratio of medians', 'median ratio', 'added p50 ms')
  const body = rows.map(({ series, versus }) => {
    const { callsPerSecond, p50Ms, p99Ms, processorUsPerCall } = series.median
    const figures = [
      callsPerSecond.toFixed(callsPerSecond < 1000 ? 1 : 0),
      p50Ms.toFixed(3),
      p99Ms.toFixed(3),
    ]
    const own = [
      series.section,
      String(series.sessions),
      series.contestant,
      ...figures,
      processorUsPerCall.toFixed(0),
    ]
    if (!versus) return [...own, '', '', '', '']
    const { ofMedians, medianOfRounds, medianAddedP50Ms } = versus.comparison
    return [
      ...own,
      versus.baseline,
      ofMedians.toFixed(3),
      medianOfRounds.toFixed(3),
      medianAddedP50Ms.toFixed(3),
    ]
  })
  return { head, body }
}

export function judged(checks: Check[]): Table {
  const body = checks.map(({ name, value, limit, unit, isReached }) => {
    return [name, `${value.toFixed(3)} ${unit}`, `${limit} ${unit}`, isReached ? 'reached' : 'MISSED']
  })
  return { head: ['target', 'measured', 'limit', 'verdict'], body }
}

function facts({ date, machine, pace, hubReadyAfterMs, idle, soak }: Report): string[] {
  const { processor, cores, memoryGb, system, node, loadBefore } = machine
  const lines = [
    `${date}, ${processor}, ${cores} cores, ${memoryGb} GB, ${system}, Node ${node}, load before ${loadBefore}`,
    `${pace['rounds']} rounds of ${pace['durationMs']} ms in turn after warm-up rounds; driver, contestants and ` +
      'servers share the machine',
  ]
  if (hubReadyAfterMs !== undefined) lines.push(`hub with 51 servers ready after ${hubReadyAfterMs} ms`)
  if (idle) {
    const { sessions, before, after, ended, openedPerSecond } = idle
    lines.push(
      `${sessions} idle sessions (before → with them → ended): resident ${mb(before.residentBytes)} → ` +
        `${mb(after.residentBytes)} → ${mb(ended.residentBytes)} ` +
        `(${kb(idle.residentBytesPerSession)} each), heap ${mb(before.heapBytes)} → ${mb(after.heapBytes)} → ` +
        `${mb(ended.heapBytes)} ` +
        `(${kb(idle.heapBytesPerSession)} each), ${openedPerSecond.toFixed(0)} opened/s`,
    )
  }
  if (soak) {
    lines.push(
      `soak: ${soak.calls} calls, resident trend ${mb(soak.residentSlopeBytesPerMinute)}/min, heap grew ` +
        `${mb(soak.heapGrowthBytes)} (${soak.heapGrowthBytesPerCall.toFixed(3)} bytes per call)`,
    )
  }
  return lines
}

export function asText(report: Report): string {
  const tables = [measured(rowsOf(report.series)), judged(checksOf(report))]
  return [...facts(report), ...tables.filter(({ body }) => body.length > 0).map(plain)].join('\n\n')
}

export function asMarkdown(report: Report): string {
  const lines = facts(report).map((line) => `- ${line}`)
  const tables = [measured(rowsOf(report.series)), judged(checksOf(report))]
  const parts = tables.filter(({ body }) => body.length > 0).map(markdown)
  return `${['# Bench', lines.join('\n'), ...parts].join('\n\n')}\n`
}

export function plain({ head, body }: Table): string {
  const widths = head.map((title, n) =>
    Math.max(...[title, ...body.map((row) => row[n] ?? '')].map((c) => c.length)),
  )
  const isFigure = widths.map((_width, n) => body.every((row) => /^[\d.-]*( \S+)?$/.test(row[n] ?? '')))
  const line = (row: string[]) => {
    const cells = row.map((cell, n) =>
      isFigure[n] ? cell.padStart(widths[n] ?? 0) : cell.padEnd(widths[n] ?? 0),
    )
    return cells.join('  ').trimEnd()
  }
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line)].join('\n')
}

export function markdown({ head, body }: Table): string {
  const line = (row: string[]) => `| ${row.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')
}
