import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quickestOfThree } from '../../tests/harness/quickest.ts'
import { templateMatcher } from './uri-template.ts'

describe('a URI template', () => {
  test.each([
    ['file:///{path}', 'file:///etc/hosts', true],
    ['file:///{path}', 'file:///', true],
    ['file:///{path}', 'http:///etc', false],
    ['db://{table}/rows/{id}', 'db://users/rows/7', true],
    ['db://{table}/rows/{id}', 'db://users/columns/7', false],
    ['x:{a}y', 'x:1y', true],
    ['x:{a}y', 'x:1z', false],
    ['ab{x}ba', 'aba', false],
    ['ab{x}ba', 'abba', true],
    ['a{x}a{y}a', 'aa', false],
    ['a{x}a{y}a', 'aaa', true],
    ['{x}', '', true],
    ['test://all{?query*,page}', 'test://all?query=1', true],
    ['plain://text', 'plain://text', true],
    ['plain://text', 'plain://text/more', false],
    ['literal.dot://{x}', 'literalXdot://1', false],
    ['(a+)+{x}', '(a+)+b', true],
    ['half {open', 'half {open', true],
    ['half {open', 'half xopen', false],
    ['', '', true],
    ['', 'a', false],
  ])('%s could have made %s: %s', (template, uri, expected) => {
    expect(templateMatcher(template).matches(uri)).toBe(expected)
  })

  test('tells how much of it is literal, so that the closest fit can be chosen', () => {
    expect(templateMatcher('db://{table}/rows/{id}').literalLength).toBe('db:///rows/'.length)
    expect(templateMatcher('{x}').literalLength).toBe(0)
    expect(templateMatcher('abc')).toMatchObject({ template: 'abc', literalLength: 3 })
  })

  const literals = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 3 }), {
    minLength: 1,
    maxLength: 5,
  })
  const any = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 12 })

  test('fits whatever is made from it', () => {
    fc.assert(
      fc.property(literals, fc.array(any, { minLength: 4, maxLength: 4 }), (parts, values) => {
        const uri = parts.reduce((made, part, index) => `${made}${values[index - 1] ?? ''}${part}`)
        expect(templateMatcher(parts.join('{v}')).matches(uri)).toBe(true)
      }),
    )
  })

  test('fits exactly what its literals fit with anything between them', () => {
    fc.assert(
      fc.property(literals, any, (parts, uri) => {
        const pattern = new RegExp(`^${parts.map((part) => part.replaceAll('.', '\\.')).join('.*')}$`, 's')
        expect(templateMatcher(parts.join('{v}')).matches(uri)).toBe(pattern.test(uri))
      }),
      { numRuns: 500 },
    )
  })

  test('takes no longer for a template that was made to take long', () => {
    const matcher = templateMatcher(`${'{a}x'.repeat(10_000)}y`)
    const uri = 'x'.repeat(20_000)
    expect(matcher.matches(uri)).toBe(false)
    expect(quickestOfThree(() => matcher.matches(uri))).toBeLessThan(1_000)
  })
})
