import { describe, expect, test } from 'vitest'
import { ANONYMOUS } from '../domain/principal.ts'
import type { KeyScope, KeySpec } from '../domain/server-spec.ts'
import { Keyring } from './keyring.ts'

const ALL: KeyScope = { kind: 'all' }

function key(id: string, token: string, scope: KeyScope = ALL): KeySpec {
  return { id, name: id, token, scope }
}

function some(groups: string[], servers: string[]): KeyScope {
  return { kind: 'some', groups: new Set(groups), servers: new Set(servers) }
}

const UNAUTHENTICATED = expect.objectContaining({ code: 'access.unauthenticated' })

describe('a keyring', () => {
  const scope = some(['g'], ['s'])
  const keyring = new Keyring([key('one', 'token-of-one'), key('two', 'token-of-two', scope)], false)

  test.each(['Bearer token-of-two', 'bearer token-of-two', 'Bearer   token-of-two ', 'token-of-two'])(
    'knows who shows %j, and what that key opens',
    (credential) => {
      expect(keyring.authenticate(credential)).toEqual({ id: 'key:two', scope })
    },
  )

  test.each([undefined, '', ' ', 'Bearer ', 'Bearer    '])(
    'refuses a request without a key (%j)',
    (credential) => {
      expect(() => keyring.authenticate(credential)).toThrow(UNAUTHENTICATED)
      expect(() => keyring.authenticate(credential)).toThrow(/needs a bearer key/)
    },
  )

  test.each(['Bearer token-of-three', 'token-of-tw', 'token-of-twoo', 'TOKEN-OF-TWO', 'Basic token-of-two'])(
    'refuses a key that it does not know (%j)',
    (credential) => {
      expect(() => keyring.authenticate(credential)).toThrow(UNAUTHENTICATED)
      expect(() => keyring.authenticate(credential)).toThrow(/not known/)
    },
  )

  test('never lets a principal out that holds the token', () => {
    expect(JSON.stringify(keyring.authenticate('token-of-one'))).not.toContain('token-of-one')
  })

  test('an empty keyring that is not open refuses everybody', () => {
    expect(() => new Keyring([], false).authenticate('Bearer anything')).toThrow(UNAUTHENTICATED)
  })

  test('an open one lets everybody in as the same anonymous principal', () => {
    const open = new Keyring([], true)
    expect(open.authenticate(undefined)).toBe(ANONYMOUS)
    expect(open.authenticate('Bearer whatever')).toBe(ANONYMOUS)
  })

  test('a key whose variable was not set, and so is empty, opens nothing', () => {
    const broken = new Keyring([key('empty', '')], false)
    for (const credential of ['', 'Bearer ', undefined])
      expect(() => broken.authenticate(credential)).toThrow(UNAUTHENTICATED)
  })
})

describe('whether somebody let in before would be let in now', () => {
  const principal = { id: 'key:one', scope: some(['a', 'b'], ['s']) }
  const knows = (keys: KeySpec[], open = false) => new Keyring(keys, open).knows(principal)

  test('yes while the key has the same rights, in whatever order they are written', () => {
    expect(knows([key('one', 'x', some(['b', 'a'], ['s']))])).toBe(true)
  })

  test('yes after the token was exchanged: the key is the same', () => {
    expect(knows([key('one', 'another-token', some(['a', 'b'], ['s']))])).toBe(true)
  })

  test('no once the key is gone', () => {
    expect(knows([])).toBe(false)
    expect(knows([key('two', 'x', some(['a', 'b'], ['s']))])).toBe(false)
  })

  test.each([
    [some(['a'], ['s'])],
    [some(['a', 'b', 'c'], ['s'])],
    [some(['a', 'b'], [])],
    [some(['a', 'b'], ['t'])],
    [ALL],
  ])('no once its rights are others (%j)', (scope) => {
    expect(knows([key('one', 'x', scope)])).toBe(false)
  })

  test('somebody anonymous is known as long as the hub is open, and no longer', () => {
    expect(new Keyring([], true).knows(ANONYMOUS)).toBe(true)
    expect(new Keyring([key('one', 'x')], false).knows(ANONYMOUS)).toBe(false)
  })
})
