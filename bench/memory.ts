/** What a process uses, seen from outside. */

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { median } from './statistics.ts'

const probeTimeoutMs = 30_000
/** The kernel counts processor time in hundredths of a second on every Linux that Node runs on. */
const msPerTick = 10

export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}

export async function processorMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * msPerTick
}

export type Memory = { residentBytes: number; heapBytes: number }

/** Asks a process that was started with `probeArguments` to collect its garbage, and what is left then. */
export class GarbageProbe {
  static readonly nodeArguments = [
    '--expose-gc',
    '--import',
    fileURLToPath(new URL('gc-probe.ts', import.meta.url)),
  ]
  readonly #file: string

  constructor(directory: string) {
    this.#file = join(directory, 'memory.json')
  }

  get env(): Record<string, string> {
    return { BENCH_PROBE_FILE: this.#file }
  }

  async collect(pid: number): Promise<Memory> {
    await rm(this.#file, { force: true })
    process.kill(pid, 'SIGUSR2')
    const until = performance.now() + probeTimeoutMs
    for (;;) {
      await sleep(100)
      const report = await readFile(this.#file, 'utf8').catch(() => undefined)
      if (report !== undefined) return this.#complete(pid, JSON.parse(report) as NodeJS.MemoryUsage)
      if (performance.now() > until) throw new Error('the process did not report its memory')
    }
  }

  async #complete(pid: number, usage: NodeJS.MemoryUsage): Promise<Memory> {
    const samples: number[] = []
    for (let n = 0; n < 5; n++) {
      await sleep(200)
      samples.push(await residentBytes(pid))
    }
    return { residentBytes: median(samples), heapBytes: usage.heapUsed + usage.external }
  }
}
