import { describe, expect, test } from 'vitest'
import { startApi } from '../../../tests/fakes/api.ts'
import { listing } from '../../../tests/fakes/domain.ts'

const DOCUMENT = {
  mcpServers: {
    time: {
      command: 'npx',
      args: ['time'],
      env: { TOKEN: 'canary-secret' },
      tools: { 'time-now': { enabled: true } },
    },
    web: { url: 'http://web/', headers: { Authorization: 'canary-secret' } },
    mine: { url: 'http://mine/', owner: 'alice', visibility: 'private' },
    shared: { url: 'http://shared/', owner: 'alice', visibility: 'group', sharedWithUsers: ['bob'] },
  },
  groups: [
    { id: 'g1', name: 'one', servers: ['time', { name: 'web', alias: 'w' }, 'gone'] },
    { id: 'g2', name: 'two', servers: ['web'] },
  ],
  bearerKeys: [{ token: 'a-key-of-the-file', accessType: 'servers', allowedServers: ['time', 'web'] }],
  strange: { kept: true },
}
const setup = { settings: DOCUMENT }
const url = { url: 'http://x/' }

describe('[R98] GET /api/servers', () => {
  test('lists what somebody may see, and no more', async () => {
    await using api = await startApi(setup)
    const names = async (as: string) => {
      const { body } = await api.ask('GET', '/api/servers', { as })
      return (body['data'] as { name: string }[]).map(({ name }) => name)
    }
    expect(await names('admin')).toEqual(['time', 'web', 'mine', 'shared'])
    expect(await names('alice')).toEqual(['time', 'web', 'mine', 'shared'])
    expect(await names('bob')).toEqual(['time', 'web', 'shared'])
  })

  test('shows configurations to those who may change them, secrets never', async () => {
    await using api = await startApi(setup)
    const { body, text } = await api.ask('GET', '/api/servers', { as: 'admin' })
    expect(text).not.toContain('canary')
    expect(body).toMatchObject({
      data: [{ name: 'time', config: { command: 'npx', env: { TOKEN: '********' } } }, {}, {}, {}],
    })
    const seen = await api.ask('GET', '/api/servers', { as: 'alice' })
    const configured = (seen.body['data'] as { name: string; config?: object }[]).filter(
      ({ config }) => config,
    )
    expect(configured.map(({ name }) => name)).toEqual(['mine', 'shared'])
    expect((await api.ask('GET', '/api/servers', { as: 'reader' })).text).not.toMatch(/canary|"config"/)
  })
})

describe('[R99] GET /api/servers/:name', () => {
  test('shows one server with the ETag of the settings', async () => {
    await using api = await startApi(setup)
    const { status, body, headers } = await api.ask('GET', '/api/servers/time', { as: 'admin' })
    expect([status, headers['etag']]).toEqual([200, '"1"'])
    expect(body).toMatchObject({
      success: true,
      data: { name: 'time', type: 'stdio', status: 'disconnected' },
    })
  })

  test("somebody else's private server is as absent as one that never was", async () => {
    await using api = await startApi(setup)
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PUT', '', { config: url }],
      ['DELETE', '', undefined],
      ['POST', '/toggle', { enabled: false }],
      ['POST', '/rename', { name: 'stolen' }],
      ['POST', '/reload', undefined],
      ['GET', '/logs', undefined],
      ['POST', '/tools/x/toggle', { enabled: false }],
    ] as const) {
      const ask = async (name: string) => {
        const answer = await api.ask(method, `/api/servers/${name}${path}`, { as: 'bob', body })
        return [answer.status, answer.body['code'], String(answer.body['message']).replace(name, '')]
      }
      expect(await ask('mine')).toEqual(await ask('nope'))
      expect((await ask('mine'))[0]).toBe(404)
    }
    expect(api.settings.revisions).toHaveLength(1)
  })
})

describe('[R100] POST /api/servers', () => {
  test('adds a server, which belongs to whoever adds it', async () => {
    await using api = await startApi(setup)
    const { status, body, headers } = await api.ask('POST', '/api/servers?reason=because', {
      as: 'alice',
      body: { name: 'new', config: { ...url, odd: 1 } },
    })
    expect([status, headers['etag'], body['success']]).toEqual([201, '"2"', true])
    expect(api.settings.document).toMatchObject({
      mcpServers: { new: { url: 'http://x/', odd: 1, owner: 'alice' } },
      strange: { kept: true },
    })
    expect(api.settings.revisions.at(-1)).toMatchObject({ author: 'alice', reason: 'because' })
  })

  test('twice is refused', async () => {
    await using api = await startApi(setup)
    const { status, body } = await api.ask('POST', '/api/servers', {
      as: 'admin',
      body: { name: 'web', config: url },
    })
    expect([status, body['code']]).toEqual([409, 'resource.exists'])
  })

  test('names only whoever is asked for as the owner, unless by an administrator', async () => {
    await using api = await startApi(setup)
    const config = { ...url, owner: 'bob' }
    const ask = (as: string) => api.ask('POST', '/api/servers', { as, body: { name: `by-${as}`, config } })
    expect((await ask('admin')).status).toBe(201)
    await ask('alice')
    expect(api.settings.document).toMatchObject({
      mcpServers: { 'by-admin': { owner: 'bob' }, 'by-alice': { owner: 'alice' } },
    })
  })

  test.each([
    { command: 'npx' },
    { type: 'stdio', command: 'npx', url: 'http://x/' },
    { command: 'npx', url: '${UNSET}' },
  ])('%j starts a process: that is a right of its own', async (config) => {
    await using api = await startApi(setup)
    const { status, body } = await api.ask('POST', '/api/servers', {
      as: 'alice',
      body: { name: 'p', config },
    })
    expect([status, body['code']]).toEqual([403, 'access.denied'])
    expect(api.settings.revisions).toHaveLength(1)
  })

  test('asks the launch policy, whoever adds it', async () => {
    await using api = await startApi(setup)
    const body = { name: 'p', config: { command: 'sh' } }
    const answer = await api.ask('POST', '/api/servers', { as: 'admin', body })
    expect([answer.status, answer.body['code']]).toEqual([403, 'server.launch-denied'])
  })

  test.each(['', '..', ' x', '$smart', 'a\nb', 'a?b', 'x'.repeat(101)])(
    'the name %j is refused',
    async (name) => {
      await using api = await startApi(setup)
      expect(
        (await api.ask('POST', '/api/servers', { as: 'admin', body: { name, config: url } })).status,
      ).toBe(400)
    },
  )

  test('a dry run says what would be and changes nothing', async () => {
    await using api = await startApi(setup)
    const answer = await api.ask('POST', '/api/servers?dryRun=true', {
      as: 'admin',
      body: { name: 'n', config: url },
    })
    expect([answer.status, api.settings.revisions.length]).toEqual([200, 1])
    expect(answer.body['message']).toMatch(/dry run/)
  })

  test('a batch is one change, and says of each whether it was done', async () => {
    await using api = await startApi(setup)
    const servers = [
      { name: 'a', config: url },
      { name: 'web', config: url },
      { name: 'b', config: { command: 'sh' } },
      { name: 'a', config: url },
      { name: 'c', config: url },
    ]
    const { status, body } = await api.ask('POST', '/api/servers/batch', { as: 'admin', body: { servers } })
    expect(status).toBe(200)
    expect(body).toMatchObject({ success: true, successCount: 2, failureCount: 3 })
    expect((body['results'] as { success: boolean }[]).map(({ success }) => success)).toEqual([
      true,
      false,
      false,
      false,
      true,
    ])
    expect(api.settings.revisions).toHaveLength(2)
  })
})

describe('PUT /api/servers/:name', () => {
  test('replaces the configuration; masked secrets, owner and visibility stay', async () => {
    await using api = await startApi(setup)
    const config = { command: 'npx', env: { TOKEN: '********', MORE: 'x' } }
    await api.ask('PUT', '/api/servers/time', { as: 'admin', body: { config } })
    await api.ask('PUT', '/api/servers/mine', { as: 'alice', body: { config: url } })
    expect(api.settings.document['mcpServers']).toMatchObject({
      time: { command: 'npx', env: { TOKEN: 'canary-secret', MORE: 'x' } },
      mine: { url: 'http://x/', owner: 'alice', visibility: 'private' },
    })
    expect(api.settings.document).not.toHaveProperty(['mcpServers', 'time', 'args'])
  })

  test('refuses a mask where nothing is stored', async () => {
    await using api = await startApi(setup)
    const body = { config: { command: 'npx', env: { NEW: '********' } } }
    expect((await api.ask('PUT', '/api/servers/time', { as: 'admin', body })).body['code']).toBe(
      'settings.invalid',
    )
  })

  test('of what one may see but does not own is refused', async () => {
    await using api = await startApi(setup)
    for (const [as, name] of [
      ['bob', 'shared'],
      ['alice', 'web'],
    ] as const)
      expect((await api.ask('PUT', `/api/servers/${name}`, { as, body: { config: url } })).status).toBe(403)
    const stolen = { config: { ...url, owner: 'bob' } }
    expect((await api.ask('PUT', '/api/servers/mine', { as: 'alice', body: stolen })).status).toBe(403)
  })

  test('does not turn a server into a process without the right to', async () => {
    await using api = await startApi(setup)
    const body = { config: { command: 'npx' } }
    expect((await api.ask('PUT', '/api/servers/mine', { as: 'alice', body })).status).toBe(403)
  })

  test('renames with everything that names the server', async () => {
    await using api = await startApi(setup)
    const body = { name: 'net', config: { url: 'http://net/', headers: { Authorization: '********' } } }
    expect((await api.ask('PUT', '/api/servers/web', { as: 'admin', body })).status).toBe(200)
    expect(api.settings.document).not.toHaveProperty(['mcpServers', 'web'])
    expect(api.settings.document).toMatchObject({
      mcpServers: { net: { url: 'http://net/', headers: { Authorization: 'canary-secret' } } },
      groups: [{ servers: ['time', { name: 'net', alias: 'w' }, 'gone'] }, { servers: ['net'] }],
      bearerKeys: [{ allowedServers: ['time', 'net'] }],
    })
  })
})

describe('a rename', () => {
  test('keeps the configuration as it is stored', async () => {
    await using api = await startApi(setup)
    await api.ask('POST', '/api/servers/time/rename', { as: 'admin', body: { name: 'clock' } })
    expect(api.settings.document['mcpServers']).toMatchObject({ clock: DOCUMENT.mcpServers.time })
  })

  test('to a name that is taken is refused', async () => {
    await using api = await startApi(setup)
    const { status } = await api.ask('POST', '/api/servers/time/rename', {
      as: 'admin',
      body: { name: 'web' },
    })
    expect([status, api.settings.revisions.length]).toEqual([409, 1])
  })
})

describe('[R101] DELETE /api/servers/:name', () => {
  test('removes it, also from groups', async () => {
    await using api = await startApi(setup)
    expect((await api.ask('DELETE', '/api/servers/web', { as: 'admin' })).status).toBe(200)
    expect(api.settings.document).not.toHaveProperty(['mcpServers', 'web'])
    expect(api.settings.document).toMatchObject({ groups: [{ servers: ['time', 'gone'] }, { servers: [] }] })
  })
})

describe('[R102] POST /api/servers/:name/toggle', () => {
  test('switches off, and on only what one may start', async () => {
    await using api = await startApi({ settings: { mcpServers: { p: { command: 'npx', owner: 'alice' } } } })
    const toggle = (as: string, enabled: boolean) =>
      api.ask('POST', '/api/servers/p/toggle', { as, body: { enabled } })
    expect((await toggle('alice', false)).status).toBe(200)
    expect(api.settings.document).toMatchObject({ mcpServers: { p: { enabled: false } } })
    expect((await toggle('alice', true)).status).toBe(403)
    expect((await toggle('admin', true)).status).toBe(200)
  })
})

describe('[R103] POST /api/servers/:name/reload', () => {
  test('starts it anew', async () => {
    await using api = await startApi(setup)
    expect((await api.ask('POST', '/api/servers/web/reload', { as: 'admin' })).status).toBe(200)
    expect(api.asked).toEqual([{ port: 'servers.reload', with: 'web' }])
  })
})

describe('If-Match', () => {
  const off = { enabled: false }

  test('guards against overwriting what one has not seen', async () => {
    await using api = await startApi(setup)
    const toggle = (etag: string) =>
      api.ask('POST', '/api/servers/web/toggle', { as: 'admin', body: off, headers: { 'if-match': etag } })
    api.settings.disturb([{ path: ['strange'], value: 1 }])
    const late = await toggle('"1"')
    expect([late.status, late.body['code']]).toEqual([412, 'settings.conflict'])
    expect((await toggle('"7", "2"')).status).toBe(200)
    expect((await toggle('*')).status).toBe(200)
  })

  test('without it, a change that meets another is made anew on top of that', async () => {
    await using api = await startApi(setup)
    let once = true
    api.settings.beforeChange = () => {
      if (once) api.settings.disturb([{ path: ['groups', 0], value: undefined }])
      once = false
    }
    const { status } = await api.ask('PUT', '/api/groups/two', { as: 'admin', body: { description: 'x' } })
    expect(status).toBe(200)
    // Group two has moved to the front meanwhile.
    expect(api.settings.document['groups']).toEqual([
      { id: 'g2', name: 'two', servers: ['web'], description: 'x' },
    ])
  })

  test('with it, nothing is made anew', async () => {
    await using api = await startApi(setup)
    api.settings.beforeChange = () => api.settings.disturb([{ path: ['strange'], value: 1 }])
    const headers = { 'if-match': '"1"' }
    const answer = await api.ask('POST', '/api/servers/web/toggle', { as: 'admin', body: off, headers })
    expect([answer.status, api.settings.changesMade.length]).toEqual([412, 1])
  })
})

describe('tools, prompts and resources', () => {
  const hub = { listing: () => listing({ tools: ['now', 'later'], resources: ['t://a/b?c'] }) }

  test('are switched and described by their own names, under the key that is there', async () => {
    await using api = await startApi({ ...setup, hub })
    const item = (method: string, path: string, body?: object) =>
      api.ask(method, `/api/servers/time/${path}`, { as: 'admin', body })
    expect((await item('POST', 'tools/now/toggle', { enabled: false })).status).toBe(200)
    await item('PUT', 'tools/later/description', { description: 'Then.' })
    const uri = encodeURIComponent('t://a/b?c')
    expect((await item('POST', `resources/${uri}/toggle`, { enabled: false })).status).toBe(200)
    expect(api.settings.document['mcpServers']).toMatchObject({
      time: {
        tools: { 'time-now': { enabled: false }, later: { description: 'Then.' } },
        resources: { 't://a/b?c': { enabled: false } },
      },
    })
    await item('DELETE', 'tools/later/description')
    expect(api.settings.document).toHaveProperty(['mcpServers', 'time', 'tools', 'later'], {})
  })

  test('that the server does not have are unknown', async () => {
    await using api = await startApi({ ...setup, hub })
    const path = '/api/servers/time/tools/never/toggle'
    expect((await api.ask('POST', path, { as: 'admin', body: { enabled: false } })).body['code']).toBe(
      'resource.missing',
    )
  })
})

describe('POST /api/servers/test-connect', () => {
  test('tries a configuration with the stored secrets and stores nothing', async () => {
    await using api = await startApi(setup)
    const body = { name: 'web', config: { url: 'http://other/', headers: { Authorization: '********' } } }
    expect((await api.ask('POST', '/api/servers/test-connect', { as: 'admin', body })).body).toMatchObject({
      data: { tools: 1 },
    })
    expect(api.asked).toEqual([
      {
        port: 'servers.testConnect',
        with: { url: 'http://other/', headers: { Authorization: 'canary-secret' } },
      },
    ])
    expect(api.settings.revisions).toHaveLength(1)
  })

  test('starts no process without the right to', async () => {
    await using api = await startApi(setup)
    const body = { config: { command: 'npx' } }
    expect((await api.ask('POST', '/api/servers/test-connect', { as: 'alice', body })).status).toBe(403)
    expect(api.asked).toEqual([])
  })
})

describe('[R104] POST /api/tools/call/:server', () => {
  test('calls a tool with the rights of whoever asks', async () => {
    await using api = await startApi(setup)
    const body = { toolName: 'now', arguments: { zone: 'UTC' } }
    const answer = await api.ask('POST', '/api/tools/call/time', { as: 'alice', body })
    expect(answer.body).toEqual({ success: true, data: { content: [{ type: 'text', text: 'ok' }], ...body } })
    expect(api.asked).toMatchObject([
      {
        with: {
          identity: { username: 'alice' },
          call: { server: 'time', tool: 'now', arguments: { zone: 'UTC' } },
        },
      },
    ])
  })
})

describe('GET /api/servers/:name/logs', () => {
  test("are the owner's and those of who may read all logs", async () => {
    await using api = await startApi(setup)
    const logs = async (as: string, name: string) =>
      (await api.ask('GET', `/api/servers/${name}/logs`, { as })).status
    expect([await logs('alice', 'mine'), await logs('admin', 'mine'), await logs('bob', 'shared')]).toEqual([
      200, 200, 403,
    ])
    expect(await logs('reader', 'web')).toBe(403)
  })
})
