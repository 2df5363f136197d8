import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** Resolves with true once no call has been in flight for `ms`, with false when the upstream ends before that. */
export async function untilIdle(upstream: Upstream, ms: number, clock: Clock): Promise<boolean> {
  const ended = new AbortController()
  void upstream.closed.then(() => ended.abort())
  while (!ended.signal.aborted) {
    const idleFor = upstream.idleSince === undefined ? 0 : clock.monotonic() - upstream.idleSince
    if (idleFor >= ms) return true
    await sleep(clock, ms - idleFor, ended.signal)
  }
  return false
}
