import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../tests/harness/fake-clock.ts'
import { KeyLimits } from './key-limits.ts'

const LIMITED = expect.objectContaining({ code: 'access.rate-limited' })

function make(requestsPerMinute: number | undefined, maxConcurrent?: number) {
  const clock = new FakeClock()
  return { clock, limits: new KeyLimits({ requestsPerMinute, maxConcurrent }, clock) }
}

describe('requests a minute', () => {
  test('may come at once, and then at an even pace', async () => {
    const { limits, clock } = make(60)
    for (let count = 0; count < 60; count += 1) limits.count(1)
    expect(() => limits.count(1)).toThrow(expect.objectContaining({ retryAfter: 1 }))
    await clock.advance(1_000)
    limits.count(1)
    expect(() => limits.count(1)).toThrow(LIMITED)
    await clock.advance(3_600_000)
    for (let count = 0; count < 60; count += 1) limits.count(1)
    expect(() => limits.count(1)).toThrow(LIMITED)
  })

  test('count each request of a batch; one that is larger than a minute allows takes all there is', () => {
    const { limits } = make(10)
    limits.count(8)
    expect(() => limits.count(3)).toThrow(expect.objectContaining({ retryAfter: 6 }))
    limits.count(2)
    const { limits: fresh } = make(10)
    fresh.count(500)
    expect(() => fresh.count(1)).toThrow(LIMITED)
  })

  test('that were refused are not counted', async () => {
    const { limits, clock } = make(1)
    limits.count(1)
    for (let count = 0; count < 100; count += 1) expect(() => limits.count(1)).toThrow(LIMITED)
    await clock.advance(60_000)
    limits.count(1)
  })

  test('stay used when the limit changes', () => {
    const { limits } = make(5)
    limits.count(5)
    limits.change({ requestsPerMinute: 100, maxConcurrent: undefined })
    expect(() => limits.count(1)).toThrow(LIMITED)
    limits.change({ requestsPerMinute: undefined, maxConcurrent: undefined })
    for (let count = 0; count < 1_000; count += 1) limits.count(1)
  })
})

describe('requests under way at once', () => {
  test('are let in up to the limit, and again when one is over', () => {
    const { limits } = make(undefined, 2)
    limits.enter()
    limits.ensureRoom()
    limits.enter()
    expect(() => limits.ensureRoom()).toThrow(LIMITED)
    expect(() => limits.enter()).toThrow(expect.objectContaining({ retryAfter: 1 }))
    limits.leave()
    limits.enter()
    expect(() => limits.enter()).toThrow(LIMITED)
  })

  test('are without end where nothing is said', () => {
    const { limits } = make(undefined)
    for (let count = 0; count < 1_000; count += 1) limits.enter()
  })
})
