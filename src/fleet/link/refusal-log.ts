import type { HubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'

const LINES_PER_MINUTE = 10
const MINUTE_MS = 60_000

/** Says who was refused, and no more than a few times a minute: anybody can be refused as often as he likes. */
export class RefusalLog {
  readonly #clock: Clock
  readonly #log: Logger
  #since = Number.NEGATIVE_INFINITY
  #lines = 0
  #silent = 0

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  add(address: string, { code, message, cure }: HubError): void {
    const now = this.#clock.monotonic()
    if (now - this.#since >= MINUTE_MS) {
      if (this.#silent > 0)
        this.#log.warn({ refused: this.#silent }, 'more nodes were refused than the lines say')
      this.#since = now
      this.#lines = 0
      this.#silent = 0
    }
    this.#lines += 1
    if (this.#lines > LINES_PER_MINUTE) this.#silent += 1
    else this.#log.warn({ address, code, ...(cure ? { cure } : {}) }, `a link was refused: ${message}`)
  }
}
