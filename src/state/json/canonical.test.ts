import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, checksumOf, sameJson } from './canonical.ts'

describe('canonical JSON', () => {
  test('does not depend on the order of members, at any depth', () => {
    const one = { b: [{ y: 1, x: 2 }], a: { d: 1, c: null } }
    const other = { a: { c: null, d: 1 }, b: [{ x: 2, y: 1 }] }
    expect(canonicalJson(one)).toBe('{"a":{"c":null,"d":1},"b":[{"x":2,"y":1}]}')
    expect(checksumOf(one)).toBe(checksumOf(other))
    expect(checksumOf(one)).toMatch(/^[0-9a-f]{64}$/)
  })

  test('depends on everything else', () => {
    expect(sameJson([1, 2], [2, 1])).toBe(false)
    expect(sameJson({ a: null }, {})).toBe(false)
    expect(sameJson(undefined, null)).toBe(false)
    expect(sameJson({ a: '1' }, { a: 1 })).toBe(false)
  })

  test('says what the value says', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})
