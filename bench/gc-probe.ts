/** Loaded into a measured process with `--expose-gc --import`: on SIGUSR2 it collects all garbage and writes down
 *  what is left. The process itself need not know. */

import { renameSync, writeFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'

const path = process.env['BENCH_PROBE_FILE']

async function report(file: string): Promise<void> {
  // What finalizers release in one turn, the next collection takes away.
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await nextTurn()
  }
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()))
  renameSync(`${file}.new`, file)
}

if (path) process.on('SIGUSR2', () => void report(path))
