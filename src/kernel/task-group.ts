import type { Logger } from './logger.ts'

/**
 * Owns background work. `close` aborts the signal that every task got and waits until all have ended; it is safe
 * to call twice. A task that throws is logged under its name and does not disturb the others.
 */
export class TaskGroup implements AsyncDisposable {
  readonly #abort = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  run(name: string, task: (signal: AbortSignal) => Promise<unknown>): void {
    if (this.#abort.signal.aborted) return
    const started = async () => task(this.#abort.signal)
    const running: Promise<void> = started().then(
      () => undefined,
      (error: unknown) => this.report(name, error),
    )
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  /** Says that a task went wrong; an error that comes after `close` is only worth a debug line. */
  report(name: string, error: unknown): void {
    if (this.#abort.signal.aborted) this.#log.debug({ err: error, task: name }, 'task ended while closing')
    else this.#log.error({ err: error, task: name }, 'background task failed')
  }

  async close(): Promise<void> {
    this.#abort.abort()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
