import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunked } from '../../../tests/fakes/json-text.ts'
import { LineSplitter } from './line-splitter.ts'

/** The lines that come of these pieces, and how often one was too long. */
function split(pieces: readonly (string | Buffer)[], { limit = 1_000_000, end = false } = {}) {
  const lines: string[] = []
  let tooLong = 0
  const splitter = new LineSplitter({
    limit,
    onLine: (line) => lines.push(line.toString('latin1')),
    onTooLong: () => {
      tooLong += 1
    },
  })
  for (const piece of pieces) splitter.push(Buffer.from(piece))
  if (end) splitter.end()
  return { lines, tooLong }
}

describe('a stream of lines', () => {
  test('is cut at its line feeds; a carriage return before one belongs to the end', () => {
    expect(split(['one\ntwo\r\nthree\n']).lines).toEqual(['one', 'two', 'three'])
  })

  test('has no empty lines', () => {
    expect(split(['\n\none\n\r\n\n', '\r', '\n', 'two\n']).lines).toEqual(['one', 'two'])
  })

  test('keeps carriage returns that stand elsewhere', () => {
    expect(split(['a\rb\n', '\ra\n', 'a\r\r\n']).lines).toEqual(['a\rb', '\ra', 'a\r'])
  })

  test('may be cut anywhere', () => {
    expect(split(['o', 'ne\nt', '', 'w', 'o\r', '\nthr']).lines).toEqual(['one', 'two'])
  })

  test('gives its last line at its end, if that has no line feed', () => {
    expect(split(['one\ntwo'], { end: true }).lines).toEqual(['one', 'two'])
    expect(split(['one\n'], { end: true }).lines).toEqual(['one'])
    expect(split(['one\n\r'], { end: true }).lines).toEqual(['one'])
    expect(split([], { end: true }).lines).toEqual([])
  })

  const bytes = fc
    .array(fc.constantFrom('a', 'é', '\n', '\r', '\0', '{"x":1}'), { maxLength: 60 })
    .map((parts) => Buffer.from(parts.join('')))

  test('gives the same lines however it is cut into pieces', () => {
    const stream = bytes.chain((whole) => fc.tuple(fc.constant(whole), chunked(whole)))
    fc.assert(
      fc.property(stream, fc.boolean(), ([whole, pieces], end) => {
        const expected = whole.toString('latin1').split('\n')
        const last = expected.pop() ?? ''
        if (end) expected.push(last)
        expect(split(pieces, { end })).toEqual({
          lines: expected.map((line) => line.replace(/\r$/, '')).filter((line) => line !== ''),
          tooLong: 0,
        })
      }),
    )
  })
})

describe('a line that is too long', () => {
  test('is reported once, also when it comes in pieces; nothing is taken after it', () => {
    expect(split(['12345\n', '123456', '7890\nafter\n', 'more\n'], { limit: 5, end: true })).toEqual({
      lines: ['12345'],
      tooLong: 1,
    })
  })

  test('is one byte longer than the limit, without its line feed', () => {
    expect(split(['12345\n'], { limit: 5 })).toEqual({ lines: ['12345'], tooLong: 0 })
    expect(split(['123456\n'], { limit: 5 })).toEqual({ lines: [], tooLong: 1 })
    expect(split(['123', '456'], { limit: 5 })).toEqual({ lines: [], tooLong: 1 })
  })

  test('is measured on its own: many short lines are no long one', () => {
    const { lines, tooLong } = split(Array(1_000).fill('12345\n'), { limit: 5 })
    expect([lines.length, tooLong]).toEqual([1_000, 0])
  })
})
