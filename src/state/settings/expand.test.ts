import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expand, expandDeep } from './expand.ts'

const variables = { A: 'one', B_2: 'two', EMPTY: '', 'any name': 'odd', lower: 'case', DOLLAR: '$A ${A}' }

describe('a variable in settings', () => {
  test.each([
    ['${A}', 'one'],
    ['${A}${B_2}', 'onetwo'],
    ['x-${A}-y', 'x-one-y'],
    ['${any name}', 'odd'],
    ['${lower}', 'case'],
    ['$A', 'one'],
    ['$A/$B_2', 'one/two'],
    ['$A.txt', 'one.txt'],
    ['Bearer $A', 'Bearer one'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables)).toEqual({ text: expected, missing: [] })
  })

  test.each([
    ['${A:-b}', 'one'],
    ['${NO:-b}', 'b'],
    ['${EMPTY:-b}', 'b'],
    ['${NO:-}', ''],
    ['${NO:-a:-b}', 'a:-b'],
    ['${NO:-http://localhost:8080/x?y=1}', 'http://localhost:8080/x?y=1'],
    ['${NO:-two\nlines}', 'two\nlines'],
  ])('%j may have a default, for when it is unset or empty: %j', (text, expected) => {
    expect(expand(text, variables)).toEqual({ text: expected, missing: [] })
  })

  test('in braces that is not set becomes nothing, and is reported', () => {
    expect(expand('a${NO}b${NEITHER}${EMPTY}', variables)).toEqual({ text: 'ab', missing: ['NO', 'NEITHER'] })
  })

  test('without braces that is not set stays as it stands: it is part of a password, more often than not', () => {
    expect(expand('pa$FOO$$word$1$', variables)).toEqual({ text: 'pa$FOO$$word$1$', missing: [] })
    expect(expand('$lower', variables).text).toBe('$lower')
  })

  test('is looked up by its longest name', () => {
    expect(expand('$AB', variables).text).toBe('$AB')
    expect(expand('${A}B', variables).text).toBe('oneB')
  })

  test('has a value that is taken as it is: what looks like a variable in it is none', () => {
    expect(expand('${DOLLAR}', variables).text).toBe('$A ${A}')
  })

  test('leaves text trimmed, as in MCPHub; text without a dollar sign is not touched', () => {
    expect(expand(' ${A} ', variables).text).toBe('one')
    expect(expand(' one ', variables).text).toBe(' one ')
  })

  test.each(['${', '${A', 'a$', '$', '{A}', '$ {A}', '$-A'])('%s is none', (text) => {
    expect(expand(text, variables)).toEqual({ text, missing: [] })
  })

  test('is one of the environment and not of JavaScript objects', () => {
    expect(expand('${constructor}', variables)).toEqual({ text: '', missing: ['constructor'] })
    expect(expand('${__proto__}', variables).missing).toEqual(['__proto__'])
    expect(expand('${PATH}', process.env).text).toBe(process.env['PATH'])
  })

  test('text without dollar signs comes through as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('$'))
        expect(expand(text, variables)).toEqual({ text, missing: [] })
      }),
    )
  })
})

describe('a value with variables', () => {
  test('is expanded in all of its strings, and in nothing else', () => {
    const value = { $A: '$A', list: ['${A}', 1, null, [true, '$B_2']], n: 2 }
    expect(expandDeep(value, variables, () => undefined)).toEqual({
      $A: 'one',
      list: ['one', 1, null, [true, 'two']],
      n: 2,
    })
  })

  test('reports each variable that is not set with its path', () => {
    const missing: [string, readonly (string | number)[]][] = []
    expandDeep({ env: { K: '${NO}' }, args: ['a', '${X}-${Y}'] }, variables, (name, path) => {
      missing.push([name, path])
    })
    expect(missing).toEqual([
      ['NO', ['env', 'K']],
      ['X', ['args', 1]],
      ['Y', ['args', 1]],
    ])
  })

  test('is itself left as it is', () => {
    const value = { a: ['$A'] }
    expandDeep(value, variables, () => undefined)
    expect(value).toEqual({ a: ['$A'] })
  })
})
