import { access, constants, readFile } from 'node:fs/promises'
import { cpus, freemem, hostname, release, totalmem, type } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import type { NodeFacts, NodeLoad } from '../../domain/cluster.ts'
import { KNOWN_RUNTIMES } from './runtimes.ts'

/** Processor time since the machine's start, in any unit. */
interface ProcessorTime {
  readonly busy: number
  readonly total: number
}

/** Measures how busy this machine is. */
export class LoadMeter {
  #last: ProcessorTime = processorTime()
  #cpuPercent = 0

  /** The processors' share since the last call, and the memory's as of now. */
  async sample(activeCalls: number): Promise<NodeLoad> {
    const now = processorTime()
    const total = now.total - this.#last.total
    // Two calls within one tick of the system's counters have nothing to say.
    if (total > 0) {
      this.#cpuPercent = percent((now.busy - this.#last.busy) / total)
      this.#last = now
    }
    return { cpuPercent: this.#cpuPercent, memoryPercent: await memoryPercent(), activeCalls }
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
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq
    busy += working
    total += working + times.idle
  }
  return { busy, total }
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
