import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exposedName, MAX_NAME_LENGTH, secondName } from './naming.ts'

const anyName = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '.', '1'), minLength: 1, maxLength: 12 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
)
const separator = fc.stringMatching(/^[A-Za-z0-9_.-]{1,10}$/)

describe('the name under which an item is exposed', () => {
  test.each([
    ['time', '-', 'now', 'time-now'],
    ['time', '__', 'now', 'time__now'],
    ['a.b_c-d', '-', 'E.f_g', 'a.b_c-d-E.f_g'],
    ['x'.repeat(31), '-', 'y'.repeat(32), `${'x'.repeat(31)}-${'y'.repeat(32)}`],
  ])('is prefix, separator and name, if clients take that: %s, %s, %s', (prefix, sep, name, expected) => {
    expect(exposedName(prefix, sep, name)).toBe(expected)
  })

  test('is cut at 64 characters when it is longer, and then ends in a hash', () => {
    const name = exposedName('server', '-', 'x'.repeat(100))
    expect(name).toMatch(/^server-x{48}_[0-9a-f]{8}$/)
    expect(name).toHaveLength(MAX_NAME_LENGTH)
    expect(exposedName('x'.repeat(31), '-', 'y'.repeat(33))).toMatch(/_[0-9a-f]{8}$/)
  })

  test('has an underscore in place of what clients refuse, and then ends in a hash', () => {
    expect(exposedName('my server', '-', 'get/it now')).toMatch(/^my_server-get_it_now_[0-9a-f]{8}$/)
    expect(exposedName('时间', '-', 'now')).toMatch(/^_-now_[0-9a-f]{8}$/)
  })

  test('does not meet another that looks the same once it is cleaned', () => {
    const names = ['a b', 'a/b', 'a  b', 'a_b', 'a\nb'].map((name) => exposedName('s', '-', name))
    expect(new Set(names).size).toBe(5)
  })

  test('stays the same for ever: clients remember it', () => {
    expect(exposedName('my server', '-', 'get it')).toBe('my_server-get_it_9833b0eb')
    expect(secondName('taken', 'server', 'tool')).toMatch(/^taken_[0-9a-f]{8}$/)
  })

  test('has at most 64 characters and only such that clients take, for any server and item', () => {
    fc.assert(
      fc.property(anyName, separator, anyName, (prefix, sep, name) => {
        const exposed = exposedName(prefix, sep, name)
        expect(exposed).toMatch(/^[A-Za-z0-9_.-]{1,64}$/)
        expect(exposedName(prefix, sep, name)).toBe(exposed)
        expect(secondName(exposed, prefix, name)).toMatch(/^[A-Za-z0-9_.-]{1,64}$/)
      }),
    )
  })

  test('has a second one, for when it is taken', () => {
    expect(secondName('a-b-c', 'a-b', 'c')).toMatch(/^a-b-c_[0-9a-f]{8}$/)
    expect(secondName('a-b-c', 'a-b', 'c')).not.toBe(secondName('a-b-c', 'a', 'b-c'))
  })

  test('has another second one even when it is a long name that ends in its hash already', () => {
    const first = exposedName('server', '-', 'x'.repeat(100))
    expect(secondName(first, 'server', 'x'.repeat(100))).not.toBe(first)
  })
})
