import type { InFlight } from '../sessions/session.ts'

/** Whose call is behind something that a server says on a connection that many sessions share. */
export type Attribution =
  | { readonly kind: 'one'; readonly call: InFlight }
  /** Only of calls that nobody waits for any more: it concerns nobody. */
  | { readonly kind: 'over' }
  | { readonly kind: 'none' }
  | { readonly kind: 'ambiguous' }

/**
 * A pipe does not tell to which call a question or log line belongs. It is certain only when all calls at work are of one
 * session; of these the newest that is not over is taken, for it concerns where the message is shown and not to whom.
 */
export function attribute(candidates: Iterable<InFlight>): Attribution {
  let first: InFlight | undefined
  let live: InFlight | undefined
  for (const call of candidates) {
    if (first && first.session !== call.session) return { kind: 'ambiguous' }
    first = call
    if (!call.over) live = call
  }
  if (live) return { kind: 'one', call: live }
  return { kind: first ? 'over' : 'none' }
}
