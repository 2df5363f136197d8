import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { afterFailure } from './replica-state.ts'

const POLICY = { initialMs: 100, maxMs: 1_000, factor: 2, healthyAfterMs: 5_000 }
const ERROR = new HubError('upstream.lost', 'Gone.')

describe('after a failure', () => {
  test.each([
    ['the first', 0, 0, 1, 1_100],
    ['the second in a row', 1, 0, 2, 1_200],
    ['one after many', 50, 0, 51, 2_000],
    ['one after a run that was too short to count', 3, 4_999, 4, 1_800],
    ['one after a healthy run: everything begins anew', 3, 5_000, 1, 1_100],
  ])('(%s) the count and the time of the next try follow', (_what, failures, ranForMs, count, retryAt) => {
    expect(afterFailure(ERROR, { failures, ranForMs }, 1_000, POLICY, 1)).toEqual({
      kind: 'failed',
      error: ERROR,
      failures: count,
      retryAt,
    })
  })

  test('the dice decide on the upper half of the wait', () => {
    expect(afterFailure(ERROR, { failures: 0, ranForMs: 0 }, 0, POLICY, 0).retryAt).toBe(50)
  })
})
