import { describe, expect, test } from 'vitest'
import { HOLDERS, startApi } from '../../../tests/fakes/api.ts'
import { hubSettings, serverSpec } from '../../../tests/fakes/domain.ts'

const DOCUMENT = {
  mcpServers: {
    time: { command: 'npx', env: { TOKEN: 'canary-secret' } },
    hers: { url: 'http://h/', owner: 'alice' },
  },
  systemConfig: { nameSeparator: '-', activityLog: { usageDays: 30, auditDays: 1 } },
  odd: { kept: true },
}
const setup = { settings: DOCUMENT }

describe('settings', () => {
  test('are shown and exported without secrets', async () => {
    await using api = await startApi(setup)
    const shown = await api.ask('GET', '/api/settings', { as: 'reader' })
    expect(shown.body['data']).toMatchObject({
      odd: { kept: true },
      mcpServers: { time: { env: { TOKEN: '********' } } },
    })
    expect(shown.headers['etag']).toBe('"1"')
    const file = await api.ask('GET', '/api/mcp-settings/export', { as: 'reader' })
    expect(file.body).toMatchObject({ odd: { kept: true }, mcpServers: {} })
    const revision = await api.ask('GET', '/api/settings/revisions/1', { as: 'reader' })
    expect(revision.body['data']).toMatchObject({ number: 1, document: { odd: { kept: true } } })
    expect(`${shown.text}${file.text}${revision.text}`).not.toContain('canary')
  })

  test('are changed place by place', async () => {
    await using api = await startApi(setup)
    const edits = [
      { path: ['odd', 'kept'], value: false },
      { path: ['systemConfig', 'nameSeparator'], value: '_' },
    ]
    expect((await api.ask('PATCH', '/api/settings', { as: 'admin', body: { edits } })).status).toBe(200)
    expect(api.settings.document).toMatchObject({
      odd: { kept: false },
      systemConfig: { nameSeparator: '_' },
    })
  })

  test.each(['mcpServers', 'groups', 'bearerKeys', 'users'])(
    '%s are not: their own routes have the checks that they need',
    async (section) => {
      await using api = await startApi(setup)
      const edits = [{ path: [section, 'x'], value: { command: 'sh' } }]
      expect((await api.ask('PATCH', '/api/settings', { as: 'admin', body: { edits } })).status).toBe(403)
    },
  )

  test('of the system are changed by section, the rest of a section stays', async () => {
    await using api = await startApi(setup)
    const body = { activityLog: { usageDays: 7 } }
    expect((await api.ask('PUT', '/api/system-config', { as: 'admin', body })).status).toBe(200)
    expect(api.settings.document).toMatchObject({
      systemConfig: { nameSeparator: '-', activityLog: { usageDays: 7, auditDays: 1 } },
    })
  })

  test('that are wrong are refused with what is wrong', async () => {
    await using api = await startApi(setup)
    const answer = await api.ask('PUT', '/api/system-config', { as: 'admin', body: { nameSeparator: '!!!' } })
    expect([answer.status, answer.body['code']]).toEqual([422, 'settings.invalid'])
    expect(answer.body['message']).toMatch(/nameSeparator/)
  })
})

describe('places that decide more than settings do', () => {
  const editor = {
    ...HOLDERS['admin'],
    username: 'editor',
    may: ['settings:write', 'settings:read'] as const,
  }

  test.each<[string, string, object]>([
    ['PUT', '/api/system-config', { routing: { bearerAuthKey: 'a-new-way-in' } }],
    ['PUT', '/api/system-config', { install: { npmRegistry: 'http://evil/' } }],
    ['PUT', '/api/system-config', { cluster: { enabled: true } }],
    [
      'PATCH',
      '/api/settings',
      { edits: [{ path: ['cluster', 'security', 'token'], value: 'chosen-by-me' }] },
    ],
    [
      'PATCH',
      '/api/settings',
      { edits: [{ path: ['systemConfig', 'routing', 'enableBearerAuth'], value: false }] },
    ],
    ['POST', '/api/settings/revisions/1/rollback', {}],
  ])('%s %s %j needs more than settings:write', async (method, path, body) => {
    await using api = await startApi({
      settings: { ...DOCUMENT, bearerKeys: [{ token: 'an-old-leaked-key' }] },
    })
    Object.assign(HOLDERS, { editor })
    api.settings.disturb([{ path: ['bearerKeys', 0], value: undefined }])
    expect((await api.ask(method, path, { as: 'editor', body })).status).toBe(403)
    expect((await api.ask(method, path, { as: 'admin', body })).status).toBe(200)
  })
})

describe('revisions', () => {
  test('are listed newest first and page by page', async () => {
    await using api = await startApi(setup)
    for (const value of [1, 2, 3]) api.settings.disturb([{ path: ['odd'], value }])
    const page = async (query: string) =>
      (await api.ask('GET', `/api/settings/revisions?${query}`, { as: 'reader' })).body['data'] as {
        items: { number: number }[]
        nextBefore?: number
      }
    const first = await page('limit=2')
    expect([first.items.map(({ number }) => number), first.nextBefore]).toEqual([[4, 3], 3])
    const second = await page('limit=2&before=3')
    expect([second.items.map(({ number }) => number), second.nextBefore]).toEqual([[2, 1], undefined])
    expect(JSON.stringify(first)).not.toContain('canary')
  })

  test('can be compared and brought back', async () => {
    await using api = await startApi(setup)
    api.settings.disturb([{ path: ['odd'], value: 'changed' }])
    const diff = await api.ask('GET', '/api/settings/revisions/2/diff', { as: 'reader' })
    expect(diff.body['data']).toEqual([{ path: '/odd', kind: 'changed' }])
    const path = '/api/settings/revisions/1/rollback'
    expect((await api.ask('POST', `${path}?dryRun`, { as: 'admin' })).status).toBe(200)
    expect(api.settings.document['odd']).toBe('changed')
    const headers = { 'if-match': '"1"' }
    expect((await api.ask('POST', path, { as: 'admin', headers })).status).toBe(412)
    expect((await api.ask('POST', path, { as: 'admin' })).body).toMatchObject({ data: { revision: 3 } })
    expect(api.settings.document['odd']).toEqual({ kept: true })
    expect(api.settings.revisions.at(-1)).toMatchObject({ author: 'admin', reason: 'Back to revision 1.' })
  })

  test('that are not there are missing', async () => {
    await using api = await startApi(setup)
    for (const [method, path] of [
      ['GET', '9'],
      ['POST', '9/rollback'],
    ] as const)
      expect((await api.ask(method, `/api/settings/revisions/${path}`, { as: 'admin' })).body['code']).toBe(
        'resource.missing',
      )
    expect((await api.ask('GET', '/api/settings/revisions/x', { as: 'admin' })).status).toBe(400)
  })
})

describe('usage', () => {
  test("is one's own, whatever the filter says; administrators see all", async () => {
    await using api = await startApi()
    const filterOf = async (as: string, query: string) => {
      await api.ask('GET', `/api/usage?${query}`, { as })
      return (api.asked.at(-1)?.with as { filter: object } | undefined)?.filter
    }
    expect(await filterOf('alice', 'username=bob&server=time')).toEqual({ username: 'alice', server: 'time' })
    expect(await filterOf('admin', 'username=bob&success=false')).toEqual({ username: 'bob', success: false })
    for (const path of ['aggregate?username=bob', 'export?username=bob']) {
      await api.ask('GET', `/api/usage/${path}`, { as: 'alice' })
      expect(JSON.stringify(api.asked.at(-1)?.with)).toContain('"username":"alice"')
    }
  })

  test('comes in pages, between two moments', async () => {
    await using api = await startApi()
    const query = 'from=2026-11-20T12:00:00Z&to=1800000000000&limit=5&cursor=abc'
    const { body } = await api.ask('GET', `/api/usage?${query}`, { as: 'admin' })
    expect(body).toMatchObject({ data: { items: [{ tool: 'now' }], nextCursor: 'next' } })
    expect(api.asked.at(-1)?.with).toEqual({
      filter: { from: Date.UTC(2026, 10, 20, 12), to: 1_800_000_000_000 },
      page: { limit: 5, cursor: 'abc' },
    })
    for (const wrong of ['from=yesterday', 'limit=0', 'limit=1001', 'success=maybe'])
      expect((await api.ask('GET', `/api/usage?${wrong}`, { as: 'admin' })).status).toBe(400)
  })

  test('is counted by what was asked for', async () => {
    await using api = await startApi()
    const { body } = await api.ask('GET', '/api/usage/aggregate?by=server,day&limit=3', { as: 'admin' })
    expect(api.asked.at(-1)?.with).toEqual({ filter: {}, by: ['server', 'day'], limit: 3 })
    expect(body['data']).toMatchObject([{ calls: 2, errors: 1 }])
    expect((await api.ask('GET', '/api/usage/aggregate?by=password', { as: 'admin' })).status).toBe(400)
  })

  test.each([
    ['/api/usage/export', 'application/x-ndjson', 'flotilla-usage.ndjson'],
    ['/api/usage/export?format=csv', 'text/csv', 'flotilla-usage.csv'],
    ['/api/access-logs/export?format=csv', 'text/csv', 'flotilla-access.csv'],
  ])('%s comes as a file', async (path, type, name) => {
    await using api = await startApi()
    const { headers, text } = await api.ask('GET', path, { as: 'admin' })
    expect(headers['content-type']).toMatch(type)
    expect(headers['content-disposition']).toBe(`attachment; filename="${name}"`)
    expect(text).toBe('first\nsecond\n')
  })
})

describe('logs', () => {
  test('are read and forgotten', async () => {
    await using api = await startApi()
    const { body } = await api.ask('GET', '/api/logs?limit=10', { as: 'admin' })
    expect(body['data']).toEqual([{ timestamp: 1, level: 'info', message: 'hello' }])
    expect((await api.ask('DELETE', '/api/logs', { as: 'admin' })).status).toBe(200)
    for (const path of ['/api/access-logs', '/api/audit'])
      expect((await api.ask('GET', path, { as: 'admin' })).body['data']).toEqual({ items: [] })
  })
})

describe('[R201] success', () => {
  const away = { storage: async () => ({ reachable: false, reason: 'secret-host refused' }) }
  const stale = { settings: () => ({ inForce: false, revision: 1, reason: 'secret-key is wrong' }) }
  const fine = {
    storage: async () => ({ reachable: true, reason: undefined }),
    settings: () => ({ inForce: true, revision: 1, reason: undefined }),
    version: '0',
    node: 'node-1',
  }

  test.each<[string, object, boolean, Record<string, number>]>([
    [
      'all is well',
      {},
      false,
      { '/api/status': 200, '/health': 200, '/healthz': 200, '/readyz': 200, '/livez': 200 },
    ],
    [
      'the storage is away',
      away,
      false,
      { '/api/status': 503, '/health': 503, '/healthz': 503, '/readyz': 200, '/livez': 200 },
    ],
    [
      'settings are not in force',
      stale,
      false,
      { '/api/status': 503, '/health': 503, '/healthz': 503, '/readyz': 200, '/livez': 200 },
    ],
    [
      'it stops',
      {},
      true,
      { '/api/status': 503, '/health': 503, '/healthz': 503, '/readyz': 503, '/livez': 200 },
    ],
  ])('is said only when it is so: %s', async (_what, parts, stopping, expected) => {
    const status = { ...fine, ...parts }
    await using api = await startApi({ services: { status }, hub: { stopping: () => stopping } })
    const seen: Record<string, number> = {}
    for (const path of Object.keys(expected)) {
      const { status, body, text } = await api.ask('GET', path)
      seen[path] = status
      expect([path, body['success']]).toEqual([path, status === 200])
      expect(text).not.toMatch(/secret|node-1/)
    }
    expect(seen).toEqual(expected)
  })

  test('is not spoilt by servers that are down; only who may see them is told their names', async () => {
    const servers = [serverSpec('open-one'), serverSpec('hidden', { owner: 'alice', visibility: 'private' })]
    await using api = await startApi({ hub: { settings: () => hubSettings(servers) } })
    const status = async (as?: string) => (await api.ask('GET', '/api/status', as ? { as } : {})).body
    expect(await status()).toMatchObject({
      success: true,
      data: { status: 'degraded', servers: { disconnected: 2 } },
    })
    expect(JSON.stringify([await status(), await status('wrong'), await status('narrow')])).not.toMatch(
      /open-one|hidden/,
    )
    expect(JSON.stringify(await status('bob'))).toMatch(/open-one/)
    expect(JSON.stringify(await status('bob'))).not.toMatch(/hidden/)
    expect(await status('admin')).toMatchObject({ data: { node: 'node-1', degraded: [{}, {}] } })
  })
})
