interface Waiting {
  readonly enter: () => void
}

/** Lets at most `slots` holders in at a time, first come, first served. */
export class Semaphore {
  #free: number
  readonly #waiting = new Set<Waiting>()

  constructor(slots: number) {
    this.#free = slots
  }

  /**
   * Resolves when a slot is free; call the result once to give it back.
   * @throws the signal's reason when it is aborted before
   */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else await this.#turn(signal)
    let held = true
    return () => {
      if (!held) return
      held = false
      const [next] = this.#waiting
      if (next) next.enter()
      else this.#free += 1
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting)
        signal?.removeEventListener('abort', onAbort)
      }
      const waiting = {
        enter: () => {
          leave()
          resolve()
        },
      }
      const onAbort = () => {
        leave()
        reject(signal?.reason)
      }
      this.#waiting.add(waiting)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
