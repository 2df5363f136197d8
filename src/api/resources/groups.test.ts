import { describe, expect, test } from 'vitest'
import { startApi } from '../../../tests/fakes/api.ts'

const DOCUMENT = {
  mcpServers: {
    a: { url: 'http://a/' },
    b: { url: 'http://b/' },
    mine: { url: 'http://mine/', owner: 'alice' },
    his: { url: 'http://his/', owner: 'bob' },
  },
  groups: [
    { id: 'g1', name: 'open', servers: ['a', { name: 'b', tools: ['x'] }, 'mine', 'his'], odd: 1 },
    { id: 'g2', name: 'hers', servers: ['a', 'his'], owner: 'alice' },
    { name: 'plain' },
  ],
}
const setup = { settings: DOCUMENT }

describe('groups', () => {
  test('are listed to those who may see them, without members whom they may not see', async () => {
    await using api = await startApi(setup)
    const list = async (as: string) => {
      const { body } = await api.ask('GET', '/api/groups', { as })
      return (body['data'] as { id: string; servers: unknown[] }[]).map(({ id, servers }) => [
        id,
        servers.length,
      ])
    }
    expect(await list('admin')).toEqual([
      ['g1', 4],
      ['g2', 2],
      ['plain', 0],
    ])
    expect(await list('bob')).toEqual([
      ['g1', 3],
      ['plain', 0],
    ])
  })

  test('are found by id and by name', async () => {
    await using api = await startApi(setup)
    for (const path of ['g1', 'open'])
      expect((await api.ask('GET', `/api/groups/${path}`, { as: 'admin' })).body).toMatchObject({
        data: { id: 'g1', odd: 1 },
      })
    const hidden = await api.ask('GET', '/api/groups/hers', { as: 'bob' })
    expect([hidden.status, hidden.body['code']]).toEqual([404, 'resource.missing'])
  })

  test('are made with a new id and belong to whoever makes them', async () => {
    await using api = await startApi(setup)
    const { status, body } = await api.ask('POST', '/api/groups', {
      as: 'alice',
      body: { name: 'new', servers: ['a'] },
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({ data: { id: 'uuid-1', revision: 2 } })
    expect(api.settings.document).toMatchObject({
      groups: [{}, {}, {}, { id: 'uuid-1', name: 'new', servers: ['a'], owner: 'alice' }],
    })
  })

  test('can be the first', async () => {
    await using api = await startApi()
    expect((await api.ask('POST', '/api/groups', { as: 'admin', body: { name: 'new' } })).status).toBe(201)
    expect(api.settings.document['groups']).toHaveLength(1)
  })

  test.each([
    [{ name: 'open' }, 409],
    [{ name: 'g1' }, 409],
    [{ name: 'n', servers: ['nope'] }, 404],
    [{ name: 'n', servers: ['his'] }, 404],
    [{ name: 'n', servers: ['a', { name: 'a' }] }, 400],
    [{ name: 'n', owner: 'bob' }, 403],
    [{ name: '' }, 400],
  ])('%j is refused with %i', async (body, status) => {
    await using api = await startApi(setup)
    expect((await api.ask('POST', '/api/groups', { as: 'alice', body })).status).toBe(status)
    expect(api.settings.revisions).toHaveLength(1)
  })

  test('are made several at once', async () => {
    await using api = await startApi(setup)
    const groups = [{ name: 'x' }, { name: 'open' }, { name: 'x' }, { name: 'y' }]
    const { body } = await api.ask('POST', '/api/groups/batch', { as: 'admin', body: { groups } })
    expect(body).toMatchObject({ success: true, successCount: 2, failureCount: 2 })
    expect(api.settings.revisions).toHaveLength(2)
    const none = await api.ask('POST', '/api/groups/batch', {
      as: 'admin',
      body: { groups: [{ name: 'x' }] },
    })
    expect(none.body).toMatchObject({ success: false, successCount: 0 })
  })

  test('are changed part by part', async () => {
    await using api = await startApi(setup)
    const body = { name: 'other', description: 'd' }
    expect((await api.ask('PUT', '/api/groups/open', { as: 'admin', body })).status).toBe(200)
    expect(api.settings.document).toMatchObject({
      groups: [{ id: 'g1', name: 'other', description: 'd', odd: 1 }, {}, {}],
    })
  })

  test('keep the members that whoever changes them cannot see', async () => {
    await using api = await startApi(setup)
    expect((await api.ask('PUT', '/api/groups/hers', { as: 'alice', body: { servers: ['b'] } })).status).toBe(
      200,
    )
    expect(api.settings.document).toMatchObject({ groups: [{}, { servers: ['b', 'his'] }, {}] })
  })

  test('are changed by their owners and administrators only', async () => {
    await using api = await startApi(setup)
    for (const [method, path, body] of [
      ['PUT', '', { description: 'x' }],
      ['DELETE', '', undefined],
      ['POST', '/servers', { serverName: 'mine' }],
      ['DELETE', '/servers/a', undefined],
      ['PUT', '/servers/batch', { servers: [] }],
      ['PUT', '/server-configs/a/tools', { tools: 'all' }],
    ] as const)
      expect((await api.ask(method, `/api/groups/open${path}`, { as: 'alice', body })).status).toBe(403)
    expect(api.settings.revisions).toHaveLength(1)
  })

  test('are removed; their servers stay', async () => {
    await using api = await startApi(setup)
    expect((await api.ask('DELETE', '/api/groups/g1', { as: 'admin' })).status).toBe(200)
    expect(api.settings.document['groups']).toEqual(DOCUMENT.groups.slice(1))
    expect(api.settings.document['mcpServers']).toEqual(DOCUMENT.mcpServers)
  })
})

describe('members of a group', () => {
  test('are named, added, replaced and taken out', async () => {
    await using api = await startApi(setup)
    const ask = (method: string, path: string, body?: object) =>
      api.ask(method, `/api/groups/hers/servers${path}`, { as: 'alice', body })
    expect((await ask('GET', '')).body['data']).toEqual(['a'])
    expect((await ask('POST', '', { serverName: 'mine' })).status).toBe(200)
    expect((await ask('POST', '', { serverName: 'mine' })).status).toBe(409)
    expect((await ask('POST', '', { serverName: 'his' })).status).toBe(404)
    expect(api.settings.document).toMatchObject({ groups: [{}, { servers: ['a', 'mine', 'his'] }, {}] })
    expect((await ask('DELETE', '/a')).status).toBe(200)
    expect((await ask('DELETE', '/his')).status).toBe(404)
    expect((await ask('PUT', '/batch', { servers: ['mine', 'mine'] })).status).toBe(400)
    expect((await ask('PUT', '/batch', { servers: [{ name: 'b', alias: 'x' }] })).status).toBe(200)
    expect(api.settings.document).toMatchObject({
      groups: [{}, { servers: [{ name: 'b', alias: 'x' }, 'his'] }, {}],
    })
  })

  test('show what the group shows of them', async () => {
    await using api = await startApi(setup)
    const path = '/api/groups/open/server-configs'
    expect((await api.ask('GET', `${path}/b`, { as: 'bob' })).body['data']).toEqual({
      name: 'b',
      tools: ['x'],
    })
    expect((await api.ask('GET', `${path}/mine`, { as: 'bob' })).status).toBe(404)
    expect((await api.ask('GET', path, { as: 'bob' })).body['data']).toHaveLength(3)
    await api.ask('PUT', `${path}/a/tools`, { as: 'admin', body: { tools: ['one'] } })
    expect(api.settings.document).toMatchObject({
      groups: [{ servers: [{ name: 'a', tools: ['one'] }, {}, 'mine', 'his'] }, {}, {}],
    })
  })
})
