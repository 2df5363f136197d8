import { describe, expect, test } from 'vitest'
import { systemRandom } from './random.ts'

describe('the system dice', () => {
  test('an id has the bits that were asked for, as visible ASCII, and is never seen twice', () => {
    const ids = Array.from({ length: 1_000 }, () => systemRandom.id(128))
    for (const id of ids) {
      expect(id).toMatch(/^[A-Za-z0-9_-]+$/)
      expect(Buffer.from(id, 'base64url')).toHaveLength(16)
    }
    expect(new Set(ids).size).toBe(1_000)
  })

  test('a number of bits that is no whole byte is rounded up', () => {
    expect(Buffer.from(systemRandom.id(9), 'base64url')).toHaveLength(2)
  })

  test('a fraction lies in [0, 1)', () => {
    const fractions = Array.from({ length: 1_000 }, () => systemRandom.fraction())
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...fractions)).toBeLessThan(1)
    expect(new Set(fractions).size).toBeGreaterThan(900)
  })
})
