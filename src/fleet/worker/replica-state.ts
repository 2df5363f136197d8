import type { HubError } from '../../domain/errors.ts'
import { type BackoffPolicy, backoffDelay } from '../../kernel/backoff.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** The life of one replica. Times are of the monotonic clock, in milliseconds. */
export type ReplicaState =
  | { readonly kind: 'pending' }
  /** Nothing runs; the next call starts it. */
  | { readonly kind: 'asleep' }
  /** `after`: why the last try failed. */
  | { readonly kind: 'starting'; readonly since: number; readonly after?: HubError }
  | { readonly kind: 'running'; readonly since: number; readonly upstream: Upstream }
  | { readonly kind: 'failed'; readonly error: HubError; readonly failures: number; readonly retryAt: number }
  | { readonly kind: 'terminated' }

/** Why it does not run, also while it is tried again. */
export function troubleOf(state: ReplicaState | undefined): HubError | undefined {
  if (state?.kind === 'failed') return state.error
  return state?.kind === 'starting' ? state.after : undefined
}

/** The state after a failure: when to try again depends on how often it failed in a row and how long it ran before. */
export function afterFailure(
  error: HubError,
  past: { readonly failures: number; readonly ranForMs: number },
  now: number,
  policy: BackoffPolicy,
  random: number,
): Extract<ReplicaState, { kind: 'failed' }> {
  const failures = past.ranForMs >= policy.healthyAfterMs ? 1 : past.failures + 1
  return { kind: 'failed', error, failures, retryAt: now + backoffDelay(policy, failures, random) }
}
