import type { Clock, Timer } from '../../src/kernel/clock.ts'

interface Entry {
  at: number
  readonly every: number | undefined
  readonly fire: () => void
}

/** A clock that moves only when told to. */
export class FakeClock implements Clock {
  #now = 0
  readonly #entries = new Set<Entry>()

  now(): number {
    return 1_700_000_000_000 + this.#now
  }

  monotonic(): number {
    return this.#now
  }

  after(ms: number, fire: () => void): Timer {
    return this.#add({ at: this.#now + ms, every: undefined, fire })
  }

  every(ms: number, fire: () => void): Timer {
    return this.#add({ at: this.#now + ms, every: ms, fire })
  }

  /** How many timers are set: what starts must also end. */
  get pending(): number {
    return this.#entries.size
  }

  /** Moves on by `ms`, firing what falls due in its order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = next.at
      if (next.every === undefined) this.#entries.delete(next)
      else next.at += next.every
      next.fire()
      await settle()
    }
    this.#now = end
    await settle()
  }

  #add(entry: Entry): Timer {
    this.#entries.add(entry)
    return { stop: () => this.#entries.delete(entry) }
  }

  #next(end: number): Entry | undefined {
    let first: Entry | undefined
    for (const entry of this.#entries) if (entry.at <= end && (!first || entry.at < first.at)) first = entry
    return first
  }
}

/** Lets everything that only waits for promises go on. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}
