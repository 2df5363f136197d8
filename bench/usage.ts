/** `node bench/usage.ts [--quick] [--label words]`: what recording costs. Calls go to one hub while it records nothing, its calls, and as many records
 *  beside them as make 20,000 a second in all, in turn; every record must be in SQLite in the end. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { stdioServer, Workplace } from './contestants.ts'
import { Driver } from './driver.ts'
import { labelOf, machine } from './machine.ts'
import { processorMs } from './memory.ts'
import { Processes, type Running } from './processes.ts'
import { compare, type Round, type Series, summaryOf } from './rounds.ts'
import { median } from './statistics.ts'
import type { UsageCounts } from './usage-hub.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, label: { type: 'string' } },
})
const rate = 20_000
const modes = ['off', 'calls', String(rate)] as const
/** Sixteen rounds of 2.5 seconds: 40 s at the full rate for each number of sessions. */
const pace = options.quick
  ? { rounds: 2, durationMs: 1000, warmUpMs: 200 }
  : { rounds: 16, durationMs: 2500, warmUpMs: 300 }
type UsageRound = Round & { recordsPerSecond: number }
type UsageSeries = Series & { recordsPerSecond: number }

/** Three sessions alone make the full rate, sixteen more than that. */
const sessionCounts = [1, 3, 16]
const answerMs = 60_000

async function switchTo(hub: Running, mode: string): Promise<UsageCounts> {
  hub.writeLine(mode)
  return JSON.parse(await hub.nextLine(answerMs)) as UsageCounts
}

async function playOne(
  driver: Driver,
  hub: Running,
  url: string,
  mode: string,
  sessions: number,
): Promise<UsageRound> {
  const { fed } = await switchTo(hub, mode)
  const before = await processorMs(hub.pid)
  const { warmUpMs, durationMs } = pace
  const workload = { kind: 'echo', size: 0, tool: 'echo' } as const
  const result = await driver.load({ url, sessions, warmUpMs, durationMs, workload })
  const spentMs = (await processorMs(hub.pid)) - before
  const share = durationMs / (warmUpMs + durationMs)
  // What is still to be written must not weigh upon the next mode.
  const recorded = (await switchTo(hub, 'off')).fed - fed
  return {
    ...result,
    processorUsPerCall: (spentMs * share * 1000) / result.calls,
    helperUsPerCall: 0,
    recordsPerSecond: (recorded * 1000) / (warmUpMs + durationMs),
  }
}

async function play(driver: Driver, hub: Running, url: string, sessions: number): Promise<UsageSeries[]> {
  const rounds = new Map<string, UsageRound[]>(modes.map((mode) => [mode, []]))
  // Round 0 warms up. The order turns around each time, so that no mode is always the one behind another.
  for (let round = 0; round <= pace.rounds; round++) {
    for (const mode of round % 2 === 0 ? modes : modes.toReversed()) {
      const played = await playOne(driver, hub, url, mode, sessions)
      if (round > 0) rounds.get(mode)?.push(played)
    }
  }
  return [...rounds].map(([contestant, own]) => ({
    section: 'usage',
    sessions,
    contestant,
    median: summaryOf(own),
    rounds: own,
    recordsPerSecond: median(own.map(({ recordsPerSecond }) => recordsPerSecond)),
  }))
}

const columns = [
  'sessions',
  'recording',
  'records/s',
  'calls/s',
  'p50 ms',
  'p99 ms',
  'hub µs/call',
  'median ratio to off',
]
const titles: Record<string, string> = {
  off: 'off',
  calls: 'its calls',
  [rate]: `its calls and others, ${rate}/s in all`,
}

function rowOf(series: UsageSeries, off: UsageSeries): string[] {
  const { callsPerSecond, p50Ms, p99Ms, processorUsPerCall } = series.median
  return [
    String(series.sessions),
    titles[series.contestant] ?? series.contestant,
    series.recordsPerSecond.toFixed(0),
    callsPerSecond.toFixed(0),
    p50Ms.toFixed(3),
    p99Ms.toFixed(3),
    processorUsPerCall.toFixed(0),
    compare(series, off).medianOfRounds.toFixed(3),
  ]
}

function tableOf(all: UsageSeries[]): string {
  const rows = all.map((series) => {
    const off = all.find(({ sessions, contestant }) => sessions === series.sessions && contestant === 'off')
    return rowOf(series, off ?? series)
  })
  return [columns, columns.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

const facts = machine()
const date = new Date().toISOString()
await using workplace = await Workplace.create()
await using processes = new Processes()
const settings = join(workplace.directory, 'mcp_settings.json')
await writeFile(settings, JSON.stringify({ mcpServers: { minimal: stdioServer('minimal') } }))
const program = fileURLToPath(new URL('usage-hub.ts', import.meta.url))
const hub = processes.start('hub', [program, workplace.directory, settings])
const url = (await hub.nextLine(answerMs)).replace('listening ', '')
const driver = new Driver(processes)
const series: UsageSeries[] = []
for (const sessions of sessionCounts) series.push(...(await play(driver, hub, url, sessions)))
const counts = await switchTo(hub, 'off')

const isComplete = counts.written === counts.fed && counts.lost === 0
const summary = `${counts.fed} records noted, ${counts.written} in SQLite, ${counts.lost} lost or waiting`
const text = [
  '# Recording',
  `- ${date}, ${facts.processor}, ${facts.cores} cores, ${facts.memoryGb} GB, ${facts.system}, Node ${facts.node}, load before ${facts.loadBefore}`,
  `- ${pace.rounds} rounds of ${pace.durationMs} ms in turn; driver, hub, database and server share the machine`,
  `- ${summary}`,
  '',
  tableOf(series),
].join('\n')
process.stdout.write(`${text}\n`)
const folder = new URL('results/', import.meta.url)
await mkdir(folder, { recursive: true })
const label = options.label ?? labelOf(facts)
const file = new URL(`usage-${date.slice(0, 16).replace(':', '')}-${label}.json`, folder)
await writeFile(
  file,
  `${JSON.stringify({ date, machine: facts, pace, rate, counts, series }, undefined, 2)}\n`,
)
if (!options.quick) await writeFile(new URL('usage-latest.md', folder), `${text}\n`)
process.stderr.write(`written: ${fileURLToPath(file)}\n`)
if (!isComplete) process.exitCode = 1
