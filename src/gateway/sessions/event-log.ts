/**
 * What was sent on one stream, numbered, so that a client that lost its connection can have the rest. Keeps the newest
 * events within a budget; the very last is always kept, for it may be the result that nobody has collected.
 */
export class EventLog {
  readonly #budget: number
  #events: { seq: number; bytes: Buffer; at: number }[] = []
  #bytes = 0
  #lastSeq = 0

  /** @param budget bytes to keep at most, one event always excepted */
  constructor(budget: number) {
    this.#budget = budget
  }

  get lastSeq(): number {
    return this.#lastSeq
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Appends what `encode` makes for the next number; `now` is monotonic time in ms. */
  append(encode: (seq: number) => Buffer, now: number): Buffer {
    this.#lastSeq += 1
    const bytes = encode(this.#lastSeq)
    this.#events.push({ seq: this.#lastSeq, bytes, at: now })
    this.#bytes += bytes.length
    while (this.#bytes > this.#budget && this.#events.length > 1) this.#dropFirst()
    return bytes
  }

  /** Everything after event `seq`, oldest first. */
  after(seq: number): Buffer[] {
    return this.#events.filter((event) => event.seq > seq).map((event) => event.bytes)
  }

  /** Forgets events from before `time`. */
  dropBefore(time: number): void {
    while ((this.#events[0]?.at ?? time) < time) this.#dropFirst()
  }

  #dropFirst(): void {
    const first = this.#events.shift()
    if (first) this.#bytes -= first.bytes.length
  }
}
