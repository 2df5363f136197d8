import { describe, expect, test } from 'vitest'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { withTimeLimit } from './time-limit.ts'

/** Something that goes on until its signal is aborted, under a limit of a second. */
function start(signal = new AbortController().signal) {
  const clock = new FakeClock()
  const end = Promise.withResolvers<string>()
  let given: AbortSignal | undefined
  const outcome = withTimeLimit({ clock, ms: 1_000, signal }, (own) => {
    given = own
    own.addEventListener('abort', () => end.reject(new Error('aborted')))
    if (own.aborted) end.reject(new Error('aborted'))
    return end.promise
  })
  outcome.catch(() => undefined)
  return { clock, outcome, end, aborted: () => given?.aborted }
}

describe('a time limit', () => {
  test('gives what comes in time, and leaves no timer', async () => {
    const { clock, outcome, end, aborted } = start()
    await clock.advance(999)
    end.resolve('value')
    expect(await outcome).toBe('value')
    expect([aborted(), clock.pending]).toEqual([false, 0])
  })

  test('ends what takes longer', async () => {
    const { clock, outcome, aborted } = start()
    await clock.advance(1_000)
    await expect(outcome).rejects.toThrow('aborted')
    expect([aborted(), clock.pending]).toEqual([true, 0])
  })

  test('ends what is no longer wanted, then or from the start', async () => {
    const abort = new AbortController()
    const { clock, outcome } = start(abort.signal)
    await clock.advance(10)
    abort.abort()
    await settle()
    await expect(outcome).rejects.toThrow('aborted')
    expect(clock.pending).toBe(0)
    await expect(start(AbortSignal.abort()).outcome).rejects.toThrow('aborted')
  })
})
