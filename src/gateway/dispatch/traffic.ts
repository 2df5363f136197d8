import type { PendingCall, Upstream } from '../../upstream/upstream.ts'
import type { InFlight } from '../sessions/session.ts'

type Calls = Map<PendingCall, InFlight>

/** Which calls are in flight on which upstream. */
export class Traffic {
  // Weak: an upstream that has ended takes its entry with it.
  readonly #calls = new WeakMap<Upstream, Calls>()
  readonly #waiting = new Map<Upstream, Set<() => void>>()

  add(upstream: Upstream, pending: PendingCall, call: InFlight): void {
    const calls = this.#calls.get(upstream)
    if (calls) calls.set(pending, call)
    else this.#calls.set(upstream, new Map([[pending, call]]))
  }

  remove(upstream: Upstream, pending: PendingCall): void {
    this.#calls.get(upstream)?.delete(pending)
    this.changed(upstream)
  }

  of(upstream: Upstream): Iterable<InFlight> {
    return this.#calls.get(upstream)?.values() ?? []
  }

  find(upstream: Upstream, pending: PendingCall): InFlight | undefined {
    return this.#calls.get(upstream)?.get(pending)
  }

  has(upstream: Upstream, call: InFlight): boolean {
    return call.sent !== undefined && this.find(upstream, call.sent.pending) === call
  }

  /** Resolves when a call on this upstream has ended or has begun to wait for its client. */
  nextChange(upstream: Upstream): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(upstream) ?? new Set()
      this.#waiting.set(upstream, waiting.add(resolve))
    })
  }

  changed(upstream: Upstream): void {
    const waiting = this.#waiting.get(upstream)
    if (!waiting) return
    this.#waiting.delete(upstream)
    for (const wake of waiting) wake()
  }
}
