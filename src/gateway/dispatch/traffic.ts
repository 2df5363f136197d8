import type { Clock } from '../../kernel/clock.ts'
import { TransitMap } from '../../kernel/transit-map.ts'
import type { PendingCall, Upstream } from '../../upstream/upstream.ts'
import type { InFlight } from '../sessions/session.ts'

/** By the calls' ids. */
type Calls = TransitMap<number, InFlight>

/**
 * How long a call that was cancelled or has timed out still counts as at work in its server, ms, if no late answer tells when
 * it ended. Longer is safer with servers that ignore cancellation; shorter lets others be attributed sooner.
 */
const LINGER_MS = 30_000

/** Which calls are at work on which upstream, those included that nobody waits for any more. */
export class Traffic {
  readonly #clock: Clock
  // Weak: an upstream that has ended takes its entry with it.
  readonly #calls = new WeakMap<Upstream, Calls>()
  readonly #waiting = new Map<Upstream, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(upstream: Upstream, pending: PendingCall, call: InFlight): void {
    let calls = this.#calls.get(upstream)
    if (!calls) {
      calls = new TransitMap()
      this.#calls.set(upstream, calls)
    }
    calls.set(pending.id, call)
  }

  /** The call has come to its end in the server. */
  remove(upstream: Upstream, pending: PendingCall): void {
    if (this.#calls.get(upstream)?.delete(pending.id)) this.#changed(upstream)
  }

  /** Nobody waits any more, but the server may still be at work: what it says next can be because of this call. */
  linger(upstream: Upstream, pending: PendingCall): void {
    const timer = this.#clock.after(LINGER_MS, () => {
      stopWaiting()
      this.remove(upstream, pending)
    })
    const stopWaiting = pending.onceOver(() => {
      timer.stop()
      this.remove(upstream, pending)
    })
  }

  of(upstream: Upstream): Iterable<InFlight> {
    return this.#calls.get(upstream)?.values() ?? []
  }

  find(upstream: Upstream, pending: PendingCall): InFlight | undefined {
    return this.#calls.get(upstream)?.get(pending.id)
  }

  has(upstream: Upstream, call: InFlight): boolean {
    return call.sent !== undefined && this.find(upstream, call.sent.pending) === call
  }

  /** Resolves when a call on this upstream has ended. */
  nextChange(upstream: Upstream): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(upstream) ?? new Set()
      this.#waiting.set(upstream, waiting.add(resolve))
    })
  }

  #changed(upstream: Upstream): void {
    const waiting = this.#waiting.get(upstream)
    if (!waiting) return
    this.#waiting.delete(upstream)
    for (const wake of waiting) wake()
  }
}
