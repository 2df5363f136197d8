import { describe, expect, test, vi } from 'vitest'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { sleep, systemClock, within } from './clock.ts'

describe('sleep', () => {
  test('lasts as long as it was told, and no timer is left', async () => {
    const clock = new FakeClock()
    const woken = vi.fn()
    void sleep(clock, 1_000).then(woken)
    await clock.advance(999)
    expect(woken).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(woken).toHaveBeenCalledOnce()
    expect(clock.pending).toBe(0)
  })

  test('ends at once when its signal is aborted meanwhile, and no timer is left', async () => {
    const clock = new FakeClock()
    const abort = new AbortController()
    const woken = vi.fn()
    void sleep(clock, 1_000, abort.signal).then(woken)
    await clock.advance(10)
    expect(woken).not.toHaveBeenCalled()
    abort.abort()
    await settle()
    expect(woken).toHaveBeenCalledOnce()
    expect(clock.pending).toBe(0)
  })

  test('does not even begin when its signal was aborted before', async () => {
    const clock = new FakeClock()
    await sleep(clock, 1_000, AbortSignal.abort())
    expect(clock.pending).toBe(0)
  })

  test('lets go of its signal when it is over', async () => {
    const clock = new FakeClock()
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    const slept = sleep(clock, 5, signal)
    await clock.advance(5)
    await slept
    expect(added).toHaveBeenCalledOnce()
    expect(removed).toHaveBeenCalledWith('abort', added.mock.calls[0]?.[1])
  })
})

describe('within', () => {
  test('gives what the promise brings when that comes in time, and no timer is left', async () => {
    const clock = new FakeClock()
    const { promise, resolve } = Promise.withResolvers<string>()
    const outcome = within(clock, 100, promise, () => 'fallback')
    await clock.advance(99)
    resolve('value')
    expect(await outcome).toBe('value')
    await settle()
    expect(clock.pending).toBe(0)
  })

  test('gives the fallback once the time is over, and what comes later changes nothing', async () => {
    const clock = new FakeClock()
    const { promise, resolve } = Promise.withResolvers<string>()
    const outcome = within(clock, 100, promise, () => 'fallback')
    await clock.advance(100)
    resolve('late')
    expect(await outcome).toBe('fallback')
  })

  test('passes on why the promise was rejected', async () => {
    const clock = new FakeClock()
    await expect(within(clock, 100, Promise.reject(new Error('no')), () => 'fallback')).rejects.toThrow('no')
    await settle()
    expect(clock.pending).toBe(0)
  })

  test('a rejection after the time is over goes unnoticed here', async () => {
    const clock = new FakeClock()
    const { promise, reject } = Promise.withResolvers<string>()
    const outcome = within(clock, 100, promise, () => 'fallback')
    await clock.advance(100)
    reject(new Error('late'))
    await settle()
    expect(await outcome).toBe('fallback')
  })

  test('is rejected with what the fallback throws', async () => {
    const clock = new FakeClock()
    const outcome = within(clock, 100, new Promise<string>(() => undefined), () => {
      throw new Error('too late')
    })
    const seen = expect(outcome).rejects.toThrow('too late')
    await clock.advance(100)
    await seen
  })
})

describe('the system clock', () => {
  test('its timers fire, and do not when they were stopped before', async () => {
    const stopped = vi.fn()
    systemClock.after(0, stopped).stop()
    systemClock.every(1, stopped).stop()
    await new Promise<void>((resolve) => systemClock.after(5, resolve))
    expect(stopped).not.toHaveBeenCalled()
  })

  test('repeats until it is stopped', async () => {
    let ticks = 0
    await new Promise<void>((resolve) => {
      const timer = systemClock.every(1, () => {
        ticks += 1
        if (ticks < 3) return
        timer.stop()
        resolve()
      })
    })
    await new Promise<void>((resolve) => systemClock.after(5, resolve))
    expect(ticks).toBe(3)
  })

  test('its monotonic time moves on', async () => {
    const before = systemClock.monotonic()
    await new Promise<void>((resolve) => systemClock.after(2, resolve))
    expect(systemClock.monotonic()).toBeGreaterThan(before)
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000)
  })
})
