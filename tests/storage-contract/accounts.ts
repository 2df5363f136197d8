import { describe, expect, test } from 'vitest'
import type { KeyScope } from '../../src/domain/key-scope.ts'
import { refusal, type World } from './engine.ts'
import { AWKWARD, key, login, T, user } from './records.ts'

export function accountsContract(world: () => World): void {
  describe('users', () => {
    test('[R220] come back as they were written, with every column', async () => {
      const { users } = world().storage
      const full = user('Größe', {
        role: 'admin',
        status: 'disabled',
        email: 'a@b.example',
        fullName: 'Ada 😀',
        origin: 'settings',
        declaredHash: '$2b$10$x',
        lastLoginAt: T + 5,
      })
      await users.create(full)
      await users.create(user('plain'))
      expect(await users.find('Größe')).toEqual(full)
      expect(await users.list()).toEqual([full, user('plain')])
      const row = await world()
        .raw.db.selectFrom('users')
        .selectAll()
        .where('username', '=', 'plain')
        .executeTakeFirstOrThrow()
      expect(Object.keys(row)).toEqual(
        expect.arrayContaining([
          'id',
          'username',
          'password',
          'is_admin',
          'status',
          'email',
          'full_name',
          'access_token',
          'created_at',
          'last_login_at',
          'last_activity',
        ]),
      )
      expect(row).toMatchObject({ created_at: T, last_login_at: null, access_token: null })
      expect(row.id).toEqual(expect.any(Number))
    })

    test('may have names that are hard to keep', async () => {
      const { users } = world().storage
      for (const name of AWKWARD) await users.create(user(name, { fullName: name }))
      for (const name of AWKWARD) expect(await users.find(name)).toEqual(user(name, { fullName: name }))
      expect((await users.list()).map(({ username }) => username).sort()).toEqual([...AWKWARD].sort())
    })

    test('are told apart by every byte of their names', async () => {
      const { users } = world().storage
      const names = ['Alice', 'ALICE', 'alice', 'alice ', 'álice', 'a\u0301lice', 'ß', 'ss']
      for (const name of names) await users.create(user(name))
      expect(await users.find('aLICE')).toBeUndefined()
      expect(await users.find('alice  ')).toBeUndefined()
      const bytes = (await users.list()).map(({ username }) => Buffer.from(username))
      expect(bytes).toHaveLength(names.length)
      expect(bytes).toEqual([...bytes].sort(Buffer.compare))
    })

    test('cannot be made twice, not even by two hubs at once', async () => {
      const results = await Promise.all([
        refusal(world().storage.users.create(user('alice', { fullName: 'one' }))),
        refusal(world().other.users.create(user('alice', { fullName: 'two' }))),
      ])
      expect(results.sort()).toEqual(['none', 'user.exists'])
      expect(await world().storage.users.list()).toHaveLength(1)
    })

    test('are changed in part, and what is not there is not made', async () => {
      const { users } = world().storage
      await users.create(user('alice', { email: 'a@b.example' }))
      expect(await users.update('alice', { email: undefined, passwordHash: 'new' })).toBe(true)
      expect(await users.find('alice')).toEqual(user('alice', { passwordHash: 'new' }))
      expect(await users.update('bob', { role: 'admin' })).toBe(false)
      expect(await users.remove('bob')).toBe(false)
    })

    test('keep an active administrator, whatever is done to them', async () => {
      const { users } = world().storage
      await users.create(user('root', { role: 'admin' }))
      await users.create(user('off', { role: 'admin', status: 'disabled' }))
      await users.create(user('bob'))
      expect(await refusal(users.update('root', { role: 'user' }))).toBe('user.last-admin')
      expect(await refusal(users.update('root', { status: 'disabled' }))).toBe('user.last-admin')
      expect(await refusal(users.remove('root'))).toBe('user.last-admin')
      expect(await users.update('root', { fullName: 'Root' })).toBe(true)
      expect(await users.remove('off')).toBe(true)
      await users.update('bob', { role: 'admin' })
      expect(await users.remove('root')).toBe(true)
      expect(await refusal(users.remove('bob'))).toBe('user.last-admin')
    })

    test('keep an administrator when two hubs remove the last two at once', async () => {
      const { storage, other } = world()
      for (let round = 0; round < 5; round += 1) {
        await world().wipe()
        await storage.users.create(user('a', { role: 'admin' }))
        await storage.users.create(user('b', { role: 'admin' }))
        const results = await Promise.all([
          refusal(storage.users.remove('a')),
          refusal(other.users.update('b', { role: 'user' })),
        ])
        expect(results.sort()).toEqual(['none', 'user.last-admin'])
      }
    })

    test('lose no change that somebody else makes at the same time', async () => {
      const { storage, other } = world()
      await storage.users.create(user('alice'))
      await Promise.all([
        ...Array.from({ length: 10 }, (_, n) => storage.users.update('alice', { lastLoginAt: T + n })),
        other.users.update('alice', { email: 'new@b.example' }),
        ...Array.from({ length: 10 }, (_, n) => other.users.update('alice', { lastLoginAt: T + n })),
      ])
      expect(await storage.users.find('alice')).toMatchObject({ email: 'new@b.example' })
    })

    test('take their logins and keys with them', async () => {
      const { users, keys, logins } = world().storage
      await users.create(user('alice'))
      await keys.create(key('k1', { owner: 'alice' }))
      await keys.create(key('k2', { owner: 'Alice' }))
      await keys.create(key('k3'))
      await logins.create(login('t1'))
      await logins.create(login('t2', { username: 'bob' }))
      await users.remove('alice')
      expect((await keys.list()).map(({ id }) => id)).toEqual(['k2', 'k3'])
      expect([await logins.find('t1'), (await logins.find('t2'))?.username]).toEqual([undefined, 'bob'])
    })
  })

  describe('text that does not fit', () => {
    const long = (length: number) => '😀'.repeat(length)

    test('is refused and never cut; what just fits is kept', async () => {
      const { users } = world().storage
      const fits = user(long(50), { email: long(100), fullName: long(100), passwordHash: 'h'.repeat(255) })
      await users.create(fits)
      expect(await users.find(long(50))).toEqual(fits)
      for (const bad of [
        user(long(51)),
        user('b', { email: long(101) }),
        user('c', { fullName: long(101) }),
        user('d', { passwordHash: 'h'.repeat(256) }),
        user('nul\0'),
        user('half \ud83d'),
      ])
        expect(await refusal(users.create(bad))).toBe('request.invalid-params')
      expect(await refusal(users.update(long(50), { email: long(101) }))).toBe('request.invalid-params')
      expect(await users.list()).toEqual([fits])
    })

    test('is refused for keys too', async () => {
      const { keys } = world().storage
      expect(await refusal(keys.create(key('k', { name: long(101) })))).toBe('request.invalid-params')
      await keys.create(key('k', { name: long(100), owner: long(50) }))
      expect(await keys.list()).toEqual([key('k', { name: long(100), owner: long(50) })])
    })
  })

  describe('keys', () => {
    const narrow: KeyScope = {
      kind: 'some',
      groups: new Set(['g', 'ü']),
      servers: new Set(['s']),
      tools: new Map([['t', new Set(['one', 'two'])]]),
    }

    test('come back as they were written, oldest first', async () => {
      const { keys } = world().storage
      const full = key('k1', {
        owner: 'alice',
        scope: narrow,
        rest: 'admin',
        grants: ['users:manage'],
        enabled: false,
        expiresAt: T + 1,
        requestsPerMinute: 60,
        maxConcurrent: 4,
        createdAt: T + 1,
        createdBy: 'key:k0',
        lastUsedAt: T + 2,
      })
      await keys.create(full)
      await keys.create(key('k0'))
      expect(await keys.list()).toEqual([key('k0'), full])
    })

    test('of one id or token there is only one', async () => {
      const { keys } = world().storage
      await keys.create(key('k1'))
      expect(await refusal(keys.create(key('k1', { tokenHash: 'f'.repeat(64) })))).toBe('resource.exists')
      expect(await refusal(keys.create(key('k2', { tokenHash: key('k1').tokenHash })))).toBe(
        'resource.exists',
      )
    })

    test('are changed in part and removed', async () => {
      const { keys } = world().storage
      await keys.create(key('k1', { expiresAt: T }))
      expect(await keys.update('k1', { enabled: false, expiresAt: undefined, scope: narrow })).toBe(true)
      expect(await keys.list()).toEqual([key('k1', { enabled: false, scope: narrow })])
      expect(await keys.update('k2', { enabled: false })).toBe(false)
      expect([await keys.remove('k1'), await keys.remove('k1')]).toEqual([true, false])
    })

    test('were last used when they were last used: no time becomes earlier', async () => {
      const { keys } = world().storage
      await keys.create(key('k1'))
      await keys.create(key('k2', { lastUsedAt: T + 5 }))
      await keys.touch(
        new Map([
          ['k2', T + 1],
          ['k1', T + 9],
          ['gone', T],
        ]),
      )
      await keys.touch(new Map())
      expect((await keys.list()).map(({ lastUsedAt }) => lastUsedAt)).toEqual([T + 9, T + 5])
    })

    test('are touched by two hubs at once without one waiting for ever', async () => {
      const ids = Array.from({ length: 20 }, (_, n) => `k${String(n).padStart(2, '0')}`)
      for (const id of ids) await world().storage.keys.create(key(id))
      const up = new Map(ids.map((id) => [id, T + 1]))
      const down = new Map(ids.toReversed().map((id) => [id, T + 2]))
      await Promise.all(
        Array.from({ length: 5 }, () => [
          world().storage.keys.touch(up),
          world().other.keys.touch(down),
        ]).flat(),
      )
      expect(new Set((await world().storage.keys.list()).map(({ lastUsedAt }) => lastUsedAt))).toEqual(
        new Set([T + 2]),
      )
    })
  })

  describe('logins', () => {
    test('come back as they were written, on every hub', async () => {
      const full = login('a'.repeat(64), { ip: '2001:db8::1', userAgent: `Mozilla 😀 ${'x'.repeat(5_000)}` })
      await world().storage.logins.create(full)
      expect(await world().other.logins.find(full.tokenHash)).toEqual(full)
      expect(await world().other.logins.find('b')).toBeUndefined()
      expect(await refusal(world().other.logins.create(full))).toBe('resource.exists')
    })

    test('are seen later, never earlier', async () => {
      const { logins } = world().storage
      await logins.create(login('t'))
      await logins.touch('t', T + 7)
      await logins.touch('t', T + 3)
      await logins.touch('gone', T)
      expect(await logins.find('t')).toEqual(login('t', { lastSeenAt: T + 7 }))
    })

    test('end one by one, all of a user, or when their time is over', async () => {
      const { logins } = world().storage
      for (const token of ['a', 'b', 'c']) await logins.create(login(token))
      await logins.create(login('other', { username: 'Alice', expiresAt: T + 2_000 }))
      expect([await logins.remove('a'), await logins.remove('a')]).toEqual([true, false])
      await logins.removeOf('alice', 'c')
      expect([await logins.find('b'), await logins.find('c')]).toEqual([undefined, login('c')])
      expect(await logins.removeExpired(T + 999)).toBe(0)
      expect(await logins.removeExpired(T + 1_000)).toBe(1)
      await logins.removeOf('Alice')
      expect(await logins.find('other')).toBeUndefined()
    })

    test('from anywhere are let in, however long the address', async () => {
      const { logins } = world().storage
      await logins.create(login('t', { ip: `fe80::1%${'z'.repeat(60)}`, userAgent: 'a\0b' }))
      const { ip, userAgent } = (await logins.find('t')) ?? {}
      expect([ip?.length, userAgent]).toEqual([45, 'a\ufffdb'])
    })
  })
}
