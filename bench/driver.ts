/** The runner's end of the load driver. */

import { fileURLToPath } from 'node:url'
import type { LoadResult, LoadTask } from './load.ts'
import type { Processes, Running } from './processes.ts'

const marginMs = 90_000

export class Driver {
  readonly #running: Running

  constructor(processes: Processes) {
    this.#running = processes.start('load driver', [fileURLToPath(new URL('load.ts', import.meta.url))])
  }

  async load(task: LoadTask): Promise<LoadResult> {
    this.#running.writeLine(JSON.stringify(task))
    const line = await this.#running.nextLine(task.warmUpMs + task.durationMs + marginMs)
    const outcome = JSON.parse(line) as LoadResult | { failed: string }
    if ('failed' in outcome) throw new Error(`${task.url} failed under load: ${outcome.failed}`)
    if (outcome.wrong > 0) throw new Error(`${task.url} gave ${outcome.wrong} wrong answers`)
    return outcome
  }
}
