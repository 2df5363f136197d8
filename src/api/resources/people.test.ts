import { describe, expect, test } from 'vitest'
import { startApi } from '../../../tests/fakes/api.ts'

describe('users', () => {
  test('are added, changed, listed and removed', async () => {
    await using api = await startApi()
    const body = { username: 'carol', password: 'a good long one', email: 'carol@example.org' }
    const made = await api.ask('POST', '/api/users', { as: 'admin', body })
    expect(made.status).toBe(201)
    expect(made.body['data']).toMatchObject({
      username: 'carol',
      isAdmin: false,
      role: 'user',
      email: 'carol@example.org',
    })
    await api.ask('PUT', '/api/users/carol', {
      as: 'admin',
      body: { isAdmin: true, newPassword: 'another', email: null },
    })
    expect(api.asked.at(-1)).toEqual({
      port: 'users.update',
      with: { role: 'admin', password: 'another', email: undefined },
    })
    expect((await api.ask('GET', '/api/users-stats', { as: 'admin' })).body['data']).toEqual({
      totalUsers: 2,
      adminUsers: 2,
      regularUsers: 0,
    })
    expect((await api.ask('GET', '/api/users/carol', { as: 'admin' })).text).not.toMatch(/password|hash/i)
    expect((await api.ask('DELETE', '/api/users/carol', { as: 'admin' })).status).toBe(200)
    for (const [method, path] of [
      ['GET', 'carol'],
      ['DELETE', 'carol'],
    ] as const)
      expect((await api.ask(method, `/api/users/${path}`, { as: 'admin' })).body['code']).toBe(
        'resource.missing',
      )
    expect((await api.ask('GET', '/api/users', { as: 'admin' })).body['data']).toHaveLength(1)
  })

  test('twice are refused', async () => {
    await using api = await startApi()
    const body = { username: 'admin', password: 'x' }
    expect((await api.ask('POST', '/api/users', { as: 'admin', body })).status).toBe(409)
  })
})

describe('keys', () => {
  const make = { name: 'mine', accessType: 'servers', allowedServers: ['a'] }

  test('show their token once, to whoever makes them', async () => {
    await using api = await startApi()
    const made = await api.ask('POST', '/api/auth/keys', { as: 'alice', body: make })
    expect(made.status).toBe(201)
    expect(made.body['data']).toMatchObject({
      id: 'key-1',
      token: 'flk_the-token',
      owner: 'alice',
      createdBy: 'alice',
      accessType: 'custom',
      allowedServers: ['a'],
      rest: 'none',
      enabled: true,
    })
    for (const path of ['/api/auth/keys', '/api/auth/keys/key-1'])
      expect((await api.ask('GET', path, { as: 'alice' })).text).not.toMatch(/the-token|hash/i)
  })

  test("are one's own; administrators have all", async () => {
    await using api = await startApi()
    await api.ask('POST', '/api/auth/keys', { as: 'alice', body: make })
    const path = '/api/auth/keys/key-1'
    const count = async (as: string) =>
      ((await api.ask('GET', '/api/auth/keys', { as })).body['data'] as object[]).length
    expect([await count('alice'), await count('bob'), await count('admin')]).toEqual([1, 0, 1])
    for (const [method, body] of [['GET'], ['PUT', { enabled: false }], ['DELETE']] as const)
      expect((await api.ask(method, path, { as: 'bob', body })).status).toBe(404)
    expect((await api.ask('PUT', path, { as: 'alice', body: { enabled: false } })).body).toMatchObject({
      data: { enabled: false },
    })
    expect((await api.ask('DELETE', path, { as: 'admin' })).status).toBe(200)
    expect(await count('admin')).toBe(0)
  })

  test.each([
    { name: 'x', rest: 'admin' },
    { name: 'x', owner: 'bob' },
    { name: 'x', owner: null },
    { name: 'x', grants: ['servers:launch'] },
  ])('%j is more than an ordinary user may give', async (body) => {
    await using api = await startApi()
    expect((await api.ask('POST', '/api/auth/keys', { as: 'alice', body })).status).toBe(403)
    expect((await api.ask('POST', '/api/auth/keys', { as: 'admin', body })).status).toBe(201)
    await api.ask('POST', '/api/auth/keys', { as: 'alice', body: { name: 'y' } })
    const { owner: _owner, ...change } = { ...body, owner: undefined }
    if (Object.keys(change).length > 1)
      expect((await api.ask('PUT', '/api/auth/keys/key-2', { as: 'alice', body: change })).status).toBe(403)
  })
})

describe('POST /api/auth/login', () => {
  test('answers as MCPHub does, with a cookie as well', async () => {
    await using api = await startApi()
    const body = { username: 'alice', password: 'right' }
    const answer = await api.ask('POST', '/api/auth/login', { body })
    expect(answer.body).toMatchObject({
      success: true,
      message: 'Logged in.',
      token: 'login-token',
      user: { username: 'alice', isAdmin: false, permissions: expect.arrayContaining(['servers:read']) },
    })
    expect(answer.headers['set-cookie']?.[0]).toMatch(/^flotilla=login-token; HttpOnly/)
  })

  test('refuses without saying which of the two is wrong', async () => {
    await using api = await startApi()
    const body = { username: 'alice', password: 'wrong' }
    const { status, body: answer, headers } = await api.ask('POST', '/api/auth/login', { body })
    expect([status, answer['code'], headers['set-cookie']]).toEqual([401, 'access.login', undefined])
  })
})

describe('a login', () => {
  test('says who one is, and ends', async () => {
    await using api = await startApi()
    const { body } = await api.ask('GET', '/api/auth/user', { as: 'admin' })
    expect(body).toMatchObject({ success: true, user: { username: 'admin', isAdmin: true } })
    const out = await api.ask('POST', '/api/auth/logout', { as: 'admin' })
    expect([out.status, out.headers['set-cookie']]).toEqual([200, ['flotilla=; Max-Age=0']])
  })

  test('changes its password with the old one', async () => {
    await using api = await startApi()
    const change = (currentPassword: string) =>
      api.ask('POST', '/api/auth/change-password', {
        as: 'alice',
        body: { currentPassword, newPassword: 'next' },
      })
    expect((await change('wrong')).status).toBe(401)
    expect((await change('right')).status).toBe(200)
    expect(api.asked).toMatchObject([{ with: { username: 'alice', next: 'next' } }])
    const body = { currentPassword: 'right', newPassword: 'next' }
    const robot = await api.ask('POST', '/api/auth/change-password', { as: 'robot', body })
    expect([robot.status, api.asked.length]).toEqual([403, 1])
  })
})

describe('the first start', () => {
  test('takes the token of the setup link', async () => {
    await using api = await startApi()
    expect((await api.ask('GET', '/api/auth/setup')).body['data']).toEqual({ pending: true })
    const setup = (token: string) =>
      api.ask('POST', '/api/auth/setup', { body: { token, username: 'admin', password: 'right' } })
    expect((await setup('wrong')).status).toBe(401)
    expect((await setup('setup')).body).toMatchObject({ token: 'login-token', user: { isAdmin: true } })
  })
})
