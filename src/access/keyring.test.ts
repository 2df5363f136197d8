import { describe, expect, test } from 'vitest'
import { keyRecord, keySpec } from '../../tests/fakes/accounts.ts'
import { someScope } from '../../tests/fakes/principals.ts'
import { FakeClock } from '../../tests/harness/fake-clock.ts'
import type { KeyRecord } from '../domain/accounts.ts'
import { ANONYMOUS } from '../domain/principal.ts'
import type { KeySpec } from '../domain/server-spec.ts'
import { hashToken } from '../domain/tokens.ts'
import { Keyring, type Owner } from './keyring.ts'

const UNAUTHENTICATED = expect.objectContaining({ code: 'access.unauthenticated' })

interface Setup {
  readonly open?: boolean
  readonly stored?: boolean
  readonly bearerAuth?: boolean
}

function make(
  keys: readonly KeySpec[] = [],
  { open = false, stored = false, bearerAuth = true }: Setup = {},
) {
  const clock = new FakeClock()
  const ring = new Keyring({ openWithoutKeys: open, stored, clock })
  ring.declare(keys, bearerAuth)
  return { ring, clock }
}

function user(username: string, parts: Partial<Owner> = {}): Owner {
  return { username, role: 'user', status: 'active', ...parts }
}

describe('a keyring', () => {
  const scope = someScope({ groups: ['g'], servers: ['s'] })
  const { ring } = make([keySpec('one', 'token-of-one'), keySpec('two', 'token-of-two', { scope })])

  test.each(['Bearer token-of-two', 'bearer token-of-two', 'Bearer   token-of-two ', 'token-of-two'])(
    'knows who shows %j, and what that key opens',
    (credential) => {
      const id = expect.stringMatching(/^key:[0-9a-f]{16}$/)
      expect(ring.authenticate(credential)).toMatchObject({ id, scope, keyId: 'two', viewer: undefined })
    },
  )

  test.each([undefined, '', ' ', 'Bearer ', 'Bearer    '])(
    'refuses a request without a key (%j)',
    (credential) => {
      expect(() => ring.authenticate(credential)).toThrow(UNAUTHENTICATED)
      expect(() => ring.authenticate(credential)).toThrow(/needs a bearer key/)
    },
  )

  test.each(['Bearer token-of-three', 'token-of-tw', 'token-of-twoo', 'TOKEN-OF-TWO', 'Basic token-of-two'])(
    'refuses a key that it does not know (%j)',
    (credential) => {
      expect(() => ring.authenticate(credential)).toThrow(UNAUTHENTICATED)
      expect(() => ring.authenticate(credential)).toThrow(/not known/)
    },
  )

  test('never lets a principal out that holds the token', () => {
    expect(JSON.stringify(ring.authenticate('token-of-one'))).not.toContain('token-of-one')
  })

  test('gives the same principal each time: nothing is made for a request', () => {
    expect(ring.authenticate('token-of-one')).toBe(ring.authenticate('token-of-one'))
  })

  test('makes two keys with one id and name two principals', () => {
    const { ring: twins } = make([keySpec('ci', 'token-of-one'), keySpec('ci', 'token-of-two')])
    const [one, two] = ['token-of-one', 'token-of-two'].map((token) => twins.authenticate(token))
    expect(one?.id).not.toBe(two?.id)
  })

  test('knows a principal by its token alone: another name or place in the list changes nothing', () => {
    const { ring: renamed } = make([keySpec('three', 'other-token'), keySpec('renamed', 'token-of-one')])
    expect(renamed.authenticate('token-of-one').id).toBe(ring.authenticate('token-of-one').id)
    expect(renamed.knows(ring.authenticate('token-of-one'))).toBe(true)
  })

  test('takes the hash of a token for the token, and only where it is written down', () => {
    const hash = `sha256:${hashToken('token-of-one')}`
    const { ring: hashed } = make([keySpec('one', hash)])
    expect(hashed.authenticate('token-of-one').keyId).toBe('one')
    for (const shown of [hash, hashToken('token-of-one')])
      expect(() => hashed.authenticate(shown)).toThrow(UNAUTHENTICATED)
  })

  test('an empty keyring that is not open refuses everybody', () => {
    expect(() => make().ring.authenticate('Bearer anything')).toThrow(UNAUTHENTICATED)
  })

  test('a key whose variable was not set, and so is empty, opens nothing', () => {
    const { ring: broken } = make([keySpec('empty', '')])
    for (const credential of ['', 'Bearer ', undefined])
      expect(() => broken.authenticate(credential)).toThrow(UNAUTHENTICATED)
  })
})

describe('an open hub', () => {
  test('lets everybody in as the same anonymous principal', () => {
    const { ring } = make([], { open: true })
    expect(ring.authenticate(undefined)).toBe(ANONYMOUS)
    expect(ring.authenticate('Bearer whatever')).toBe(ANONYMOUS)
  })

  test('shows private servers as long as all users are admins, who see everything anyway', () => {
    const { ring } = make([], { open: true, stored: true })
    ring.load([], [user('ann', { role: 'admin' })])
    const before = ring.authenticate(undefined)
    expect(before).toBe(ANONYMOUS)
    ring.load([], [user('ann', { role: 'admin' }), user('bob', { status: 'disabled' })])
    expect(ring.authenticate(undefined)).toMatchObject({ id: 'anonymous', viewer: '' })
    expect(ring.knows(before), 'a session from before sees no more than a new one').toBe(false)
    expect(ring.knows(ring.authenticate(undefined))).toBe(true)
  })

  test('is open no longer once there is a key, wherever it is kept', () => {
    expect(make([keySpec('one', 'token-of-one')], { open: true }).ring.open).toBe(false)
    const { ring } = make([], { open: true, stored: true })
    ring.load([keyRecord('k', 'token-of-k')], [])
    expect(ring.open).toBe(false)
  })

  test('does not open again because the last key is gone', () => {
    const { ring } = make([], { open: true, stored: true })
    ring.load([keyRecord('k', 'token-of-k')], [])
    ring.load([], [])
    expect(() => ring.authenticate(undefined)).toThrow(UNAUTHENTICATED)
  })

  test('opens when the operator says that no keys are wanted, for as long as that is said', () => {
    const { ring } = make([keySpec('one', 'token-of-one')], { open: true })
    ring.declare([keySpec('one', 'token-of-one')], false)
    expect(ring.authenticate(undefined)).toBe(ANONYMOUS)
    ring.declare([], true)
    expect(ring.open).toBe(false)
  })

  test('is not open as long as nobody knows whether there are keys', () => {
    const { ring } = make([], { open: true, stored: true })
    const unknown = expect.objectContaining({ code: 'storage.unavailable', retryAfter: 5 })
    expect(() => ring.authenticate(undefined)).toThrow(unknown)
    expect(() => ring.authenticate('flk_x')).toThrow(unknown)
    ring.load([], [])
    expect(ring.authenticate(undefined)).toBe(ANONYMOUS)
  })
})

describe('keys of a store', () => {
  function loaded(keys: readonly KeyRecord[], owners: readonly Owner[] = [], declared: KeySpec[] = []) {
    const made = make(declared, { stored: true })
    made.ring.load(keys, owners)
    return made
  }

  test('work beside those of the settings, which work before the store has been read', () => {
    const { ring } = make([keySpec('mine', 'token-of-mine')], { stored: true })
    expect(ring.authenticate('token-of-mine').keyId).toBe('mine')
    expect(() => ring.authenticate('token-of-k')).toThrow(
      expect.objectContaining({ code: 'storage.unavailable' }),
    )
    ring.load([keyRecord('k', 'token-of-k')], [])
    expect([ring.authenticate('token-of-k').keyId, ring.authenticate('token-of-mine').keyId]).toEqual([
      'k',
      'mine',
    ])
    expect(() => ring.authenticate('token-of-other')).toThrow(UNAUTHENTICATED)
  })

  test('open nothing when they are disabled, revoked or expired', async () => {
    const disabled = keyRecord('off', 'token-off', { enabled: false })
    const { ring, clock } = loaded([disabled, keyRecord('gone', 'token-gone')])
    expect(() => ring.authenticate('token-off')).toThrow(UNAUTHENTICATED)
    ring.load([keyRecord('brief', 'token-brief', { expiresAt: clock.now() + 1_000 })], [])
    expect(() => ring.authenticate('token-gone')).toThrow(UNAUTHENTICATED)
    const brief = ring.authenticate('token-brief')
    expect(ring.knows(brief)).toBe(true)
    await clock.advance(1_000)
    expect(() => ring.authenticate('token-brief')).toThrow(/has expired/)
    expect(ring.knows(brief)).toBe(false)
  })

  test('see with the eyes of their owner; an admin sees everything', () => {
    const { ring } = loaded(
      [
        keyRecord('a', 'token-a', { owner: 'alice' }),
        keyRecord('b', 'token-b', { owner: 'boss' }),
        keyRecord('c', 'token-c', { owner: 'nobody-knows' }),
        keyRecord('d', 'token-d'),
      ],
      [user('alice'), user('boss', { role: 'admin' })],
    )
    const seen = ['a', 'b', 'c', 'd'].map((name) => {
      const { username, viewer } = ring.authenticate(`token-${name}`)
      return [username, viewer]
    })
    expect(seen).toEqual([
      ['alice', 'alice'],
      ['boss', undefined],
      ['nobody-knows', 'nobody-knows'],
      [undefined, undefined],
    ])
  })

  test('of the settings and of the store fail with an owner who is disabled', () => {
    const { ring } = loaded(
      [keyRecord('a', 'token-a', { owner: 'alice' })],
      [user('alice', { status: 'disabled' })],
      [keySpec('b', 'token-b', { owner: 'alice' })],
    )
    for (const token of ['token-a', 'token-b'])
      expect(() => ring.authenticate(token)).toThrow(UNAUTHENTICATED)
  })

  test('give way to the same token in the settings, which may be narrower', () => {
    const scope = someScope({ servers: ['s'] })
    const { ring } = loaded([keyRecord('k', 'token-x')], [], [keySpec('declared', 'token-x', { scope })])
    expect(ring.authenticate('token-x')).toMatchObject({ keyId: 'declared', scope })
  })

  test('tell when they were used, once', async () => {
    const { ring, clock } = loaded(
      [keyRecord('k', 'token-k'), keyRecord('l', 'token-l')],
      [],
      [keySpec('d', 'token-d')],
    )
    const first = clock.now()
    for (const token of ['token-k', 'token-d']) ring.authenticate(token)
    expect([...ring.takeUsed()]).toEqual([['k', first]])
    expect([...ring.takeUsed()]).toEqual([])
    await clock.advance(10)
    ring.authenticate('token-k')
    ring.load([keyRecord('k', 'token-k')], [])
    expect([...ring.takeUsed()]).toEqual([['k', first + 10]])
    expect(ring.keys.map(({ id, lastUsedAt }) => [id, lastUsedAt])).toEqual([
      ['d', first],
      ['k', first + 10],
    ])
  })

  test('tell which of them expires next', () => {
    const { ring, clock } = loaded([
      keyRecord('k', 'token-k', { expiresAt: clockStart + 500 }),
      keyRecord('l', 'token-l', { expiresAt: clockStart + 200 }),
      keyRecord('m', 'token-m'),
    ])
    expect(ring.nextExpiry(clock.now())).toBe(clockStart + 200)
    expect(ring.nextExpiry(clockStart + 200)).toBe(clockStart + 500)
    expect(ring.nextExpiry(clockStart + 500)).toBeUndefined()
  })
})

const clockStart = new FakeClock().now()

describe('the limits of a key', () => {
  test('refuse what is too much, and say when to come again', async () => {
    const { ring, clock } = make([keySpec('k', 'token-k', { requestsPerMinute: 2 })])
    ring.authenticate('token-k')
    ring.authenticate('token-k')
    const limited = expect.objectContaining({ code: 'access.rate-limited', retryAfter: 30 })
    expect(() => ring.authenticate('token-k')).toThrow(limited)
    await clock.advance(30_000)
    expect(ring.authenticate('token-k').keyId).toBe('k')
    expect(() => ring.authenticate('token-k')).toThrow(limited)
  })

  test('are not forgotten because other keys change, nor because the key is switched off and on', () => {
    const key = keyRecord('k', 'token-k', { requestsPerMinute: 1 })
    const { ring } = make([], { stored: true })
    ring.load([key], [])
    ring.authenticate('token-k')
    ring.load([{ ...key, enabled: false }, keyRecord('l', 'token-l')], [])
    ring.load([key, keyRecord('l', 'token-l')], [])
    expect(() => ring.authenticate('token-k')).toThrow(
      expect.objectContaining({ code: 'access.rate-limited' }),
    )
  })

  test('of other keys do not matter, and most keys have none', () => {
    const { ring } = make([keySpec('k', 'token-k', { requestsPerMinute: 1 }), keySpec('l', 'token-l')])
    ring.authenticate('token-k')
    for (let count = 0; count < 100; count += 1) expect(ring.authenticate('token-l').limits).toBeUndefined()
  })
})

describe('whether somebody let in before would be let in now', () => {
  const scope = someScope({ groups: ['a', 'b'], servers: ['s'], tools: { t: ['x', 'y'] } })
  const { ring } = make([keySpec('one', 'token-of-one', { scope })])
  const principal = ring.authenticate('token-of-one')
  const knows = (keys: KeySpec[], setup: Setup = {}) => make(keys, setup).ring.knows(principal)
  const one = (parts: Partial<KeySpec>) => [keySpec('one', 'token-of-one', parts)]

  test('yes while the key has the same rights, in whatever order they are written', () => {
    const same = someScope({ groups: ['b', 'a'], servers: ['s'], tools: { t: ['y', 'x'] } })
    expect(knows(one({ scope: same }))).toBe(true)
  })

  test('no once the token was exchanged: who had the old one may not go on', () => {
    expect(knows([keySpec('one', 'another-token', { scope })])).toBe(false)
  })

  test('no once the key is gone', () => {
    expect(knows([])).toBe(false)
    expect(knows([keySpec('two', 'xxxxxxxx', { scope })])).toBe(false)
  })

  test.each([
    [{ groups: ['a'], servers: ['s'], tools: { t: ['x', 'y'] } }],
    [{ groups: ['a', 'b', 'c'], servers: ['s'], tools: { t: ['x', 'y'] } }],
    [{ groups: ['a', 'b'], tools: { t: ['x', 'y'] } }],
    [{ groups: ['a', 'b'], servers: ['t'], tools: { t: ['x', 'y'] } }],
    [{ groups: ['a', 'b'], servers: ['s'], tools: { t: ['x'] } }],
    [{ groups: ['a', 'b'], servers: ['s'], tools: { u: ['x', 'y'] } }],
    [{ groups: ['a', 'b'], servers: ['s'] }],
  ])('no once its rights are others (%j)', (parts) => {
    expect(knows(one({ scope: someScope(parts) }))).toBe(false)
    expect(knows(one({ scope: { kind: 'all' } }))).toBe(false)
  })

  test('no once it belongs to somebody, or sees with other eyes', () => {
    expect(knows(one({ scope, owner: 'alice' }))).toBe(false)
    const { ring: owned } = make(one({ scope, owner: 'alice' }), { stored: true })
    const before = owned.authenticate('token-of-one')
    owned.load([], [user('alice', { role: 'admin' })])
    expect(owned.knows(before)).toBe(false)
  })

  test('no once it has limits, which an open session would not know of; other numbers do no harm', () => {
    expect(knows(one({ scope, requestsPerMinute: 5 }))).toBe(false)
    const { ring: limited } = make(one({ requestsPerMinute: 5 }))
    const before = limited.authenticate('token-of-one')
    limited.declare(one({ requestsPerMinute: 9 }), true)
    expect(limited.knows(before)).toBe(true)
  })

  test('somebody anonymous is known as long as the hub is open, and no longer', () => {
    expect(make([], { open: true }).ring.knows(ANONYMOUS)).toBe(true)
    expect(make([keySpec('one', 'x')]).ring.knows(ANONYMOUS)).toBe(false)
  })
})
