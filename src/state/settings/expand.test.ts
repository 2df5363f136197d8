import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SecretBox } from '../secrets/secret-box.ts'
import { expand, resolveSecret, whyMissing } from './expand.ts'

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

describe('a file in settings', () => {
  const files: Record<string, string> = { '/run/secrets/x': 'from-file', '/empty': '' }
  const read = (path: string) => files[path]

  test.each([
    ['${file:/run/secrets/x}', 'from-file'],
    ['Bearer ${file:/run/secrets/x}', 'Bearer from-file'],
    ['${file:/run/secrets/x} ${A}', 'from-file one'],
    ['${file:/none:-b}', 'b'],
    ['${file:/empty:-b}', 'b'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables, read)).toEqual({ text: expected, missing: [] })
  })

  test('that cannot be read is reported, in words that fit', () => {
    const { text, missing } = expand('a${file:/none}${NO}', variables, read)
    expect(text).toBe('a')
    expect(missing.map(whyMissing)).toEqual([
      expect.stringMatching(/^the file \/none cannot be read/),
      '${NO} is not set',
    ])
  })
})

describe('the value of a secret place', () => {
  const box = new SecretBox('a secret of the tests')
  const openSecret = (sealed: string) => box.open(sealed)

  test('is opened when it is sealed, and what is in it is no variable', () => {
    expect(resolveSecret(box.seal(' ${A} $A '), { variables, openSecret })).toEqual({
      text: ' ${A} $A ',
      missing: [],
    })
  })

  test('is expanded when it is not', () => {
    expect(resolveSecret('x-${A}', { variables, openSecret }).text).toBe('x-one')
  })

  test('is an error when it is sealed and nothing can open it: sealed text must never do for the secret', () => {
    expect(() => resolveSecret(box.seal('x'), { variables })).toThrow(
      expect.objectContaining({ code: 'secret.unreadable' }),
    )
  })
})
