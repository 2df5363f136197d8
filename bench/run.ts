/** `node bench/run.ts [--quick] [--soak] [--only calls,http,big,progress,idle,soak | relay] [--label words]`
 *  `--only relay` measures the yardsticks alone, without a hub. */

import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  type Contestant,
  onAll,
  onServer,
  startHttpServer,
  startHub,
  startRelay,
  stdioServer,
  Workplace,
} from './contestants.ts'
import { Driver } from './driver.ts'
import { type IdleResult, measureIdle } from './idle.ts'
import { labelOf, machine } from './machine.ts'
import { Processes } from './processes.ts'
import { checksOf, names, type Report } from './report.ts'
import { type Match, type Pace, play, type Series, warm } from './rounds.ts'
import { type SoakResult, soak } from './soak.ts'
import { asMarkdown, asText } from './tables.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    only: { type: 'string' },
    label: { type: 'string' },
  },
})

type Size = {
  pace: Pace
  idle: { warmUp: number; sessions: number }
  soak: { durationMs: number; settleMs: number; sampleMs: number; taskMs: number; sessions: number }
}

const full: Size = {
  pace: { rounds: 7, durationMs: 2500, warmUpMs: 300 },
  idle: { warmUp: 2000, sessions: 10_000 },
  soak: { durationMs: 300_000, settleMs: 60_000, sampleMs: 5000, taskMs: 10_000, sessions: 16 },
}
const quick: Size = {
  pace: { rounds: 3, durationMs: 400, warmUpMs: 100 },
  idle: { warmUp: 500, sessions: 1000 },
  soak: { durationMs: 15_000, settleMs: 5000, sampleMs: 500, taskMs: 1000, sessions: 16 },
}

const withHub = options.only !== 'relay'
const chosen = sections()
const size = options.quick ? quick : full
const sessionCounts = [1, 16, 64]
const fewSessions = [1, 16]
const otherServers = 50
/** Ten tools each, together with the four that every minimal server has. */
const extraTools = 6

function sections(): string[] {
  const usual = ['calls', 'http', 'big', 'progress']
  const extra = options.soak ? ['soak'] : []
  if (options.only === 'relay') return [...usual, ...extra]
  if (options.only === undefined) return [...usual, 'idle', ...extra]
  return [...options.only.split(','), ...extra]
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function playAll(
  driver: Driver,
  matches: Omit<Match, 'sessions'>[],
  counts: number[],
): Promise<Series[]> {
  const series: Series[] = []
  for (const match of matches.filter(({ section }) => chosen.includes(section))) {
    say(`${match.section}, warming up`)
    await warm(driver, match, size.pace)
    for (const sessions of counts) {
      say(`${match.section}, ${sessions} sessions: ${match.contestants.map(({ name }) => name).join(', ')}`)
      series.push(...(await play(driver, { ...match, sessions }, size.pace)))
    }
  }
  return series
}

function manyServers(): Record<string, Record<string, unknown>> {
  const others = Array.from({ length: otherServers }, (_, n) => `other-${String(n).padStart(2, '0')}`)
  return Object.fromEntries(['minimal', ...others].map((name) => [name, stdioServer(name, extraTools)]))
}

/** Contestants (a), (b) and (c): one hub serves the last two. */
async function overStdio(): Promise<{ series: Series[]; hubReadyAfterMs: number | undefined }> {
  await using workplace = await Workplace.create()
  await using processes = new Processes()
  const driver = new Driver(processes)
  const relay = await startRelay(processes)
  const hub = withHub ? await startHub(processes, workplace, manyServers()) : undefined
  const one = hub ? [onServer(hub, 'minimal', names.one)] : []
  const all = hub ? [onAll(hub, 'minimal', names.all)] : []
  const echo = { kind: 'echo', size: 0 } as const
  const big = { kind: 'big', size: 1_048_576 } as const
  const progress = { kind: 'progress', size: 100 } as const
  const calls = { section: 'calls', contestants: [relay, ...one, ...all], workload: echo }
  const heavy = [
    { section: 'big', contestants: [relay, ...one], workload: big },
    { section: 'progress', contestants: [relay, ...one], workload: progress },
  ]
  const series = [
    ...(await playAll(driver, [calls], sessionCounts)),
    ...(await playAll(driver, heavy, fewSessions)),
  ]
  return { series, hubReadyAfterMs: hub?.readyAfterMs }
}

/** `return await` here and below: without it the block would stop its processes before they are measured. */
async function overHttp(): Promise<Series[]> {
  await using workplace = await Workplace.create()
  await using processes = new Processes()
  const driver = new Driver(processes)
  const direct = await startHttpServer(processes)
  const contestants: Contestant[] = [direct]
  if (withHub) {
    const hub = await startHub(processes, workplace, { remote: { type: 'streamable-http', url: direct.url } })
    contestants.push(onServer(hub, 'remote', names.one))
  }
  return await playAll(
    driver,
    [{ section: 'http', contestants, workload: { kind: 'echo', size: 0 } }],
    sessionCounts,
  )
}

async function idleSessions(): Promise<IdleResult> {
  say(`idle: ${size.idle.sessions} sessions`)
  await using workplace = await Workplace.create()
  await using processes = new Processes()
  const hub = await startHub(processes, workplace, { minimal: stdioServer('minimal') }, true)
  const { url, toolPrefix, running } = onServer(hub, 'minimal', names.one)
  return await measureIdle({ url, toolPrefix, pid: running.pid }, workplace, size.idle)
}

async function soaked(): Promise<SoakResult> {
  say(`soak: ${size.soak.durationMs / 1000} s`)
  await using workplace = await Workplace.create()
  await using processes = new Processes()
  const driver = new Driver(processes)
  if (!withHub) return await soak(driver, [await startRelay(processes, workplace)], workplace, size.soak)
  const hub = await startHub(processes, workplace, { minimal: stdioServer('minimal') }, true)
  const contestants = [onServer(hub, 'minimal', names.one), onAll(hub, 'minimal', names.all)]
  return await soak(driver, contestants, workplace, size.soak)
}

async function save(report: Report): Promise<void> {
  const folder = new URL('results/', import.meta.url)
  await mkdir(folder, { recursive: true })
  const moment = report.date.slice(0, 16).replace(':', '')
  const label = options.label ?? labelOf(report.machine)
  const file = new URL(`${moment}-${label}.json`, folder)
  await writeFile(file, `${JSON.stringify({ ...report, checks: checksOf(report) }, undefined, 2)}\n`)
  // A partial or hurried run must not replace the figures that people read.
  const isWhole = options.only === undefined && !options.quick
  if (isWhole) await writeFile(new URL('latest.md', folder), asMarkdown(report))
  say(`written: ${fileURLToPath(file)}`)
}

const facts = machine()
const needsStdio = ['calls', 'big', 'progress'].some((section) => chosen.includes(section))
const stdio = needsStdio ? await overStdio() : { series: [], hubReadyAfterMs: undefined }
const http = chosen.includes('http') ? await overHttp() : []
const report: Report = {
  date: new Date().toISOString(),
  machine: facts,
  pace: size.pace,
  hubReadyAfterMs: stdio.hubReadyAfterMs,
  series: [...stdio.series, ...http],
  idle: chosen.includes('idle') ? await idleSessions() : undefined,
  soak: chosen.includes('soak') ? await soaked() : undefined,
}
process.stdout.write(`${asText(report)}\n`)
await save(report)
if (checksOf(report).some(({ isReached }) => !isReached)) process.exitCode = 1
