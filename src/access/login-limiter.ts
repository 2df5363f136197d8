import { isIPv6 } from 'node:net'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { HubError } from '../domain/errors.ts'

/** Failures in 15 minutes after which nobody may try again from there. Counted on this node alone. */
const FAILURES = { ofUserAndAddress: 5, ofAddress: 20, seconds: 15 * 60 }

/** Keeps people from guessing passwords, without letting them lock out somebody who is elsewhere. */
export class LoginLimiter {
  readonly #ofBoth = new RateLimiterMemory({ points: FAILURES.ofUserAndAddress, duration: FAILURES.seconds })
  readonly #ofAddress = new RateLimiterMemory({ points: FAILURES.ofAddress, duration: FAILURES.seconds })

  /**
   * Runs `attempt`, which says whether it succeeded. It is counted as a failure before it begins, so that a hundred at once
   * are not better than one after the other.
   * @throws HubError `access.rate-limited`
   */
  async guard<T>(
    username: string,
    ip: string | undefined,
    attempt: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const address = networkOf(ip ?? '')
    const both = `${address}\0${username}`
    await consume(this.#ofAddress, address)
    try {
      await consume(this.#ofBoth, both)
    } catch (error) {
      // It has not been an attempt.
      await this.#ofAddress.reward(address)
      throw error
    }
    return this.#settle(attempt, address, both)
  }

  async #settle<T>(
    attempt: () => Promise<T | undefined>,
    address: string,
    both: string,
  ): Promise<T | undefined> {
    let failed = false
    try {
      const outcome = await attempt()
      failed = outcome === undefined
      if (!failed) await this.#ofBoth.delete(both)
      return outcome
    } catch (error) {
      // A store that is away has said nothing about the password.
      await this.#ofBoth.reward(both)
      throw error
    } finally {
      if (!failed) await this.#ofAddress.reward(address)
    }
  }
}

async function consume(limiter: RateLimiterMemory, key: string): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error
    throw new HubError('access.rate-limited', 'There have been too many failed logins from here.', {
      retryAfter: Math.max(1, Math.ceil(error.msBeforeNext / 1000)),
      cure: 'Wait as long as Retry-After says.',
    })
  }
}

/** Whoever has one IPv6 address has 2^64 of them (RFC 6177): the network counts. */
export function networkOf(ip: string): string {
  const bare = ip.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(bare)) return bare
  const [head = '', tail] = bare.split('::')
  const left = head.split(':').filter(Boolean)
  const right = (tail ?? '').split(':').filter(Boolean)
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right]
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(':')
}
