import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrayText, jsonText, objectText } from '../../tests/fakes/json-text.ts'
import { findElements, findMembers, type Span, splice } from './json-text.ts'

const DUPLICATE = expect.objectContaining({ code: 'request.duplicate-member' })
const NAMES = ['id', 'params', '_meta', 'a', 'result'] as const

function whole(bytes: Buffer): Span {
  return { start: 0, end: bytes.length }
}

function textAt(bytes: Buffer, span: Span | undefined): string | undefined {
  return span && bytes.toString('utf8', span.start, span.end)
}

/** The texts of the wanted members. */
function find(text: string, ...wanted: string[]): Record<string, string | undefined> {
  const bytes = Buffer.from(text)
  const found = findMembers(bytes, whole(bytes), wanted)
  return Object.fromEntries(wanted.map((name) => [name, textAt(bytes, found[name])]))
}

describe('the members of an object', () => {
  test('are found wherever they stand, without the space around them', () => {
    expect(find('{"jsonrpc":"2.0", "id" :\t7 ,\n"params"\r\n:\n{ "a" : [1] } }', 'id', 'params')).toEqual({
      id: '7',
      params: '{ "a" : [1] }',
    })
  })

  test('that are not there are not found, not even under a name that is a part of theirs', () => {
    expect(find('{"idx":1,"i":2,"xid":3,"Id":4}', 'id')).toEqual({ id: undefined })
  })

  test('of objects within do not count', () => {
    expect(find('{"params":{"id":1},"list":[{"id":2}]}', 'id')).toEqual({ id: undefined })
  })

  test('are found under names that are written with escapes', () => {
    expect(find('{"\\u0069d":1}', 'id')).toEqual({ id: '1' })
    expect(find('{"\\u0070\\u0061rams":{}}', 'params')).toEqual({ params: '{}' })
  })

  test('are not mistaken for text that looks like them', () => {
    expect(find('{"a":"\\"id\\":1,","b":"}{\\\\","id":2}', 'id')).toEqual({ id: '2' })
  })

  test('that stand twice are refused when they are wanted, in whatever way they are written', () => {
    expect(() => find('{"id":1,"id":1}', 'id')).toThrow(DUPLICATE)
    expect(() => find('{"id":1,"\\u0069\\u0064":2}', 'id')).toThrow(/"id" stands twice/)
    expect(find('{"x":1,"x":2,"id":3}', 'id')).toEqual({ id: '3' })
  })

  test.each(['[1]', '"id"', '12', 'null', ' '])('of %s are none', (text) => {
    expect(find(text, 'id')).toEqual({ id: undefined })
  })

  test.each([62, 63, 64, 65, 66, 200])('are found behind a string of %i characters and its escapes', (n) => {
    for (const tail of ['', '\\\\', '\\"', '\\\\\\"'])
      expect(find(`{"long":"${'x'.repeat(n)}${tail}","id":5}`, 'id')).toEqual({ id: '5' })
  })

  test('are found in text that stands in the middle of other text', () => {
    const bytes = Buffer.from('[{"id":1},{"id":2}]')
    const spans = findElements(bytes, 0)
    const ids = spans.map((span) => textAt(bytes, findMembers(bytes, span, ['id']).id))
    expect(ids).toEqual(['1', '2'])
  })

  test('may have names that every JavaScript object inherits', () => {
    expect(find('{"constructor":1}', 'constructor')).toEqual({ constructor: '1' })
  })

  test('agree with JSON.parse for any object; duplicates of wanted names are always refused', () => {
    fc.assert(
      fc.property(objectText(NAMES), ({ text, keys }) => {
        const bytes = Buffer.from(text)
        const twice = NAMES.find((name) => keys.filter((key) => key === name).length > 1)
        if (twice) {
          expect(() => findMembers(bytes, whole(bytes), NAMES)).toThrow(DUPLICATE)
          return
        }
        const parsed: Record<string, unknown> = JSON.parse(text)
        const found = findMembers(bytes, whole(bytes), NAMES)
        for (const name of NAMES) {
          const at = found[name]
          expect(at !== undefined).toBe(Object.hasOwn(parsed, name))
          if (at) expect(JSON.parse(textAt(bytes, at) ?? '')).toEqual(parsed[name])
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('the elements of an array', () => {
  test('agree with what the array was made of, byte for byte', () => {
    fc.assert(
      fc.property(arrayText, ({ text, items }) => {
        const bytes = Buffer.from(text)
        expect(findElements(bytes, 0).map((span) => textAt(bytes, span))).toEqual(items)
      }),
      { numRuns: 100 },
    )
  })

  test('of something that is no array are none', () => {
    expect(findElements(Buffer.from('{"a":[1]}'), 0)).toEqual([])
  })
})

describe('splice', () => {
  test('puts other text in place of each span and leaves all else as it was', () => {
    const bytes = Buffer.from('{"id":12345678901234567890,"x": 1.0}')
    const { id, x } = findMembers(bytes, whole(bytes), ['id', 'x'])
    const edits = [id, x].map((span, index) => ({ start: 0, end: 0, ...span, text: `"${index}"` }))
    expect(splice(bytes, edits).toString()).toBe('{"id":"0","x": "1"}')
  })

  test('without edits gives the very bytes back', () => {
    const bytes = Buffer.from('{}')
    expect(splice(bytes, [])).toBe(bytes)
  })

  test('changes the wanted member only, for any object and any replacement', () => {
    fc.assert(
      fc.property(objectText(['id']), jsonText, ({ text, keys }, replacement) => {
        fc.pre(keys.filter((key) => key === 'id').length === 1)
        const bytes = Buffer.from(text)
        const { id } = findMembers(bytes, whole(bytes), ['id'])
        if (!id) throw new Error('The member was not found.')
        const edited = splice(bytes, [{ ...id, text: replacement }])
        expect(JSON.parse(edited.toString())).toEqual({ ...JSON.parse(text), id: JSON.parse(replacement) })
        const length = Buffer.byteLength(replacement)
        expect(edited.subarray(0, id.start)).toEqual(bytes.subarray(0, id.start))
        expect(edited.subarray(id.start + length)).toEqual(bytes.subarray(id.end))
      }),
      { numRuns: 100 },
    )
  })
})
