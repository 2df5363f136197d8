import { hashSync } from 'bcryptjs'
import { describe, expect, test } from 'vitest'
import { FakeLoginStore, FakeUserStore, userRecord } from '../../tests/fakes/accounts.ts'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import type { UserRecord } from '../domain/accounts.ts'
import type { DeclaredUser } from '../domain/server-spec.ts'
import { systemRandom } from '../kernel/random.ts'
import { DeclaredUsers } from './declared-users.ts'
import { Passwords } from './passwords.ts'
import { type UserInput, Users } from './users.ts'

const BCRYPT = hashSync('declared secret', 4)
const OTHER = hashSync('another secret', 4)

function make(...records: UserRecord[]) {
  const store = new FakeUserStore()
  const logins = new FakeLoginStore()
  for (const record of records) store.users.set(record.username, record)
  const clock = new FakeClock()
  const changed: string[] = []
  const { logger, lines } = recordingLogger()
  const deps = {
    store,
    logins,
    passwords: new Passwords(systemRandom),
    clock,
    log: logger,
    changed: async (username: string) => {
      changed.push(username)
    },
  }
  const login = (tokenHash: string, username: string) =>
    logins.logins.set(tokenHash, {
      tokenHash,
      username,
      createdAt: 0,
      expiresAt: 1,
      lastSeenAt: 0,
      ip: undefined,
      userAgent: undefined,
    })
  return {
    store,
    logins,
    clock,
    changed,
    lines,
    login,
    users: new Users(deps),
    declared: new DeclaredUsers(deps),
  }
}

function input(username: string, parts: Partial<UserInput> = {}): UserInput {
  return {
    username,
    password: 'correct horse',
    role: 'user',
    email: undefined,
    fullName: undefined,
    ...parts,
  }
}

const ADMIN = userRecord('root', { role: 'admin' })
const code = (value: string) => expect.objectContaining({ code: value })

describe('a user', () => {
  test('[R220] is created, with a hash that nobody gets to see, and can log in', async () => {
    const { users, changed, clock } = make()
    const view = await users.create(input(' alice ', { email: 'a@example.com', fullName: '' }))
    expect(view).toEqual({
      username: 'alice',
      role: 'user',
      status: 'active',
      email: 'a@example.com',
      fullName: undefined,
      origin: 'api',
      createdAt: clock.now(),
      lastLoginAt: undefined,
    })
    for (const seen of [view, await users.find('alice'), await users.list()])
      expect(JSON.stringify(seen)).not.toContain('argon2')
    expect(await users.verify('alice', 'correct horse')).toMatchObject({ username: 'alice' })
    expect(await users.verify('alice', 'correct horsf')).toBeUndefined()
    expect(await users.verify('bob', 'correct horse')).toBeUndefined()
    expect(changed).toEqual(['alice'])
    expect((await users.find('alice'))?.lastLoginAt).toBe(clock.now())
  })

  test('is refused when there is one of that name, or when name or password will not do', async () => {
    const { users } = make(userRecord('alice'))
    await expect(users.create(input('alice'))).rejects.toEqual(code('user.exists'))
    await expect(users.create(input('bob', { password: 'short' }))).rejects.toEqual(
      code('request.invalid-params'),
    )
    await expect(users.create(input('', {}))).rejects.toEqual(code('request.invalid-params'))
    await expect(users.create(input('bob', { email: 'x'.repeat(101) }))).rejects.toEqual(
      code('request.invalid-params'),
    )
    expect(await users.create(input('Alice'))).toMatchObject({ username: 'Alice' })
  })

  test('with an imported hash has it replaced at login', async () => {
    const { users, store } = make(userRecord('alice', { passwordHash: BCRYPT }))
    expect(await users.verify('alice', 'wrong')).toBeUndefined()
    expect(store.users.get('alice')?.passwordHash).toBe(BCRYPT)
    expect(await users.verify('alice', 'declared secret')).toBeDefined()
    expect(store.users.get('alice')?.passwordHash).toMatch(/^\$argon2id\$/)
    expect(await users.verify('alice', 'declared secret')).toBeDefined()
  })

  test('who is given another password while logging in is not given the old one back', async () => {
    const { users, store } = make(userRecord('alice', { passwordHash: BCRYPT }))
    const attempt = users.verify('alice', 'declared secret')
    await until(() => store.asked === 1)
    // The old hash has been read; making the new one takes much longer than this.
    await settle()
    store.users.set('alice', userRecord('alice', { passwordHash: OTHER }))
    expect(await attempt).toBeUndefined()
    expect(store.users.get('alice')?.passwordHash).toBe(OTHER)
  })

  test('who is disabled cannot log in, and all their logins end', async () => {
    const { users, logins, login, changed } = make(ADMIN, userRecord('alice', { passwordHash: BCRYPT }))
    login('one', 'alice')
    login('two', 'root')
    expect(await users.update('alice', { status: 'disabled' })).toMatchObject({ status: 'disabled' })
    expect(await users.verify('alice', 'declared secret')).toBeUndefined()
    expect([...logins.logins.keys()]).toEqual(['two'])
    expect(changed).toEqual(['alice'])
  })

  test('is changed in what is said only', async () => {
    const { users } = make(ADMIN, userRecord('alice', { email: 'a@example.com', fullName: 'Alice' }))
    expect(await users.update('alice', { fullName: 'A.' })).toMatchObject({
      email: 'a@example.com',
      fullName: 'A.',
    })
    expect(await users.update('alice', { email: undefined, role: 'admin' })).toMatchObject({
      email: undefined,
      fullName: 'A.',
      role: 'admin',
    })
    await expect(users.update('bob', { role: 'admin' })).rejects.toEqual(code('resource.missing'))
  })

  test('who gets another password from an admin has no logins left', async () => {
    const { users, logins, login } = make(ADMIN, userRecord('alice'))
    login('one', 'alice')
    await users.update('alice', { password: 'battery staple' })
    expect(logins.logins.size).toBe(0)
    expect(await users.verify('alice', 'battery staple')).toBeDefined()
  })

  test('changes their own password with the old one; only the login at hand goes on', async () => {
    const { users, logins, login } = make(userRecord('alice', { passwordHash: BCRYPT }))
    login('here', 'alice')
    login('there', 'alice')
    const change = (current: string, next: string) => users.changePassword('alice', { current, next }, 'here')
    await expect(change('wrong', 'battery staple')).rejects.toEqual(code('access.login'))
    await expect(change('declared secret', 'alice')).rejects.toEqual(code('request.invalid-params'))
    expect(logins.logins.size).toBe(2)
    await change('declared secret', 'battery staple')
    expect([...logins.logins.keys()]).toEqual(['here'])
    expect(await users.verify('alice', 'battery staple')).toBeDefined()
  })

  test('is removed with all logins; the last admin is not', async () => {
    const { users, logins, login, store } = make(ADMIN, userRecord('alice'))
    login('one', 'alice')
    await users.remove('alice')
    expect([logins.logins.size, [...store.users.keys()]]).toEqual([0, ['root']])
    await expect(users.remove('root')).rejects.toEqual(code('user.last-admin'))
    await expect(users.update('root', { role: 'user' })).rejects.toEqual(code('user.last-admin'))
    await expect(users.remove('alice')).rejects.toEqual(code('resource.missing'))
  })
})

async function until(look: () => boolean): Promise<void> {
  while (!look()) await new Promise<void>((resolve) => setImmediate(resolve))
}

function declare(username: string, parts: Partial<DeclaredUser> = {}): DeclaredUser {
  return { username, passwordHash: BCRYPT, role: 'user', email: undefined, ...parts }
}

describe('a user of the settings', () => {
  test('is created when absent, and left alone when nothing has changed', async () => {
    const { declared, users, changed, store } = make()
    await declared.reconcile([declare('alice', { role: 'admin', email: 'a@example.com' })])
    expect(store.users.get('alice')).toMatchObject({
      origin: 'settings',
      role: 'admin',
      declaredHash: BCRYPT,
    })
    expect(await users.verify('alice', 'declared secret')).toBeDefined()
    const upgraded = store.users.get('alice')?.passwordHash
    await declared.reconcile([declare('alice', { role: 'admin', email: 'a@example.com' })])
    expect(store.users.get('alice')?.passwordHash).toBe(upgraded)
    expect(changed).toEqual(['alice'])
  })

  test('gets the password that the settings now say, and has to log in again', async () => {
    const { declared, users, logins, login } = make(ADMIN)
    await declared.reconcile([declare('alice')])
    login('one', 'alice')
    await users.changePassword('alice', { current: 'declared secret', next: 'battery staple' }, 'one')
    await declared.reconcile([declare('alice')])
    expect(await users.verify('alice', 'battery staple')).toBeDefined()
    await declared.reconcile([declare('alice', { passwordHash: OTHER, role: 'admin' })])
    expect(await users.verify('alice', 'another secret')).toMatchObject({ role: 'admin' })
    expect(await users.verify('alice', 'battery staple')).toBeUndefined()
    expect(logins.logins.size).toBe(0)
  })

  test('who is gone from them cannot log in, until back', async () => {
    const { declared, users, store, login, logins } = make(ADMIN)
    await declared.reconcile([declare('alice')])
    login('one', 'alice')
    await declared.reconcile([])
    expect(await users.verify('alice', 'declared secret')).toBeUndefined()
    expect([store.users.get('alice')?.status, logins.logins.size]).toEqual(['disabled', 0])
    expect(store.users.get('root')?.status).toBe('active')
    await declared.reconcile([declare('alice')])
    expect(await users.verify('alice', 'declared secret')).toBeDefined()
  })

  test('whom an admin has disabled stays so, whatever else changes in the settings', async () => {
    const { declared, users, store } = make(ADMIN)
    await declared.reconcile([declare('alice')])
    await users.update('alice', { status: 'disabled' })
    await declared.reconcile([declare('alice', { passwordHash: OTHER, email: 'a@example.com' })])
    expect(store.users.get('alice')).toMatchObject({ status: 'disabled', email: 'a@example.com' })
  })

  test('cannot be removed or given another role elsewhere; the refusal says where', async () => {
    const { declared, users } = make(ADMIN)
    await declared.reconcile([declare('alice', { email: 'a@example.com' })])
    const inUse = expect.objectContaining({
      code: 'resource.in-use',
      cure: expect.stringContaining('"users"'),
    })
    await expect(users.remove('alice')).rejects.toEqual(inUse)
    await expect(users.update('alice', { role: 'admin' })).rejects.toEqual(inUse)
    expect(await users.update('alice', { role: 'user', fullName: 'Alice' })).toMatchObject({
      fullName: 'Alice',
    })
    await declared.reconcile([])
    await users.remove('alice')
  })

  test('does not take the place of one who was made over the API', async () => {
    const { declared, store, lines } = make(userRecord('alice', { passwordHash: OTHER }))
    await declared.reconcile([declare('alice', { role: 'admin' }), declare('bob')])
    expect(store.users.get('alice')).toMatchObject({ origin: 'api', role: 'user', passwordHash: OTHER })
    expect(store.users.has('bob')).toBe(true)
    expect(lines).toMatchObject([{ level: 'warn', fields: { username: 'alice' } }])
  })

  test.each([
    ["MCPHub's default password", hashSync('admin123', 4)],
    ['a hash that is too costly', '$2b$15$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.'],
  ])('with %s is not created, and the log says so', async (_what, passwordHash) => {
    const { declared, store, lines } = make()
    await declared.reconcile([declare('admin', { passwordHash, role: 'admin' })])
    expect(store.users.size).toBe(0)
    expect(lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('left as is') }])
    expect(JSON.stringify(lines)).not.toContain('admin123')
  })

  test('who is the last admin stays, even when gone from the settings', async () => {
    const { declared, users, lines } = make()
    await declared.reconcile([declare('alice', { role: 'admin' })])
    await declared.reconcile([])
    expect(await users.verify('alice', 'declared secret')).toBeDefined()
    expect(lines).toMatchObject([{ level: 'warn' }])
  })

  test('waits for a store that is away: nothing is half done, and the error is told', async () => {
    const { declared, store } = make()
    store.away = true
    await expect(declared.reconcile([declare('alice')])).rejects.toEqual(code('storage.unavailable'))
    store.away = false
    await Promise.all([
      declared.reconcile([declare('alice')]),
      declared.reconcile([declare('alice'), declare('bob')]),
    ])
    expect([...store.users.keys()]).toEqual(['alice', 'bob'])
  })
})
