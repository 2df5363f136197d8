import type { Clock } from '../../kernel/clock.ts'

export interface TimeLimit {
  readonly clock: Clock
  readonly ms: number
  readonly signal: AbortSignal
}

/** Does `act` with a signal that is aborted when the one given is, or once the time is up. */
export async function withTimeLimit<T>(
  { clock, ms, signal }: TimeLimit,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const giveUp = () => abort.abort()
  signal.addEventListener('abort', giveUp, { once: true })
  const timer = clock.after(ms, giveUp)
  try {
    if (signal.aborted) giveUp()
    return await act(abort.signal)
  } finally {
    timer.stop()
    signal.removeEventListener('abort', giveUp)
  }
}
