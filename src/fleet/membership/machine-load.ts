import { access, constants, readFile } from 'node:fs/promises'
import { cpus, freemem, hostname, loadavg, release, totalmem, type } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import type { NodeFacts, NodeLoad } from '../../domain/cluster.ts'
import { KNOWN_RUNTIMES } from './runtimes.ts'

/** Time of all processors together since the machine's start, ms. */
export interface ProcessorTime {
  readonly busy: number
  readonly total: number
  readonly processors: number
}

/** After so long two thirds of what was measured before are forgotten, ms. */
const MEMORY_MS = 10_000

/**
 * Measures how busy this machine is. Where servers go depends on it, so that a moment's burst must not count: what is told is an
 * average that forgets, and at first what the system says of the last minute, for by itself a node would see its own start only.
 */
export class LoadMeter {
  readonly #read: () => ProcessorTime
  #last: ProcessorTime
  #busyShare: number

  constructor(read: () => ProcessorTime = processorTime, load = loadavg()[0] ?? 0) {
    this.#read = read
    this.#last = read()
    this.#busyShare = Math.min(1, load / Math.max(1, this.#last.processors))
  }

  /** The processors' share of late, and the memory's as of now. */
  async sample(activeCalls: number): Promise<NodeLoad> {
    const now = this.#read()
    const total = now.total - this.#last.total
    // Two calls within one tick of the system's counters have nothing to say.
    if (total > 0) {
      const share = (now.busy - this.#last.busy) / total
      const weight = 1 - Math.exp(-total / now.processors / MEMORY_MS)
      this.#busyShare += weight * (share - this.#busyShare)
      this.#last = now
    }
    return { cpuPercent: percent(this.#busyShare), memoryPercent: await memoryPercent(), activeCalls }
  }
}

/** What a node says of the machine that it is on. */
export function machineFacts(): Pick<NodeFacts, 'hostname' | 'os'> {
  // The version's numbers alone: what builders append to it says nothing to others.
  const version = /^\d+(\.\d+)?/.exec(release())?.[0]
  return { hostname: hostname(), os: [type().toLowerCase(), version].filter(Boolean).join(' ') }
}

/** Which of the known runtimes are in the folders of `path`, the value of the variable PATH. */
export async function findRuntimes(path: string | undefined): Promise<readonly string[]> {
  const folders = (path ?? '').split(delimiter).filter(isAbsolute)
  const found = await Promise.all(
    KNOWN_RUNTIMES.map(async (name) => ((await isInOneOf(folders, name)) ? [name] : [])),
  )
  return found.flat()
}

async function isInOneOf(folders: readonly string[], name: string): Promise<boolean> {
  const endings = delimiter === ';' ? ['.exe', '.cmd'] : ['']
  for (const folder of folders)
    for (const ending of endings) if (await isExecutable(join(folder, name + ending))) return true
  return false
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function processorTime(): ProcessorTime {
  let busy = 0
  let total = 0
  const all = cpus()
  for (const { times } of all) {
    const working = times.user + times.nice + times.sys + times.irq
    busy += working
    total += working + times.idle
  }
  return { busy, total, processors: all.length }
}

/** On Linux what programs can still have, since free memory alone leaves out what the cache would give back. */
async function memoryPercent(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1]
  const free = available === undefined ? freemem() : Number(available) * 1024
  return percent(1 - free / totalmem())
}

function percent(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 1_000) / 10
}
