import { describe, expect, test } from 'vitest'
import { fitted, storable } from './texts.ts'

describe('text for a column', () => {
  test('is counted in characters, as the engines count it', () => {
    expect(storable('name', '😀😀😀', 3)).toBe('😀😀😀')
    expect(() => storable('name', '😀😀😀😀', 3)).toThrow(
      'The name is too long: it has 4 characters, and 3 can be stored.',
    )
  })

  test.each(['a\0', '\ud83d', 'x\udc00y'])('%j is refused, for it would not come back', (text) => {
    expect(() => storable('name', text)).toThrow(expect.objectContaining({ code: 'request.invalid-params' }))
  })

  test.each([
    ['short', 9, 'short'],
    ['too long', 4, 'too…'],
    ['😀😀😀😀', 4, '😀😀😀😀'],
    ['😀😀😀😀😀', 4, '😀😀😀…'],
    ['a\0\ud83d', 9, 'a\ufffd\ufffd'],
  ])('%j is made to fit into %i: %j', (text, width, expected) => {
    expect(fitted(text, width)).toBe(expected)
  })
})
