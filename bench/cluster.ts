/** `node bench/cluster.ts [--quick] [--only calls,big,progress] [--label words]`
 *  One process against a coordinator with one worker and with two, in turn and in one run. */

import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startCluster } from './cluster-contestants.ts'
import { asMarkdown, asText, type ClusterReport, checksOf, names } from './cluster-report.ts'
import { onServer, startHub, stdioServer, Workplace } from './contestants.ts'
import { Driver } from './driver.ts'
import { labelOf, machine } from './machine.ts'
import { Processes } from './processes.ts'
import { type Match, type Pace, play, type Series, warm } from './rounds.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    label: { type: 'string' },
  },
})

const full: Pace = { rounds: 7, durationMs: 2500, warmUpMs: 300 }
const quick: Pace = { rounds: 3, durationMs: 400, warmUpMs: 100 }
const pace = options.quick ? quick : full
const sections = [
  { section: 'calls', workload: { kind: 'echo', size: 0 }, counts: [1, 16, 64] },
  { section: 'big', workload: { kind: 'big', size: 1_048_576 }, counts: [1, 16] },
  { section: 'progress', workload: { kind: 'progress', size: 100 }, counts: [1, 16] },
] as const

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function measure(): Promise<Series[]> {
  await using places = new AsyncDisposableStack()
  await using processes = new Processes()
  const place = async () => places.use(await Workplace.create())
  const driver = new Driver(processes)
  const hub = await startHub(processes, await place(), { minimal: stdioServer('minimal') })
  const contestants = [
    onServer(hub, 'minimal', names.alone),
    await startCluster(processes, await place(), { name: names.one, workers: 1, replicas: 1 }),
    await startCluster(processes, await place(), { name: names.two, workers: 2, replicas: 2 }),
  ]
  const series: Series[] = []
  for (const { section, workload, counts } of sections) {
    if (options.only !== undefined && !options.only.split(',').includes(section)) continue
    const match: Omit<Match, 'sessions'> = { section, contestants, workload }
    say(`${section}, warming up`)
    await warm(driver, match, pace)
    for (const sessions of counts) {
      say(`${section}, ${sessions} sessions`)
      series.push(...(await play(driver, { ...match, sessions }, pace)))
    }
  }
  return series
}

async function save(report: ClusterReport): Promise<void> {
  const folder = new URL('results/', import.meta.url)
  await mkdir(folder, { recursive: true })
  const moment = report.date.slice(0, 16).replace(':', '')
  const label = options.label ?? labelOf(report.machine)
  const file = new URL(`${moment}-cluster-${label}.json`, folder)
  await writeFile(file, `${JSON.stringify({ ...report, checks: checksOf(report) }, undefined, 2)}\n`)
  // A partial or hurried run must not replace the figures that people read.
  const isWhole = options.only === undefined && !options.quick
  if (isWhole) await writeFile(new URL('cluster-latest.md', folder), asMarkdown(report))
  say(`written: ${fileURLToPath(file)}`)
}

const facts = machine()
const report: ClusterReport = {
  date: new Date().toISOString(),
  machine: facts,
  pace,
  series: await measure(),
}
process.stdout.write(`${asText(report)}\n`)
await save(report)
if (checksOf(report).some(({ isReached }) => !isReached)) process.exitCode = 1
