import type { Clock } from './clock.ts'

/** Something that changes now and then, and those who wait for that. Who stops waiting leaves nothing behind. */
export class Change {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when it is told, or after `ms`. */
  next(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        timer.stop()
        this.#waiting.delete(finish)
        resolve()
      }
      const timer = this.#clock.after(ms, finish)
      this.#waiting.add(finish)
    })
  }

  /** It has changed. */
  tell(): void {
    for (const finish of [...this.#waiting]) finish()
  }
}
