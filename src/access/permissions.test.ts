import { describe, expect, test } from 'vitest'
import { principal, someScope } from '../../tests/fakes/principals.ts'
import { ANONYMOUS, type Principal } from '../domain/principal.ts'
import {
  authorize,
  checkKeyBounds,
  checkKeyWish,
  type Identity,
  type KeyBounds,
  type KeyWish,
  loginPrincipal,
  mayChange,
  permissionsOf,
} from './permissions.ts'

const DENIED = expect.objectContaining({ code: 'access.denied', cure: expect.any(String) })

function login(role: 'admin' | 'user', username = 'alice'): Identity {
  const who = loginPrincipal(username, role)
  return {
    kind: 'login',
    role,
    tokenHash: 'x',
    username,
    keyId: undefined,
    viewer: who.viewer,
    principal: who,
  }
}

function key(parts: Partial<Principal> = {}): Identity {
  const who = principal('key:x', { keyId: 'k', ...parts })
  return { kind: 'key', keyId: who.keyId, username: who.username, viewer: who.viewer, principal: who }
}

const open: Identity = {
  kind: 'open',
  keyId: undefined,
  username: undefined,
  viewer: undefined,
  principal: ANONYMOUS,
}

const USER = ['groups:read', 'keys:own', 'public', 'self', 'servers:read', 'tools:call', 'usage:own']
const READS = ['groups:read', 'public', 'servers:read', 'tools:call', 'usage:own']
const READS_ALL = [...READS, 'cluster:read', 'logs:read', 'settings:read', 'usage:all']
const WRITES = ['cluster:write', 'groups:write', 'keys:manage', 'keys:own', 'servers:write']
const BOTH = ['servers:launch', 'users:manage'] as const

describe('what somebody may do', () => {
  test.each<[string, Identity, readonly string[]]>([
    ['nobody on an open hub', open, ['cluster:read', 'public', 'servers:read']],
    ['a user', login('user'), USER],
    ['an admin', login('admin'), [...USER, ...READS_ALL, ...WRITES, ...BOTH, 'settings:write']],
    ['a key without REST', key(), ['public']],
    ['a key that reads', key({ rest: 'read' }), READS_ALL],
    ['a key that changes', key({ rest: 'admin' }), [...READS_ALL, ...WRITES]],
    [
      'one that is granted more',
      key({ rest: 'admin', grants: ['servers:launch'] }),
      [...READS_ALL, ...WRITES, 'servers:launch'],
    ],
    [
      'one that is granted all',
      key({ rest: 'admin', grants: BOTH }),
      [...READS_ALL, ...WRITES, ...BOTH, 'settings:write'],
    ],
    ['a reading key with a grant', key({ rest: 'read', grants: BOTH }), READS_ALL],
    ['a key for a part', key({ rest: 'admin', grants: BOTH, scope: someScope({ servers: ['a'] }) }), READS],
    ["a user's key", key({ rest: 'admin', grants: BOTH, viewer: 'alice', username: 'alice' }), READS],
    ["an admin's key", key({ rest: 'admin', username: 'root' }), [...READS_ALL, ...WRITES]],
  ])('%s', (_who, identity, permissions) => {
    expect([...permissionsOf(identity)].sort()).toEqual([...new Set(permissions)].sort())
  })

  test('is refused with the permission that is missing', () => {
    expect(() => authorize(login('user'), 'users:manage')).toThrow(
      expect.objectContaining({ code: 'access.denied', data: { permission: 'users:manage' } }),
    )
    expect(() => authorize(key({ rest: 'admin' }), 'servers:launch')).toThrow(/servers:launch/)
    expect(() => authorize(open, 'tools:call')).toThrow(DENIED)
  })

  test('is public or nothing for somebody who shows nothing', () => {
    expect(() => authorize(undefined, 'public')).not.toThrow()
    expect(() => authorize(undefined, 'servers:read')).toThrow(
      expect.objectContaining({ code: 'access.unauthenticated' }),
    )
  })

  test('concerns their own things, unless they see everything', () => {
    expect(mayChange(login('admin'), { owner: 'bob' })).toBe(true)
    expect(mayChange(login('user'), { owner: 'alice' })).toBe(true)
    expect(mayChange(login('user'), { owner: 'bob' })).toBe(false)
    expect(mayChange(login('user'), { owner: undefined })).toBe(false)
  })
})

describe('a key that somebody wants to make', () => {
  const wish = (parts: Partial<KeyWish>): KeyWish => ({ owner: 'alice', rest: 'none', ...parts })

  test.each<[string, Identity, KeyWish]>([
    ['a user for themselves', login('user'), wish({ rest: 'read' })],
    ['an admin for the hub', login('admin'), wish({ owner: undefined, rest: 'admin', grants: BOTH })],
    ['an admin for somebody', login('admin'), wish({ owner: 'bob' })],
    ['a key that may', key({ rest: 'admin' }), wish({ owner: undefined, rest: 'admin' })],
    [
      'a key with a grant',
      key({ rest: 'admin', grants: ['servers:launch'] }),
      wish({ grants: ['servers:launch'] }),
    ],
  ])('may be made by %s', (_who, identity, wanted) => {
    expect(() => checkKeyWish(identity, wanted)).not.toThrow()
  })

  test.each<[string, Identity, KeyWish]>([
    ['a user for another', login('user'), wish({ owner: 'bob' })],
    ['a user for the hub', login('user'), wish({ owner: undefined })],
    ['a user who would manage', login('user'), wish({ rest: 'admin' })],
    ['a user with a grant', login('user'), wish({ grants: ['servers:launch'] })],
    [
      'a key that hands on what it has not',
      key({ rest: 'admin' }),
      wish({ rest: 'admin', grants: ['users:manage'] }),
    ],
    ["a user's key", key({ rest: 'admin', viewer: 'bob', username: 'bob' }), wish({})],
    ['nobody', open, wish({ owner: undefined })],
  ])('may not be made by %s', (_who, identity, wanted) => {
    expect(() => checkKeyWish(identity, wanted)).toThrow(DENIED)
  })
})

describe('the bounds of a key', () => {
  const before: KeyBounds = { rest: 'read', requestsPerMinute: 60, maxConcurrent: undefined }
  const change = (identity: Identity, parts: Partial<KeyBounds>) => () =>
    checkKeyBounds(identity, before, { ...before, ...parts })

  test.each<Partial<KeyBounds>>([{}, { rest: 'none' }, { requestsPerMinute: 59 }, { maxConcurrent: 1 }])(
    'may be made %j by their owner',
    (parts) => expect(change(login('user'), parts)).not.toThrow(),
  )

  test.each<Partial<KeyBounds>>([
    { rest: 'admin' },
    { requestsPerMinute: 61 },
    { requestsPerMinute: undefined },
  ])('may not be made %j by their owner, but by who manages keys', (parts) => {
    expect(change(login('user'), parts)).toThrow(DENIED)
    expect(change(login('admin'), parts)).not.toThrow()
    expect(change(key({ rest: 'admin' }), parts)).not.toThrow()
  })
})
