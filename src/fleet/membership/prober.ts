import type { Clock, Timer } from '../../kernel/clock.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import type { TaskGroup } from '../../kernel/task-group.ts'

export interface ProbeTarget {
  readonly id: string
  readonly host: string
  readonly port: number
}

/** Asks a node how it is: true for an answer 2xx. Never rejects, and ends soon after the signal's abort. */
export type Probe = (target: ProbeTarget, signal: AbortSignal) => Promise<boolean>

export interface ProberDeps {
  readonly clock: Clock
  readonly tasks: TaskGroup
  readonly probe: Probe
  doubtful(): readonly ProbeTarget[]
  probed(id: string, isOk: boolean): void
}

export const PROBE_INTERVAL_MS = 5_000
const MAX_AT_ONCE = 64

/** Every five seconds asks the nodes of which it is not sure that they are well. */
export class Prober {
  readonly #deps: ProberDeps
  readonly #slots = new Semaphore(MAX_AT_ONCE)
  readonly #asked = new Set<string>()
  #timer: Timer | undefined

  constructor(deps: ProberDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#timer ??= this.#deps.clock.every(PROBE_INTERVAL_MS, () => this.#round())
  }

  /** Asks nobody any more; what is under way ends with the task group. */
  close(): void {
    this.#timer?.stop()
    this.#timer = undefined
  }

  #round(): void {
    for (const target of this.#deps.doubtful()) {
      if (this.#asked.has(target.id)) continue
      this.#asked.add(target.id)
      this.#deps.tasks.run('probe', (signal) => this.#ask(target, signal))
    }
  }

  async #ask(target: ProbeTarget, signal: AbortSignal): Promise<void> {
    try {
      const leave = await this.#slots.acquire(signal)
      try {
        const isOk = await this.#deps.probe(target, signal)
        if (!signal.aborted) this.#deps.probed(target.id, isOk)
      } finally {
        leave()
      }
    } finally {
      this.#asked.delete(target.id)
    }
  }
}
