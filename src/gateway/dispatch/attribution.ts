import type { InFlight } from '../sessions/session.ts'

/** Whose call is behind something that a server says on a connection that many sessions share. */
export type Attribution =
  | { readonly kind: 'one'; readonly call: InFlight }
  | { readonly kind: 'none' }
  | { readonly kind: 'ambiguous' }

/**
 * A pipe does not tell to which call a question or log line belongs. It is certain only when all calls in flight are of
 * one session; of these the newest is taken, for it concerns where the message is shown and not to whom.
 */
export function attribute(candidates: Iterable<InFlight>): Attribution {
  let newest: InFlight | undefined
  for (const call of candidates) {
    if (newest && newest.session !== call.session) return { kind: 'ambiguous' }
    newest = call
  }
  return newest ? { kind: 'one', call: newest } : { kind: 'none' }
}
