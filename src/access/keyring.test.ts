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
      const id = expect.stringMatching(/^key:[0-9a-f]{16}$/)
      expect(keyring.authenticate(credential)).toEqual({ id, scope })
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

  test('makes two keys with one id and name two principals', () => {
    const twins = new Keyring([key('ci', 'token-of-one'), key('ci', 'token-of-two')], false)
    const [one, two] = ['token-of-one', 'token-of-two'].map((token) => twins.authenticate(token))
    expect(one?.id).not.toBe(two?.id)
  })

  test('knows a principal by its token alone: another name or place in the list changes nothing', () => {
    const renamed = new Keyring([key('three', 'other-token'), key('renamed', 'token-of-one')], false)
    expect(renamed.authenticate('token-of-one').id).toBe(keyring.authenticate('token-of-one').id)
    expect(renamed.knows(keyring.authenticate('token-of-one'))).toBe(true)
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
  const ring = new Keyring([key('one', 'token-of-one', some(['a', 'b'], ['s']))], false)
  const principal = ring.authenticate('token-of-one')
  const knows = (keys: KeySpec[], open = false) => new Keyring(keys, open).knows(principal)

  test('yes while the key has the same rights, in whatever order they are written', () => {
    expect(knows([key('one', 'token-of-one', some(['b', 'a'], ['s']))])).toBe(true)
  })

  test('no once the token was exchanged: who had the old one may not go on', () => {
    expect(knows([key('one', 'another-token', some(['a', 'b'], ['s']))])).toBe(false)
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
    expect(knows([key('one', 'token-of-one', scope)])).toBe(false)
  })

  test('somebody anonymous is known as long as the hub is open, and no longer', () => {
    expect(new Keyring([], true).knows(ANONYMOUS)).toBe(true)
    expect(new Keyring([key('one', 'x')], false).knows(ANONYMOUS)).toBe(false)
  })
})
