import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'

/** How many ids one millisecond has: a counter of 12 bits. */
const PER_TICK = 4096

/**
 * Ids of records: UUIDv7 as text (RFC 9562 §5.7). Ids of one generator sort in the order in which they were made; those of
 * different nodes differ by 62 random bits, drawn anew for each millisecond (§6.2, method 1).
 */
export class RecordIds {
  readonly #clock: Clock
  readonly #random: Random
  #tick = 0
  #count = PER_TICK
  #head = ''
  #tail = ''

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  next(): string {
    const now = this.#clock.now()
    if (now > this.#tick) this.#begin(now)
    // A clock that went back, or more ids than fit: the ids run ahead of the clock (RFC 9562 §6.2, "Counter Rollover Handling").
    else if (this.#count === PER_TICK) this.#begin(this.#tick + 1)
    const counter = this.#count.toString(16).padStart(3, '0')
    this.#count += 1
    return `${this.#head}7${counter}${this.#tail}`
  }

  #begin(tick: number): void {
    this.#tick = tick
    this.#count = 0
    const time = Math.floor(tick).toString(16).padStart(12, '0')
    this.#head = `${time.slice(0, 8)}-${time.slice(8)}-`
    const dice = Buffer.from(this.#random.id(64), 'base64url')
    // The variant of RFC 9562 §4.1: the bits 10.
    const variant = (((dice[0] ?? 0) & 0x3f) | 0x80).toString(16)
    const rest = dice.toString('hex', 1, 8).padEnd(14, '0')
    this.#tail = `-${variant}${rest.slice(0, 2)}-${rest.slice(2)}`
  }
}
