/** A timer that can be stopped. Stopping twice, or after it has fired, does nothing. */
export interface Timer {
  stop(): void
}

/**
 * Time as the code may see it. Handed in everywhere, so that tests decide what time it is.
 * `now` is wall-clock time (ms since the epoch), `monotonic` never goes back (ms, arbitrary zero).
 */
export interface Clock {
  now(): number
  monotonic(): number
  /** Calls `fire` once after `ms`. The timer does not keep the process alive. */
  after(ms: number, fire: () => void): Timer
  /** Calls `fire` every `ms` until stopped. The timer does not keep the process alive. */
  every(ms: number, fire: () => void): Timer
}

/** Node fires timers that are longer than this at once. It is 24 days: nobody waits for the difference. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fire) {
    const handle = setTimeout(fire, Math.min(ms, LONGEST_TIMER_MS))
    handle.unref()
    return { stop: () => clearTimeout(handle) }
  },
  every(ms, fire) {
    const handle = setInterval(fire, Math.min(ms, LONGEST_TIMER_MS))
    handle.unref()
    return { stop: () => clearInterval(handle) }
  },
}

/** Keeps the process alive, whose timers alone would not, until the result is called. */
export function holdProcess(): () => void {
  const handle = setInterval(() => undefined, 2 ** 30)
  return () => clearInterval(handle)
}

/** Resolves after `ms`, or at once when `signal` is or becomes aborted. Never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      timer.stop()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = clock.after(ms, finish)
    signal?.addEventListener('abort', finish, { once: true })
  })
}

/**
 * The value of `promise`, or `fallback()` once `ms` have passed. The promise goes on; its late rejection is
 * the caller's to handle.
 */
export function within<T>(clock: Clock, ms: number, promise: Promise<T>, fallback: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => {
      try {
        resolve(fallback())
      } catch (error) {
        reject(error)
      }
    })
    promise.then(resolve, reject).finally(() => timer.stop())
  })
}
