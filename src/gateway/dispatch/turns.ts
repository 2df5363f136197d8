import { type Clock, within } from '../../kernel/clock.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { InFlight } from '../sessions/session.ts'
import type { Traffic } from './traffic.ts'

/** How long a call waits for its turn, ms. Beyond it the call goes ahead; a question may then have to be refused. */
const PATIENCE = { unproven: 5_000, asking: 30_000 }

/**
 * Some servers ask their clients questions (sampling, elicitation, roots) in a way that does not tell which call a question
 * belongs to: over a pipe, or over HTTP outside of the call's own stream. So that it can be told, sessions take turns on a
 * shared upstream: a call of one session is sent when no call of another is running. That costs next to nothing, because
 * it holds only
 * - for tools that have never yet been called to their end (`unproven`): a tool that once finished without asking is
 *   let through from then on;
 * - for servers that have shown that they ask (`asking`).
 * A call that waits for its client's answer does not count as running: a person who thinks does not hold up others.
 */
export class Turns {
  readonly #traffic: Traffic
  readonly #clock: Clock
  readonly #asking = new Set<string>()
  readonly #proven = new Map<string, Set<string>>()
  readonly #openAsks = new Map<InFlight, number>()

  constructor(traffic: Traffic, clock: Clock) {
    this.#traffic = traffic
    this.#clock = clock
  }

  /** Calls `go` when it is this call's turn: at once, as a rule. */
  take(call: InFlight, upstream: Upstream, go: () => void): void {
    if (!this.#mustWait(call, upstream)) return go()
    void this.#wait(call, upstream, go)
  }

  /** A call has ended by itself: what it called does not ask, unless its server is known to. */
  finished(call: InFlight): void {
    this.#openAsks.delete(call)
    if (this.#asking.has(call.server)) return
    const proven = this.#proven.get(call.server)
    if (proven) proven.add(call.what)
    else this.#proven.set(call.server, new Set([call.what]))
  }

  /** A server has asked something on a connection that does not tell whom. */
  learned(server: string): void {
    this.#asking.add(server)
    this.#proven.delete(server)
  }

  /** The call waits for its client now. */
  asked(call: InFlight, upstream: Upstream): void {
    this.#openAsks.set(call, (this.#openAsks.get(call) ?? 0) + 1)
    this.#traffic.changed(upstream)
  }

  answered(call: InFlight): void {
    const left = (this.#openAsks.get(call) ?? 1) - 1
    if (left > 0) this.#openAsks.set(call, left)
    else this.#openAsks.delete(call)
  }

  /** The calls that can have asked just now: one that waits for an answer is not asking, if any other is running. */
  suspects(upstream: Upstream): readonly InFlight[] {
    const calls = [...this.#traffic.of(upstream)]
    const running = calls.filter((call) => !this.#openAsks.has(call))
    return running.length > 0 ? running : calls
  }

  async #wait(call: InFlight, upstream: Upstream, go: () => void): Promise<void> {
    const patience = this.#asking.has(call.server) ? PATIENCE.asking : PATIENCE.unproven
    const deadline = this.#clock.monotonic() + patience
    for (let left = patience; left > 0; left = deadline - this.#clock.monotonic()) {
      await within(this.#clock, left, this.#traffic.nextChange(upstream), () => undefined)
      if (!this.#mustWait(call, upstream)) break
    }
    // In the same turn of the event loop as the last look, so that nobody slips in between.
    go()
  }

  #mustWait(call: InFlight, upstream: Upstream): boolean {
    const asking = this.#asking.has(call.server)
    if (!asking && this.#isProven(call)) return false
    for (const other of this.#traffic.of(upstream)) {
      if (other.session === call.session || this.#openAsks.has(other)) continue
      if (asking || !this.#isProven(other)) return true
    }
    return false
  }

  #isProven(call: InFlight): boolean {
    return this.#proven.get(call.server)?.has(call.what) ?? false
  }
}
