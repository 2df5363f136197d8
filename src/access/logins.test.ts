import { describe, expect, test } from 'vitest'
import { FakeLoginStore, FakeUserStore, userRecord } from '../../tests/fakes/accounts.ts'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import { systemRandom } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import type { Credentials } from './login-cookie.ts'
import { LoginLimiter, networkOf } from './login-limiter.ts'
import { Logins } from './logins.ts'
import { Passwords } from './passwords.ts'
import { Users } from './users.ts'

const DAY = 24 * 3_600_000
const code = (value: string) => expect.objectContaining({ code: value })
const passwords = new Passwords(systemRandom)
const HASH = await passwords.hash('correct horse')

interface Setup {
  readonly secure?: boolean
  readonly secret?: string
  readonly shared?: { store: FakeLoginStore; users: FakeUserStore }
}

function make({ secure = false, secret = 'session-secret', shared }: Setup = {}) {
  const userStore = shared?.users ?? new FakeUserStore()
  for (const [name, role] of [
    ['alice', 'user'],
    ['root', 'admin'],
  ] as const)
    userStore.users.set(name, userRecord(name, { role, passwordHash: HASH }))
  const store = shared?.store ?? new FakeLoginStore()
  const clock = new FakeClock()
  const tasks = new TaskGroup(recordingLogger().logger)
  const users = new Users({
    store: userStore,
    logins: store,
    passwords,
    clock,
    changed: async () => undefined,
  })
  const logins = new Logins({
    users,
    store,
    limiter: new LoginLimiter(),
    secret,
    ownOrigins: new Set(['https://public.example.com']),
    isSecure: () => secure,
    clock,
    random: systemRandom,
    tasks,
  })
  const login = (username = 'alice', password = 'correct horse', ip = '192.0.2.1') =>
    logins.login({ username, password, credentials: request({ ip }) })
  return { userStore, store, clock, tasks, users, logins, login }
}

function request(parts: Partial<Credentials> = {}): Credentials {
  return { method: 'GET', headers: {}, cookies: {}, ip: '192.0.2.1', ...parts }
}

/** A request as a browser sends it that has got this Set-Cookie. */
function browser(setCookie: string, parts: Partial<Credentials> = {}): Credentials {
  const [pair = ''] = setCookie.split(';')
  const at = pair.indexOf('=')
  return request({ cookies: { [pair.slice(0, at)]: pair.slice(at + 1) }, ...parts })
}

const script = (token: string, parts: Partial<Credentials> = {}) =>
  request({ headers: { 'x-auth-token': token }, ...parts })

describe('a login', () => {
  test('is known by its cookie and by its token', async () => {
    const { logins, login } = make()
    const grant = await login(' alice ')
    const known = { username: 'alice', role: 'user', tokenHash: expect.stringMatching(/^[0-9a-f]{64}$/) }
    expect(await logins.authenticate(browser(grant.setCookie))).toEqual(known)
    expect(await logins.authenticate(script(grant.token))).toEqual(known)
    expect(await logins.authenticate(request())).toBeUndefined()
  })

  test('is not kept in a form with which anybody could log in', async () => {
    const { store, login } = make()
    const { token } = await login()
    const [bare = ''] = token.split('.')
    expect(bare).toHaveLength(43)
    expect(JSON.stringify([...store.logins])).not.toContain(bare)
  })

  test('has a cookie that scripts and other sites do not get, and over https nobody else can set', async () => {
    const plain = (await make().login()).setCookie
    expect(plain).toMatch(/^flotilla=[\w.-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/)
    const { logins, login } = make({ secure: true })
    const { setCookie, token } = await login()
    expect(setCookie).toMatch(
      /^__Host-flotilla=[\w.-]+; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/,
    )
    expect(await logins.authenticate(request({ cookies: { flotilla: token } }))).toBeUndefined()
  })

  test.each([
    ['alice', 'wrong'],
    ['nobody', 'correct horse'],
    ['', ''],
  ])('is refused for %j with %j, in the same words', async (username, password) => {
    await expect(make().login(username, password)).rejects.toMatchObject({
      code: 'access.login',
      message: 'Username or password is wrong.',
    })
  })

  test('that is forged costs no look-up, whatever it looks like', async () => {
    const { logins, login, store } = make()
    const { token } = await login()
    const [bare = '', signature = ''] = token.split('.')
    const asked = store.asked
    for (const forged of [
      bare,
      `${bare}.`,
      `${bare}.x`,
      `x.${signature}`,
      `${bare}.${signature}x`,
      '.',
      '..',
      'ü',
    ])
      await expect(logins.authenticate(script(forged))).rejects.toEqual(code('access.unauthenticated'))
    expect(store.asked).toBe(asked)
  })

  test('[R211] is valid on every node that shares secret and store, and on no other', async () => {
    const one = make()
    const shared = { store: one.store, users: one.userStore }
    const { token } = await one.login()
    expect(await make({ shared }).logins.authenticate(script(token))).toMatchObject({ username: 'alice' })
    await expect(make({ shared, secret: 'another' }).logins.authenticate(script(token))).rejects.toEqual(
      code('access.unauthenticated'),
    )
  })

  test('ends with a logout, at once on this node and after 5 s elsewhere', async () => {
    const one = make()
    const other = make({ shared: { store: one.store, users: one.userStore } })
    const { setCookie, token } = await one.login()
    await other.logins.authenticate(script(token))
    const cleared = await one.logins.logout(
      browser(setCookie, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } }),
    )
    expect(cleared).toMatch(/^flotilla=; Path=\/; Max-Age=0;/)
    await expect(one.logins.authenticate(script(token))).rejects.toEqual(code('access.unauthenticated'))
    await other.clock.advance(4_999)
    expect(await other.logins.authenticate(script(token))).toBeDefined()
    await other.clock.advance(1)
    await expect(other.logins.authenticate(script(token))).rejects.toEqual(code('access.unauthenticated'))
  })

  test('is looked up once in 5 s, also when many requests come at once', async () => {
    const { logins, login, store, clock } = make()
    const { token } = await login()
    const asked = store.asked
    await Promise.all(Array.from({ length: 20 }, () => logins.authenticate(script(token))))
    expect(store.asked).toBe(asked + 1)
    await clock.advance(5_000)
    await logins.authenticate(script(token))
    expect(store.asked).toBe(asked + 2)
  })

  test('lasts seven days without a request, and thirty in all', async () => {
    const { logins, login, clock, tasks } = make()
    const { token } = await login()
    for (let day = 0; day < 24; day += 6) {
      await clock.advance(6 * DAY)
      expect(await logins.authenticate(script(token))).toBeDefined()
      await settle()
    }
    await clock.advance(6 * DAY)
    await expect(logins.authenticate(script(token))).rejects.toEqual(code('access.unauthenticated'))
    const { token: idle } = await login()
    await clock.advance(7 * DAY)
    await expect(logins.authenticate(script(idle))).rejects.toEqual(code('access.unauthenticated'))
    await tasks.close()
  })

  test('that is over is removed from the store in time', async () => {
    const { logins, login, clock, store } = make()
    await login()
    await clock.advance(31 * DAY)
    expect(store.logins.size).toBe(0)
    logins.close()
    expect(clock.pending).toBe(0)
  })

  test('fails when its user is disabled or gone, and follows another role', async () => {
    const { logins, login, userStore } = make()
    const [one, two] = [await login('alice'), await login('root')]
    await logins.authenticate(script(one.token))
    userStore.users.set('root', userRecord('root', { role: 'user', passwordHash: HASH }))
    userStore.users.set('alice', userRecord('alice', { status: 'disabled' }))
    logins.forgetAll()
    await expect(logins.authenticate(script(one.token))).rejects.toEqual(code('access.unauthenticated'))
    expect(await logins.authenticate(script(two.token))).toMatchObject({ role: 'user' })
    userStore.users.delete('root')
    logins.forgetAll()
    await expect(logins.authenticate(script(two.token))).rejects.toEqual(code('access.unauthenticated'))
  })

  test('that cannot be looked up is not taken for one that is over', async () => {
    const { logins, login, store } = make()
    const { token } = await login()
    store.away = true
    await expect(logins.authenticate(script(token))).rejects.toEqual(code('storage.unavailable'))
    store.away = false
    expect(await logins.authenticate(script(token))).toBeDefined()
  })
})

describe('a cookie', () => {
  const own = { host: 'hub.example.com' }

  test.each([
    ['says that it comes from the same origin', { 'sec-fetch-site': 'same-origin' }],
    ['carries the origin of the host that it was sent to', { ...own, origin: 'https://hub.example.com' }],
    ['does so with a port', { host: 'localhost:3000', origin: 'http://localhost:3000' }],
    [
      'does so with a port that goes without saying',
      { host: 'hub.example.com:443', origin: 'https://hub.example.com' },
    ],
    ['carries the origin that the operator has named', { ...own, origin: 'https://public.example.com' }],
  ])('may change something when the request %s', async (_what, headers) => {
    const { logins, login } = make()
    const { setCookie } = await login()
    expect(await logins.authenticate(browser(setCookie, { method: 'POST', headers }))).toBeDefined()
  })

  test.each([
    ['says nothing of where it comes from', {}],
    ['comes from another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example.com' }],
    [
      'comes from another port of this host',
      { 'sec-fetch-site': 'same-site', host: 'localhost:3000', origin: 'http://localhost:5173' },
    ],
    ['was typed by somebody', { 'sec-fetch-site': 'none' }],
    ['lies about its origin', { 'sec-fetch-site': 'cross-site', ...own, origin: 'https://hub.example.com' }],
    ['comes from another origin, in an old browser', { ...own, origin: 'https://evil.example.com' }],
    ['comes from another port, in an old browser', { ...own, origin: 'https://hub.example.com:8443' }],
    ['comes from nowhere', { ...own, origin: 'null' }],
    ['has a host that only begins alike', { ...own, origin: 'https://hub.example.com.evil.example' }],
    ['carries an origin that is none', { ...own, origin: 'hub.example.com' }],
  ])('may change nothing when the request %s; a token may', async (_what, headers) => {
    const { logins, login } = make()
    const { setCookie, token } = await login()
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'post'])
      await expect(logins.authenticate(browser(setCookie, { method, headers }))).rejects.toEqual(
        code('access.csrf'),
      )
    expect(await logins.authenticate(browser(setCookie, { headers }))).toBeDefined()
    expect(
      await logins.authenticate(
        script(token, { method: 'POST', headers: { ...headers, 'x-auth-token': token } }),
      ),
    ).toBeDefined()
  })
})

describe('guessing passwords', () => {
  const limited = expect.objectContaining({ code: 'access.rate-limited', retryAfter: expect.any(Number) })

  async function fail(login: ReturnType<typeof make>['login'], username: string, ip: string, times: number) {
    for (let count = 0; count < times; count += 1)
      await expect(login(username, 'wrong', ip)).rejects.toEqual(code('access.login'))
  }

  test('ends after five failures of one user from one address, for the right password too', async () => {
    const { login } = make()
    await fail(login, 'alice', '192.0.2.1', 5)
    await expect(login('alice', 'correct horse', '192.0.2.1')).rejects.toEqual(limited)
    await expect(login('alice', 'correct horse', '192.0.2.1')).rejects.toMatchObject({
      retryAfter: expect.toSatisfy((seconds: number) => seconds > 880 && seconds <= 900),
    })
    expect(await login('alice', 'correct horse', '192.0.2.2')).toMatchObject({ username: 'alice' })
    expect(await login('root', 'correct horse', '192.0.2.1')).toMatchObject({ username: 'root' })
  })

  test('ends after twenty failures from one address, whoever it is', async () => {
    const { login } = make()
    for (let user = 0; user < 20; user += 1) await fail(login, `user-${user}`, '192.0.2.1', 1)
    await expect(login('root', 'correct horse', '192.0.2.1')).rejects.toEqual(limited)
    expect(await login('root', 'correct horse', '192.0.2.2')).toBeDefined()
  })

  test('is not better when all tries come at the same moment', async () => {
    const { login } = make()
    const tries = await Promise.allSettled(Array.from({ length: 12 }, () => login('alice', 'wrong')))
    const codes = tries.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)
    expect(codes.filter((each) => each === 'access.login')).toHaveLength(5)
    expect(codes.filter((each) => each === 'access.rate-limited')).toHaveLength(7)
  })

  test('is forgiven with a success, and who always succeeds is never held up', async () => {
    const { login } = make()
    await fail(login, 'alice', '192.0.2.1', 4)
    await login()
    await fail(login, 'alice', '192.0.2.1', 4)
    for (let count = 0; count < 25; count += 1) await login()
  })

  test('does not count what failed because the store was away', async () => {
    const { login, userStore } = make()
    userStore.away = true
    for (let count = 0; count < 25; count += 1)
      await expect(login()).rejects.toEqual(code('storage.unavailable'))
    userStore.away = false
    expect(await login()).toBeDefined()
  })

  test('is limited in the form that changes a password too', async () => {
    const { logins, login } = make()
    const { token } = await login()
    const known = await logins.authenticate(script(token))
    if (!known) throw new Error('There is no login.')
    const change = (current: string) =>
      logins.changePassword(known, { current, next: 'battery staple', credentials: request() })
    for (let count = 0; count < 5; count += 1)
      await expect(change('wrong')).rejects.toEqual(code('access.login'))
    await expect(change('correct horse')).rejects.toEqual(limited)
  })
})

test('a changed password ends the other logins, not the one at hand', async () => {
  const { logins, login } = make()
  const [here, there] = [await login(), await login()]
  const known = await logins.authenticate(script(here.token))
  await logins.authenticate(script(there.token))
  if (!known) throw new Error('There is no login.')
  await logins.changePassword(known, {
    current: 'correct horse',
    next: 'battery staple',
    credentials: request(),
  })
  expect(await logins.authenticate(script(here.token))).toBeDefined()
  await expect(logins.authenticate(script(there.token))).rejects.toEqual(code('access.unauthenticated'))
  expect(await login('alice', 'battery staple')).toBeDefined()
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::9', '2001:db8:1:2'],
  ['2001:DB8:0001::', '2001:db8:1:0'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', ''],
])('the address %s belongs to the network %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network)
})
