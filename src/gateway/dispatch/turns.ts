import { type Clock, within } from '../../kernel/clock.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { InFlight, Session } from '../sessions/session.ts'
import type { Traffic } from './traffic.ts'

/** How long a call waits for its turn, ms. Beyond it the call goes ahead; a question may then have to be refused. */
const PATIENCE = { unproven: 3_000, asking: 30_000 }
/** More names than any server has tools: beyond it we start to learn anew. */
const MAX_PROVEN = 10_000

/**
 * Some servers ask their clients questions (sampling, elicitation, roots) in a way that does not tell which call a question
 * belongs to: over a pipe, or over HTTP outside of the call's own stream. So that it can be told, sessions that can be
 * asked take turns on a shared upstream: a call of one is sent when no call of another is at work. That costs next to
 * nothing, because it holds only between sessions that declared that they can be asked, and only
 * - for tools that have never yet been called to their end (`unproven`), for a moment: a tool that once finished without
 *   asking is let through from then on;
 * - for servers that have shown that they ask (`asking`).
 */
export class Turns {
  readonly #traffic: Traffic
  readonly #clock: Clock
  readonly #asking = new Set<string>()
  readonly #proven = new Map<string, Set<string>>()

  constructor(traffic: Traffic, clock: Clock) {
    this.#traffic = traffic
    this.#clock = clock
  }

  /** Calls `go` when it is this call's turn: at once, as a rule. */
  take(call: InFlight, upstream: Upstream, go: () => void): void {
    if (!canBeAsked(call.session) || !this.#mustWait(call, upstream)) return go()
    void this.#wait(call, upstream, go)
  }

  /** A call has ended by itself: what it called does not ask, unless its server is known to. */
  finished(call: InFlight): void {
    if (this.#asking.has(call.server)) return
    const proven = this.#proven.get(call.server)
    if (!proven || proven.size >= MAX_PROVEN) this.#proven.set(call.server, new Set([call.what]))
    else proven.add(call.what)
  }

  /** A call of this server has asked something in a way that does not tell whom. */
  learned(server: string): void {
    this.#asking.add(server)
    this.#proven.delete(server)
  }

  /** The server has been replaced or removed: what was learned of it no longer counts. */
  forget(server: string): void {
    this.#asking.delete(server)
    this.#proven.delete(server)
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
      if (other.session === call.session || other.over || !canBeAsked(other.session)) continue
      if (asking || !this.#isProven(other)) return true
    }
    return false
  }

  #isProven(call: InFlight): boolean {
    return this.#proven.get(call.server)?.has(call.what) ?? false
  }
}

function canBeAsked({ identity: { capabilities } }: Session): boolean {
  return 'sampling' in capabilities || 'elicitation' in capabilities || 'roots' in capabilities
}
