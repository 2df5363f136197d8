import { describe, expect, test } from 'vitest'
import {
  allowsBatches,
  isSupportedRevision,
  LATEST_2025,
  negotiate,
  primesStreams,
  supportedRevisions,
} from './eras.ts'

describe('the revisions of the 2025 era', () => {
  test.each(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'])(
    '%s is known and agreed to',
    (revision) => {
      expect(isSupportedRevision(revision)).toBe(true)
      expect(supportedRevisions()).toContain(revision)
      expect(negotiate(revision)).toBe(revision)
    },
  )

  test.each([['2026-07-28'], ['1.0'], [''], [undefined], [null], [20_251_125], [['2025-11-25']]])(
    '%j is not known; the answer is our newest',
    (revision) => {
      expect(isSupportedRevision(revision)).toBe(false)
      expect(negotiate(revision)).toBe(LATEST_2025)
    },
  )

  test('the newest is 2025-11-25', () => {
    expect(LATEST_2025).toBe('2025-11-25')
  })

  test('batches went with 2025-06-18', () => {
    const allowed = (['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const).filter(allowsBatches)
    expect(allowed).toEqual(['2024-11-05', '2025-03-26'])
  })

  test('streams begin with an event without data since 2025-11-25', () => {
    const primed = (['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const).filter(primesStreams)
    expect(primed).toEqual(['2025-11-25'])
  })
})
