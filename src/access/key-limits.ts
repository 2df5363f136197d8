import { HubError } from '../domain/errors.ts'
import type { RequestLimits } from '../domain/principal.ts'
import type { Clock } from '../kernel/clock.ts'

export interface KeyLimitsSpec {
  /** `undefined` = no limit, here and below. */
  readonly requestsPerMinute: number | undefined
  readonly maxConcurrent: number | undefined
}

/**
 * What one key may ask for. Requests come out of a bucket that holds a minute's worth and fills evenly: a burst may use up
 * the minute, and what goes on after it comes at the even pace. Counted on this node alone.
 */
export class KeyLimits implements RequestLimits {
  readonly #clock: Clock
  #spec: KeyLimitsSpec
  #left: number
  /** Monotonic time at which `#left` was right, ms. */
  #at: number
  #underWay = 0

  constructor(spec: KeyLimitsSpec, clock: Clock) {
    this.#clock = clock
    this.#spec = spec
    this.#left = spec.requestsPerMinute ?? 0
    this.#at = clock.monotonic()
  }

  /** Other limits from now on; what has been used stays used. */
  change(spec: KeyLimitsSpec): void {
    this.#refill()
    const before = this.#spec.requestsPerMinute
    const now = spec.requestsPerMinute
    if (now !== undefined) this.#left = before === undefined ? now : Math.min(now, this.#left)
    this.#spec = spec
  }

  count(requests: number): void {
    const { requestsPerMinute } = this.#spec
    if (requestsPerMinute === undefined || requests <= 0) return
    this.#refill()
    // More at once than a minute allows would never pass: it takes all there is.
    const needed = Math.min(requests, requestsPerMinute)
    if (this.#left < needed) {
      const seconds = Math.ceil(((needed - this.#left) / requestsPerMinute) * 60)
      throw new HubError('access.rate-limited', `This key may make ${requestsPerMinute} requests a minute.`, {
        retryAfter: Math.max(1, seconds),
        cure: 'Wait as long as Retry-After says, or have the limit of the key raised.',
      })
    }
    this.#left -= needed
  }

  ensureRoom(): void {
    const { maxConcurrent } = this.#spec
    if (maxConcurrent === undefined || this.#underWay < maxConcurrent) return
    throw new HubError(
      'access.rate-limited',
      `This key may have ${maxConcurrent} requests under way at once.`,
      {
        retryAfter: 1,
        cure: 'Wait for an answer before sending more, or have the limit of the key raised.',
      },
    )
  }

  enter(): void {
    this.ensureRoom()
    this.#underWay += 1
  }

  leave(): void {
    this.#underWay -= 1
  }

  #refill(): void {
    const now = this.#clock.monotonic()
    const { requestsPerMinute = 0 } = this.#spec
    this.#left = Math.min(requestsPerMinute, this.#left + ((now - this.#at) / 60_000) * requestsPerMinute)
    this.#at = now
  }
}
