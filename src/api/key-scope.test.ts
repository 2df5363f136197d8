import { describe, expect, test } from 'vitest'
import { startApi } from '../../tests/fakes/api.ts'
import { describeScope, scopeOf } from './key-scope.ts'
import { ROUTES } from './routes.ts'

describe('what a key opens, in the words of the settings', () => {
  test('comes back as it went in', () => {
    const lists = { allowedGroups: ['g'], allowedServers: ['s'], allowedTools: { t: ['x'] } }
    const custom = scopeOf({ accessType: 'custom', ...lists })
    expect(custom && describeScope(custom)).toEqual({ accessType: 'custom', ...lists })
    const all = scopeOf({ accessType: 'all', ...lists })
    expect(all && describeScope(all)).toEqual({
      accessType: 'all',
      allowedGroups: [],
      allowedServers: [],
      allowedTools: {},
    })
  })

  test('is what its type says, whatever else is listed', () => {
    const lists = { allowedGroups: ['g'], allowedServers: ['s'], allowedTools: { t: ['x'] } }
    for (const [accessType, kept] of [
      ['groups', 'allowedGroups'],
      ['servers', 'allowedServers'],
      ['tools', 'allowedTools'],
    ] as const) {
      const scope = scopeOf({ accessType, ...lists })
      const none = { allowedGroups: [], allowedServers: [], allowedTools: {} }
      expect(scope && describeScope(scope)).toEqual({ accessType: 'custom', ...none, [kept]: lists[kept] })
    }
  })

  test('without a type is what is listed; without anything it stays as it is', () => {
    expect(scopeOf({ allowedServers: ['s'] })).toMatchObject({ kind: 'some', servers: new Set(['s']) })
    expect(scopeOf({ allowedGroups: [] })).toMatchObject({ kind: 'some', groups: new Set() })
    expect(scopeOf({})).toBeUndefined()
  })
})

describe('a key that opens some servers only', () => {
  const settings = {
    mcpServers: { a: { url: 'http://a/' }, b: { url: 'http://b/' } },
    groups: [
      { id: 'g1', name: 'one', servers: ['a', 'b'] },
      { id: 'g2', name: 'two', servers: ['a'] },
    ],
  }

  test('sees and changes these, and no other', async () => {
    await using api = await startApi({ settings })
    const names = async (path: string) =>
      (
        (await api.ask('GET', path, { as: 'scoped' })).body['data'] as { name: string; servers?: object }[]
      ).map(({ name, servers }) => (servers ? [name, servers] : name))
    expect(await names('/api/servers')).toEqual(['a'])
    expect(await names('/api/groups')).toEqual([['one', ['a']]])
    const off = (name: string) =>
      api.ask('POST', `/api/servers/${name}/toggle`, { as: 'scoped', body: { enabled: false } })
    expect((await off('b')).status).toBe(404)
    expect((await off('a')).status).toBe(200)
  })

  test.each([
    ['/api/servers', { name: 'n', config: { url: 'http://n/' } }],
    ['/api/groups', { name: 'n' }],
    ['/api/auth/keys', { name: 'n' }],
  ])('adds nothing at %s', async (path, body) => {
    await using api = await startApi({ settings })
    expect((await api.ask('POST', path, { as: 'scoped', body })).status).toBe(403)
    expect([api.settings.revisions.length, api.keys.size]).toEqual([1, 0])
  })

  test('has no part in what knows no servers', async () => {
    await using api = await startApi({ settings })
    const closed = ROUTES.filter(({ permission }) => /settings|users|logs/.test(permission))
    expect(closed.length).toBeGreaterThan(15)
    for (const { method, path } of closed)
      expect([path, (await api.ask(method, path, { as: 'scoped' })).status]).toEqual([path, 403])
    await api.ask('GET', '/api/usage', { as: 'scoped' })
    expect(api.asked.at(-1)?.with).toMatchObject({ filter: { keyId: 'k-scoped' } })
  })
})
