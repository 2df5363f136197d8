import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BackoffPolicy, backoffDelay, DEFAULT_BACKOFF } from './backoff.ts'

const policy: BackoffPolicy = { initialMs: 100, maxMs: 1_000, factor: 2, healthyAfterMs: 5_000 }

describe('the wait before the next try', () => {
  test.each([
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
    [5, 1_000],
    [6, 1_000],
    [1_000_000, 1_000],
  ])('after %i failures in a row it is just below %i ms at the longest', (failures, full) => {
    expect(backoffDelay(policy, failures, 1 - Number.EPSILON)).toBe(full)
  })

  test('the lower half is certain, the upper half is random', () => {
    expect(backoffDelay(policy, 3, 0)).toBe(200)
    expect(backoffDelay(policy, 3, 0.5)).toBe(300)
    expect(backoffDelay(policy, 3, 0.25)).toBe(250)
  })

  test('it is a whole number between half of the cap and the cap, however often something failed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: Number.MAX_SAFE_INTEGER }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, random) => {
          const delay = backoffDelay(DEFAULT_BACKOFF, failures, random)
          expect(Number.isInteger(delay)).toBe(true)
          expect(delay).toBeGreaterThanOrEqual(15_000)
          expect(delay).toBeLessThanOrEqual(30_000)
        },
      ),
    )
  })

  test('it never shrinks from one failure to the next when the dice are the same', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const one = backoffDelay(DEFAULT_BACKOFF, failures, random)
          expect(backoffDelay(DEFAULT_BACKOFF, failures + 1, random)).toBeGreaterThanOrEqual(one)
        },
      ),
    )
  })
})
