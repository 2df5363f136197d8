import type { Autoscale } from '../../domain/cluster.ts'

/** What autoscaling remembers of one server. Times are of the monotonic clock, in milliseconds. */
export interface ScaleState {
  readonly desired: number
  /** Calls in flight, evened out over a few seconds: a single look at them is mostly chance. */
  readonly calls: number
  readonly at: number
  /** Since when the load has asked for more, or for fewer. */
  readonly moreSince: number | undefined
  readonly fewerSince: number | undefined
}

export interface ScaleInput {
  /** In flight now. */
  readonly calls: number
  readonly now: number
  /** A call has come for a server that has no replica. */
  readonly woken: boolean
}

/** A change of load counts for two thirds after this long, or sooner where the rule is in more of a hurry. */
const SMOOTHING_MS = 5_000
/** Fewer calls than this are none: the evened-out number never comes down to zero by itself. */
const NO_CALLS = 0.05

export function newScale(rule: Autoscale, desired: number, now: number): ScaleState {
  return { desired: clamp(rule, desired), calls: 0, at: now, moreSince: undefined, fewerSince: undefined }
}

/**
 * One more replica once the load has asked for more for `upAfterMs`, one fewer once it has asked for fewer for `downAfterMs`; then the
 * time counts anew. From zero to one at the first call.
 */
export function autoscale(rule: Autoscale, past: ScaleState, { calls, now, woken }: ScaleInput): ScaleState {
  const seen = smoothed(past, calls, { now, overMs: Math.min(SMOOTHING_MS, rule.upAfterMs) })
  const desired = clamp(rule, past.desired)
  const wanted = clamp(rule, seen < NO_CALLS ? 0 : Math.ceil(seen / rule.targetCalls))
  const still = { calls: seen, at: now, moreSince: undefined, fewerSince: undefined }
  if (desired === 0) return { ...still, desired: (woken || calls > 0) && rule.max > 0 ? 1 : 0 }
  if (woken || wanted === desired) return { ...still, desired }
  if (wanted > desired) {
    const moreSince = past.moreSince ?? now
    const isTime = now - moreSince >= rule.upAfterMs
    return isTime ? { ...still, desired: desired + 1 } : { ...still, desired, moreSince }
  }
  const fewerSince = past.fewerSince ?? now
  const isTime = now - fewerSince >= rule.downAfterMs
  return isTime ? { ...still, desired: desired - 1 } : { ...still, desired, fewerSince }
}

function smoothed(
  past: ScaleState,
  calls: number,
  { now, overMs }: { readonly now: number; readonly overMs: number },
): number {
  const weight = overMs === 0 ? 1 : 1 - Math.exp(-Math.max(0, now - past.at) / overMs)
  return past.calls + (calls - past.calls) * weight
}

function clamp({ min, max }: Autoscale, count: number): number {
  return Math.max(min, Math.min(Math.max(min, max), count))
}
