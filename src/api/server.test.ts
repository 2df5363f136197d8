import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startApi, type TestApi } from '../../tests/fakes/api.ts'
import { until } from '../../tests/harness/wait.ts'
import { HubError } from '../domain/errors.ts'
import { type Route, route } from './route.ts'
import { ROUTES } from './routes.ts'

/** Routes that go wrong in every way. */
const ODD: readonly Route[] = [
  route({
    name: 'odd.crash',
    method: 'GET',
    path: '/api/crash',
    permission: 'self',
    summary: 'Crashes',
    answer: z.undefined(),
    handle: async () => {
      throw new TypeError('the password is hunter2 in /etc/secret')
    },
  }),
  route({
    name: 'odd.lies',
    method: 'GET',
    path: '/api/lies',
    permission: 'self',
    summary: 'Answers something else than it says',
    answer: z.object({ count: z.number() }),
    handle: async () => ({ data: { count: 'hunter2' } }),
  }),
  route({
    name: 'odd.talks',
    method: 'GET',
    path: '/api/talks',
    permission: 'self',
    summary: 'Says more than it should',
    answer: z.object({ name: z.string() }),
    handle: async () => ({ data: { name: 'x', passwordHash: 'hunter2' } }),
  }),
  route({
    name: 'odd.busy',
    method: 'GET',
    path: '/api/busy',
    permission: 'self',
    summary: 'Has no time',
    answer: z.undefined(),
    handle: async () => {
      throw new HubError('storage.unavailable', 'The storage is away.', { retryAfter: 5, cure: 'Wait.' })
    },
  }),
]

describe('the route table', () => {
  test('is all that is served: fastify has exactly these routes', async () => {
    await using api = await startApi()
    const table = ROUTES.map(({ method, path }) => `${method} ${path}`)
    expect([...api.api.served].sort()).toEqual(table.sort())
    expect(new Set(table).size).toBe(table.length)
    expect(new Set(ROUTES.map(({ name }) => name)).size).toBe(ROUTES.length)
  })

  test('makes an audit record of everything that changes something', () => {
    const silent = ROUTES.filter(({ method, audit }) => method !== 'GET' && audit === undefined)
    // Calls have records of their own, and heartbeats change nothing.
    expect(silent.map(({ name }) => name)).toEqual(['tools.call', 'internal.heartbeat'])
  })

  test('is open to everybody only where it has to be', () => {
    const open = ROUTES.filter(({ permission }) => permission === 'public').map(({ name }) => name)
    expect(open).toEqual([
      'status',
      'health',
      'healthz',
      'livez',
      'readyz',
      'openapi',
      'auth.login',
      'setup.state',
      'setup.complete',
    ])
  })
})

describe('who is unknown', () => {
  test.each([
    ['GET', '/api/servers'],
    ['GET', '/api'],
    ['GET', '/api/'],
    ['GET', '/api/nope'],
    ['PATCH', '/api/servers'],
    ['DELETE', '/api/nope/x'],
    ['GET', '/api/servers/%zz'],
    ['GET', '/api/%'],
  ])('%s %s: is told no more than that', async (method, path) => {
    await using api = await startApi()
    for (const as of [undefined, 'wrong']) {
      const { status, body, headers } = await api.ask(method, path, as ? { as } : {})
      expect([status, body['code']]).toEqual([401, 'access.unauthenticated'])
      expect(headers['www-authenticate']).toMatch(/^Bearer /)
    }
  })

  test('is refused before the body is looked at', async () => {
    await using api = await startApi()
    const { status } = await api.ask('POST', '/api/servers', { body: '{broken' })
    expect(status).toBe(401)
  })

  test('may come with a broken credential to what is open to everybody', async () => {
    await using api = await startApi()
    for (const as of ['wrong', 'away']) expect((await api.ask('GET', '/health', { as })).status).toBe(200)
  })
})

describe('who is known', () => {
  test('is told what there is not', async () => {
    await using api = await startApi()
    for (const path of ['/api', '/api/', '/api/nope', '/api/servers/%zz', '/api/servers/a/b/c']) {
      const { status, body } = await api.ask('GET', path, { as: 'narrow' })
      expect([path, status, body['code']]).toEqual([path, 404, 'route.unknown'])
      expect(body['cure']).toMatch(/./)
    }
  })

  test('is told which methods a path has', async () => {
    await using api = await startApi()
    const { status, headers, body } = await api.ask('PATCH', '/api/servers/time', { as: 'admin' })
    expect([status, headers['allow']]).toEqual([405, 'DELETE, GET, HEAD, PUT'])
    expect(body).toMatchObject({ success: false, code: 'request.method-not-allowed' })
  })

  test('needs the permission of the route', async () => {
    await using api = await startApi()
    const { status, body } = await api.ask('GET', '/api/users', { as: 'alice' })
    expect([status, body['code']]).toEqual([403, 'access.denied'])
  })

  test('is asked to wait while the storage is away', async () => {
    await using api = await startApi({ routes: ODD })
    for (const [path, as] of [
      ['/api/busy', 'admin'],
      ['/api/crash', 'away'],
    ] as const) {
      const { status, headers } = await api.ask('GET', path, { as })
      expect([status, headers['retry-after']]).toEqual([503, '5'])
    }
  })
})

describe('every answer', () => {
  test('has an id, is not cached and is not guessed at', async () => {
    await using api = await startApi()
    for (const [path, as] of [
      ['/api/servers', 'admin'],
      ['/api/servers', 'wrong'],
      ['/api/nope', 'admin'],
      ['/api/%', 'admin'],
      ['/health', undefined],
    ] as const) {
      const { headers } = await api.ask('GET', path, as ? { as } : {})
      expect(headers['x-request-id']).toMatch(/^id-\d+$/)
      expect(headers['cache-control']).toBe('no-store')
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  test("carries the client's own id if that can stand in a log", async () => {
    await using api = await startApi()
    const idFor = async (id: string) => {
      const { headers, body } = await api.ask('GET', '/api/nope', {
        as: 'admin',
        headers: { 'x-request-id': id },
      })
      expect(body['requestId']).toBe(headers['x-request-id'])
      return headers['x-request-id']
    }
    expect(await idFor('abc-123.4:5_6')).toBe('abc-123.4:5_6')
    for (const odd of ['a b', 'x'.repeat(101), '<script>', 'ä']) expect(await idFor(odd)).toMatch(/^id-/)
  })

  test('to HEAD is that to GET without a body', async () => {
    await using api = await startApi()
    const { status, headers, text } = await api.ask('HEAD', '/api/servers', { as: 'admin' })
    expect([status, text]).toEqual([200, ''])
    expect(Number(headers['content-length'])).toBeGreaterThan(10)
    expect((await api.ask('HEAD', '/health')).status).toBe(200)
    expect((await api.ask('HEAD', '/api/servers')).status).toBe(401)
  })

  test('shows nothing of an error that is not the hub’s own', async () => {
    await using api = await startApi({ routes: ODD })
    for (const path of ['/api/crash', '/api/lies']) {
      const { status, text, body } = await api.ask('GET', path, { as: 'admin' })
      expect([status, body['code']]).toEqual([500, 'internal'])
      expect(text).not.toMatch(/hunter2|TypeError|secret|node_modules|\.ts:/)
      expect(body['requestId']).toBe(api.logged.at(-1)?.fields['requestId'])
    }
    expect(api.logged.filter(({ level }) => level === 'error')).toHaveLength(2)
  })

  test('holds what its schema names and no more', async () => {
    await using api = await startApi({ routes: ODD })
    expect((await api.ask('GET', '/api/talks', { as: 'admin' })).body).toEqual({
      success: true,
      data: { name: 'x' },
    })
  })
})

describe('a body', () => {
  const post = (api: TestApi, body: unknown, headers: Record<string, string> = {}) =>
    api.ask('POST', '/api/servers', { as: 'admin', body, headers })

  test('that does not fit is refused with each place and why', async () => {
    await using api = await startApi()
    const { status, body } = await post(api, { name: '', config: { args: 'x' } })
    expect(status).toBe(400)
    expect(body).toMatchObject({ success: false, code: 'request.invalid-params' })
    const errors = body['errors'] as { path: string; message: string }[]
    expect(errors.map(({ path }) => path)).toEqual(['body.name', 'body.name', 'body.config.args'])
    expect(errors.every(({ message }) => message.length > 5)).toBe(true)
  })

  test.each<[string, unknown, Record<string, string>, number, string]>([
    ['that is no JSON', '{"name": ', {}, 400, 'request.invalid-json'],
    ['that is missing', undefined, {}, 400, 'request.invalid-params'],
    ['that is empty', '', { 'content-type': 'application/json' }, 400, 'request.invalid-params'],
    [
      'that is a form',
      'a=b',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'request.media-type',
    ],
    ['without a type', '{}', { 'content-type': '' }, 415, 'request.media-type'],
    ['with a prototype', '{"name":"x","config":{"__proto__":{"a":1}}}', {}, 400, 'request.invalid'],
    ['with one in disguise', '{"\\u005f_proto__":{"a":1}}', {}, 400, 'request.invalid'],
    ['that is too deep', `${'['.repeat(65)}${']'.repeat(65)}`, {}, 400, 'request.invalid'],
    ['that is too large', JSON.stringify('x'.repeat(4 * 1024 * 1024)), {}, 413, 'request.too-large'],
  ])('%s is refused clearly', async (_what, body, headers, status, code) => {
    await using api = await startApi()
    const answer = await post(api, body, headers)
    expect([answer.status, answer.body['code']]).toEqual([status, code])
    expect(answer.body['cure']).toMatch(/./)
  })

  test('may hold brackets in its texts', async () => {
    await using api = await startApi()
    const config = { url: 'http://x/', description: `\\"${'['.repeat(200)}` }
    expect((await post(api, { name: 'x', config })).status).toBe(201)
  })
})

describe('records', () => {
  test('each request makes one of access; probes that find all well make none', async () => {
    await using api = await startApi()
    await api.ask('GET', '/api/servers?x=secret', { as: 'alice', headers: { 'user-agent': 'ua' } })
    await api.ask('GET', '/api/nope', { as: 'reader' })
    await api.ask('GET', '/api/users')
    await api.ask('GET', '/api/%', { as: 'alice' })
    await api.ask('GET', '/health')
    await until('all are recorded', () => api.access.length === 4)
    expect(
      api.access.map(({ action, statusCode, username, keyId }) => [action, statusCode, username, keyId]),
    ).toEqual([
      ['servers.list', 200, 'alice', undefined],
      ['route.unknown', 404, undefined, 'k-read'],
      ['users.list', 401, undefined, undefined],
      ['route.unknown', 404, 'alice', undefined],
    ])
    expect(api.access[0]).toMatchObject({
      resource: '/api/servers',
      method: 'GET',
      userAgent: 'ua',
      ip: '127.0.0.1',
    })
    expect(api.audit).toEqual([])
  })

  test('each change makes one of audit, also when it fails; none holds a password', async () => {
    await using api = await startApi()
    await api.ask('POST', '/api/auth/login', { body: { username: 'alice', password: 'wrong-secret' } })
    const body = { username: 'carol', password: 'a-secret-word' }
    await api.ask('POST', '/api/users', { as: 'admin', body })
    await api.ask('POST', '/api/users', { as: 'admin', body })
    await api.ask('DELETE', '/api/users/carol', { as: 'alice' })
    await until('all are recorded', () => api.audit.length === 4)
    expect(api.audit.map(({ actor, action, target, success }) => [actor, action, target, success])).toEqual([
      ['anonymous', 'auth.login', 'user:alice', false],
      ['admin', 'users.create', 'user:carol', true],
      ['admin', 'users.create', 'user:carol', false],
      ['alice', 'users.delete', 'user:carol', false],
    ])
    expect(JSON.stringify([api.audit, api.access])).not.toContain('secret')
  })
})

describe('the end', () => {
  test('a stream ends when its client goes away', async () => {
    await using api = await startApi()
    const abort = new AbortController()
    const response = await fetch(`${api.url}/api/logs/stream`, {
      headers: { authorization: 'Bearer admin' },
      signal: abort.signal,
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    let seen = ''
    const decoder = new TextDecoder()
    const reader = response.body?.getReader()
    while (!seen.includes('more')) seen += decoder.decode((await reader?.read())?.value)
    expect(seen).toMatch(/^: open\n\ndata: \{.*hello.*\}\n\ndata: \{.*more.*\}\n\n$/)
    abort.abort()
    await until('it is recorded as over', () => api.access.length === 1)
  })

  test('after close requests are told to come back, and closing twice does no harm', async () => {
    await using api = await startApi()
    await api.api.close()
    await api.api.close()
    const { status, body, headers } = await api.ask('GET', '/api/servers', { as: 'admin' })
    expect([status, body['code'], headers['retry-after']]).toEqual([503, 'hub.stopping', '5'])
  })
})

describe('GET /api/openapi.json', () => {
  test('describes each route, what it takes and what it needs', async () => {
    await using api = await startApi()
    const { status, body } = await api.ask('GET', '/api/openapi.json')
    expect([status, body['openapi']]).toEqual([200, '3.1.0'])
    const paths = body['paths'] as Record<string, Record<string, { operationId: string; security: object[] }>>
    const described = Object.values(paths).flatMap((methods) => Object.values(methods))
    expect(described.map(({ operationId }) => operationId).sort()).toEqual(
      ROUTES.map(({ name }) => name).sort(),
    )
    expect(paths['/api/servers']?.['get']?.security).toEqual([{ bearer: [] }, { cookie: [] }, { token: [] }])
    expect(paths['/health']?.['get']?.security).toEqual([])
    expect(paths['/internal/cluster/register']?.['post']?.security).toEqual([{ clusterToken: [] }])
    expect(JSON.stringify(paths['/api/auth/keys']?.['post'])).toContain('requestsPerMinute')
    const { components } = body as { components: { securitySchemes: object } }
    expect(Object.keys(components.securitySchemes)).toEqual(['bearer', 'cookie', 'token', 'clusterToken'])
  })
})
