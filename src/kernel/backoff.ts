/** How long to wait before the next try. All times in milliseconds. */
export interface BackoffPolicy {
  /** Wait after the first failure. */
  readonly initialMs: number
  /** No wait is longer. Higher spares a broken server, lower finds a mended one sooner. */
  readonly maxMs: number
  /** Each failure multiplies the wait by this. */
  readonly factor: number
  /** A run at least this long counts as healthy: the next failure starts at `initialMs` again. */
  readonly healthyAfterMs: number
}

export const DEFAULT_BACKOFF: BackoffPolicy = {
  initialMs: 250,
  maxMs: 30_000,
  factor: 2,
  healthyAfterMs: 30_000,
}

/**
 * The wait before try number `failures + 1`: `initial × factor^(failures−1)`, capped, of which the upper half is
 * random, so that servers that failed together do not come back together.
 * @param failures consecutive failures so far, at least 1
 * @param random a number in [0, 1)
 */
export function backoffDelay(policy: BackoffPolicy, failures: number, random: number): number {
  const full = Math.min(policy.maxMs, policy.initialMs * policy.factor ** Math.min(failures - 1, 60))
  return Math.round(full / 2 + (full / 2) * random)
}
