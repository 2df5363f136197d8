import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'

/** A replica that has something for each holder. */
interface Holding {
  release(holderId: string): Promise<void>
}

interface Use {
  users: number
  /** Runs while nobody uses it. */
  timer: Timer | undefined
}

/** Keeps what a holder has in a replica for a while when nobody uses it any more: its coordinator may come back. */
export class HolderGrace {
  readonly #graceMs: number
  readonly #clock: Clock
  readonly #log: Logger
  readonly #uses = new Map<Holding, Map<string, Use>>()

  constructor({ graceMs, clock, log }: { graceMs: number; clock: Clock; log: Logger }) {
    this.#graceMs = graceMs
    this.#clock = clock
    this.#log = log
  }

  /** The result is to be called once, when the use is over. */
  enter(server: Holding, holder: string): () => void {
    const uses = this.#uses.get(server) ?? new Map<string, Use>()
    this.#uses.set(server, uses)
    const use = uses.get(holder) ?? { users: 0, timer: undefined }
    use.users += 1
    use.timer?.stop()
    use.timer = undefined
    uses.set(holder, use)
    return () => this.#leave(server, holder, use)
  }

  /** How many use what the holder has. */
  users(server: Holding, holder: string): number {
    return this.#uses.get(server)?.get(holder)?.users ?? 0
  }

  #leave(server: Holding, holder: string, use: Use): void {
    // It was ended meanwhile, and what the holder has now is something else.
    if (this.#uses.get(server)?.get(holder) !== use) return
    use.users -= 1
    if (use.users > 0) return
    use.timer?.stop()
    use.timer = this.#clock.after(this.#graceMs, () => this.end(server, holder))
  }

  /** The holder is gone, or has not come back. */
  end(server: Holding, holder: string): void {
    const uses = this.#uses.get(server)
    uses?.get(holder)?.timer?.stop()
    uses?.delete(holder)
    if (uses?.size === 0) this.#uses.delete(server)
    server
      .release(holder)
      .catch((error: unknown) => this.#log.error({ err: error, holder }, 'an upstream did not end cleanly'))
  }
}
