import { describe, expect, test } from 'vitest'
import type { JsonPath } from './json-path.ts'
import { mapStrings } from './map-strings.ts'

describe('mapStrings', () => {
  test('changes each string in a value, and nothing else', () => {
    const value = { a: 'x', list: ['y', 1, null, [true, 'z']], n: 2 }
    expect(mapStrings(value, (text) => `${text}!`)).toEqual({
      a: 'x!',
      list: ['y!', 1, null, [true, 'z!']],
      n: 2,
    })
    expect(value.a).toBe('x')
  })

  test('tells at which path each of them stands', () => {
    const seen: [string, JsonPath][] = []
    mapStrings(
      { env: { K: 'a' }, args: ['b', 'c'] },
      (text, path) => {
        seen.push([text, path])
        return text
      },
      ['root'],
    )
    expect(seen).toEqual([
      ['a', ['root', 'env', 'K']],
      ['b', ['root', 'args', 0]],
      ['c', ['root', 'args', 1]],
    ])
  })

  test('takes every name for data', () => {
    const value = JSON.parse('{"__proto__": "x", "constructor": "y"}')
    expect(Object.entries(mapStrings(value, (text) => text) as object)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })
})
