import { describe, expect, test } from 'vitest'
import { checkLength, checkPassword, checkUsername } from './account-rules.ts'

const INVALID = expect.objectContaining({ code: 'request.invalid-params' })

describe('a username', () => {
  test.each(['alice', 'a', 'Ålice Müller', '小明', 'alice@example.com', 'x'.repeat(50), '🐎'.repeat(50)])(
    'may be %s',
    (name) => expect(checkUsername(name)).toBe(name),
  )

  test('has no spaces around it', () => {
    expect(checkUsername('  alice\n')).toBe('alice')
  })

  test.each([
    '',
    '   ',
    'x'.repeat(51),
    'a\u0000b',
    'a\nb',
    'a\u200bb',
    'a\u202eb',
    'a\u2028b',
    '\u{e0041}a',
    '.',
    '..',
    'system',
    'Setup',
    'file',
    'key:abc',
    'KEY:abc',
  ])('is not %j', (name) => {
    expect(() => checkUsername(name)).toThrow(INVALID)
  })
})

describe('a password', () => {
  test.each(['a long enough one', '8 chars!', 'x1'.repeat(128), 'pässwörter', '🐎🐎🐎🐎🐎🐎🐎🐄'])(
    'may be %s',
    (password) => {
      expect(() => checkPassword(password, 'alice')).not.toThrow()
    },
  )

  test.each([
    ['short', 'seven77'],
    ['empty', ''],
    ['only spaces', ' '.repeat(10)],
    ['too long', 'xy'.repeat(129)],
    ['the username', 'alice-in-chains'],
    ['the username in capitals', 'ALICE-IN-CHAINS'],
    ['common', 'password1'],
    ['common, in capitals', 'Password1'],
    ["MCPHub's", 'admin123'],
    ['one character only', 'zzzzzzzzzzzz'],
  ])('is not %s, and the refusal does not repeat it', (_why, password) => {
    expect(() => checkPassword(password, 'alice-in-chains')).toThrow(INVALID)
    try {
      checkPassword(password, 'alice-in-chains')
    } catch (error) {
      if (password.trim()) expect((error as Error).message).not.toContain(password)
    }
  })
})

test('what is too long for its place is refused, and nothing is cut', () => {
  expect(() => checkLength('full name', 'x'.repeat(101), 100)).toThrow(INVALID)
  expect(() => checkLength('full name', undefined, 100)).not.toThrow()
})
