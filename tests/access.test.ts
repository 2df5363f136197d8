import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import bcrypt from 'bcryptjs'
import { describe, expect, test } from 'vitest'
import { connectSse, connectV1, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { runFlotilla } from './harness/hub-process.ts'
import { MCP_HEADERS, openSession, raw, rpc } from './harness/raw.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const settings = {
  mcpServers: { a: fixture('minimal'), b: fixture('minimal'), c: fixture('minimal') },
  groups: [
    { id: 'g-ab', name: 'ab', servers: ['a', 'b'] },
    { id: 'g-bc', name: 'bc', servers: ['b', 'c'] },
  ],
  bearerKeys: [
    { id: '1', name: 'all', token: 'key-for-all', enabled: true, accessType: 'all' },
    {
      id: '2',
      name: 'servers',
      token: 'key-for-ab',
      enabled: true,
      accessType: 'servers',
      allowedServers: ['a', 'b'],
    },
    {
      id: '3',
      name: 'groups',
      token: 'key-for-group-bc',
      enabled: true,
      accessType: 'groups',
      allowedGroups: ['bc'],
    },
    { id: '4', name: 'off', token: 'key-switched-off', enabled: false, accessType: 'all' },
  ],
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const initialize = rpc(0, 'initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'x', version: '1' },
})

describe('bearer keys', () => {
  test('without a valid key every endpoint answers 401 and says what to do', async () => {
    await using hub = await startHub(settings)
    for (const headers of [
      {},
      bearer('wrong'),
      bearer('key-switched-off'),
      { authorization: 'Basic a2V5' },
    ]) {
      for (const [method, path] of [
        ['POST', '/mcp'],
        ['GET', '/mcp'],
        ['DELETE', '/mcp'],
        ['POST', '/mcp/a'],
        ['GET', '/sse'],
        ['POST', '/messages?sessionId=x'],
        ['GET', '/api/servers'],
      ] as const) {
        const answer = await raw(`${hub.url}${path}`, {
          method,
          headers: { ...MCP_HEADERS, ...headers },
          ...(method === 'POST' ? { body: initialize } : {}),
        })
        expect(`${method} ${path} ${answer.status}`).toBe(`${method} ${path} 401`)
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer /)
        // MCP endpoints answer in JSON-RPC, the management API in its envelope.
        const { json } = answer as { json: { error?: { message: string }; message?: string } }
        expect(json.error?.message ?? json.message).toMatch(/key/)
      }
    }
    expect((await raw(`${hub.url}/health`, { method: 'GET' })).status).toBe(200)
  })

  test('the scope of a key decides which endpoints it opens and what /mcp shows', async () => {
    await using hub = await startHub(settings)
    const statuses = async (token: string) => {
      const paths = ['/mcp', '/mcp/a', '/mcp/b', '/mcp/c', '/mcp/ab', '/mcp/bc', '/mcp/g-bc']
      const answers = await Promise.all(
        paths.map((path) =>
          raw(`${hub.url}${path}`, { headers: { ...MCP_HEADERS, ...bearer(token) }, body: initialize }),
        ),
      )
      return Object.fromEntries(paths.map((path, index) => [path, answers[index]?.status]))
    }
    expect(await statuses('key-for-all')).toEqual({
      '/mcp': 200,
      '/mcp/a': 200,
      '/mcp/b': 200,
      '/mcp/c': 200,
      '/mcp/ab': 200,
      '/mcp/bc': 200,
      '/mcp/g-bc': 200,
    })
    // Group bc holds a server that the key does not open.
    expect(await statuses('key-for-ab')).toEqual({
      '/mcp': 200,
      '/mcp/a': 200,
      '/mcp/b': 200,
      '/mcp/c': 403,
      '/mcp/ab': 200,
      '/mcp/bc': 403,
      '/mcp/g-bc': 403,
    })
    expect(await statuses('key-for-group-bc')).toEqual({
      '/mcp': 403,
      '/mcp/a': 403,
      '/mcp/b': 403,
      '/mcp/c': 403,
      '/mcp/ab': 403,
      '/mcp/bc': 200,
      '/mcp/g-bc': 200,
    })
    const client = await connectV1(`${hub.url}/mcp`, { headers: bearer('key-for-ab') })
    const names = (await client.listTools()).tools.map((tool) => tool.name)
    expect(new Set(names.map((name) => name.split('-')[0]))).toEqual(new Set(['a', 'b']))
    await expect(client.callTool({ name: 'c-echo', arguments: { text: 'x' } })).rejects.toThrow(
      /Unknown tool/,
    )
    expect(
      (await raw(`${hub.url}/api/servers`, { method: 'GET', headers: bearer('key-for-ab') })).status,
    ).toBe(403)
  })

  test("another key's session does not exist", async () => {
    await using hub = await startHub(settings)
    const session = await openSession(`${hub.url}/mcp/b`, '2025-11-25', bearer('key-for-all'))
    const stolen = { ...session, ...bearer('key-for-ab') }
    expect((await raw(`${hub.url}/mcp/b`, { headers: stolen, body: rpc(1, 'ping') })).status).toBe(404)
    expect((await raw(`${hub.url}/mcp/b`, { method: 'DELETE', headers: stolen })).status).toBe(404)
    expect((await raw(`${hub.url}/mcp/b`, { headers: session, body: rpc(1, 'ping') })).status).toBe(200)
  })

  test('a key that is removed from the settings ends its sessions', async () => {
    await using hub = await startHub(settings)
    const session = await openSession(`${hub.url}/mcp`, '2025-11-25', bearer('key-for-ab'))
    await hub.writeSettings({
      ...settings,
      bearerKeys: settings.bearerKeys.filter(({ name }) => name !== 'servers'),
    })
    await until(
      'the key is gone',
      async () => (await raw(`${hub.url}/mcp`, { headers: session, body: rpc(1, 'ping') })).status === 401,
    )
  })

  test('the last key cannot be removed from a running hub; saying that no key is wanted opens it', async () => {
    const withKey = { ...settings, bearerKeys: [{ token: 'key-for-all' }] }
    await using hub = await startHub(withKey)
    const status = async (headers: Record<string, string> = {}) =>
      (await raw(`${hub.url}/mcp`, { headers: { ...MCP_HEADERS, ...headers }, body: initialize })).status
    const { bearerKeys: _, ...withoutKeys } = settings
    const errors = () => hub.logged.filter(({ level }) => level === 'error')
    for (const [index, keys] of [
      {},
      { bearerKeys: [] },
      { bearerKeys: [{ token: 'key-for-all', enabled: false }] },
    ].entries()) {
      await hub.writeSettings({ ...withoutKeys, ...keys })
      const refused = await until('the change is refused', () => errors().at(index))
      expect(refused.message).toContain('last good ones stay in force: Without the last key')
      expect(refused.fields['cure']).toMatch(/"enableBearerAuth" to false .* or restart/)
      expect(await status()).toBe(401)
      expect(await status(bearer('key-for-all'))).toBe(200)
    }
    await hub.writeSettings({ ...withoutKeys, systemConfig: { routing: { enableBearerAuth: false } } })
    await until('the hub is open', async () => (await status()) === 200)
    await hub.writeSettings(withoutKeys)
    await until('the silent change is refused again', () => errors().at(3))
    await hub.writeSettings(withKey)
    await until('the key guards again', async () => (await status()) === 401)
    expect(errors()).toHaveLength(4)
  })

  test('an open hub keeps private servers to itself once somebody is a user and no admin', async () => {
    const mcpServers = { shown: fixture('minimal'), hidden: { ...fixture('minimal'), owner: 'ann' } }
    const password = await bcrypt.hash('long enough words', 4)
    const user = (username: string, isAdmin: boolean) => ({ username, password, isAdmin })
    await using hub = await startHub({ mcpServers, users: [user('ann', true)] })
    const status = async (server: string) =>
      (await raw(`${hub.url}/mcp/${server}`, { headers: MCP_HEADERS, body: initialize })).status
    expect([await status('shown'), await status('hidden')]).toEqual([200, 200])
    const session = await openSession(`${hub.url}/mcp/hidden`, '2025-11-25')

    await hub.writeSettings({ mcpServers, users: [user('ann', true), user('bob', false)] })
    await until('the private server is hidden', async () => (await status('hidden')) === 404)
    expect(await status('shown')).toBe(200)
    expect((await raw(`${hub.url}/mcp/hidden`, { headers: session, body: rpc(1, 'ping') })).status).toBe(404)
  })

  test('two keys with one name do not share their sessions', async () => {
    const bearerKeys = ['token-of-one', 'token-of-two'].map((token) => ({ id: 'ci', name: 'ci', token }))
    await using hub = await startHub({ ...settings, bearerKeys })
    const session = await openSession(`${hub.url}/mcp/b`, '2025-11-25', bearer('token-of-one'))
    const stolen = { ...session, ...bearer('token-of-two') }
    expect((await raw(`${hub.url}/mcp/b`, { headers: stolen, body: rpc(1, 'ping') })).status).toBe(404)
    expect((await raw(`${hub.url}/mcp/b`, { headers: session, body: rpc(1, 'ping') })).status).toBe(200)
  })

  test('a key that lists servers without an access type opens those only', async () => {
    const bearerKeys = [{ token: 'key-for-ab', allowedServers: ['a', 'b'] }]
    await using hub = await startHub({ ...settings, bearerKeys })
    const status = async (path: string) =>
      (
        await raw(`${hub.url}${path}`, {
          headers: { ...MCP_HEADERS, ...bearer('key-for-ab') },
          body: initialize,
        })
      ).status
    expect([await status('/mcp/a'), await status('/mcp/c')]).toEqual([200, 403])
  })

  test('what is kept on disk holds no secret of a server, and only the user of the hub may read it', async () => {
    const secret = 'canary-8d20c1'
    await using hub = await startHub(
      { mcpServers: { a: fixture('minimal', '--token', '${TOKEN}') } },
      { environment: { PATH: process.env['PATH'], TOKEN: secret } },
    )
    const folder = join(hub.folder, 'data', 'catalog')
    await mkdir(folder, { recursive: true })
    const [file = ''] = await until('the listing is kept', async () => {
      const files = (await readdir(folder)).filter((name) => name.endsWith('.json'))
      return files.length > 0 ? files : undefined
    })
    expect(await readFile(join(folder, file), 'utf8')).not.toContain(secret)
    const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
    expect([await mode(folder), await mode(join(folder, file))]).toEqual(['700', '600'])
  })

  test('the older transport is guarded too', async () => {
    await using hub = await startHub(settings)
    const client = await connectSse(`${hub.url}/sse/a`, { headers: bearer('key-for-ab') })
    expect(textOf(await client.callTool({ name: 'echo', arguments: { text: 'x' } }))).toBe('x')
    await client.close()
    await expect(connectSse(`${hub.url}/sse/c`, { headers: bearer('key-for-ab') })).rejects.toThrow()
  })

  test('no key and no token appears in the log or in the API', async () => {
    const secret = 'canary-51c9a2f0'
    await using hub = await startHub({
      ...settings,
      mcpServers: {
        a: { ...fixture('honest'), env: { TOKEN: secret } },
        far: {
          type: 'streamable-http',
          url: `http://user:${secret}@127.0.0.1:9/mcp?key=${secret}`,
          headers: { authorization: `Bearer ${secret}` },
        },
      },
      bearerKeys: [{ id: '1', name: 'all', token: `${secret}-key`, enabled: true, accessType: 'all' }],
    })
    const headers = { ...MCP_HEADERS, ...bearer(`${secret}-key`) }
    const servers = await raw(`${hub.url}/api/servers`, { method: 'GET', headers })
    const failed = await raw(`${hub.url}/mcp/far`, { headers, body: initialize })
    expect(servers.body).toContain('cannot be reached')
    for (const text of [servers.body, failed.body, JSON.stringify(hub.logged)])
      expect(text).not.toContain(secret)
  })
})

describe('whose servers and tools', () => {
  const multi = {
    mcpServers: {
      open: fixture('minimal'),
      hers: { ...fixture('minimal'), owner: 'alice' },
      shared: { ...fixture('minimal'), owner: 'alice', visibility: 'group', sharedWithUsers: ['bob'] },
    },
    groups: [{ name: 'team', servers: ['open', 'hers', 'shared'] }],
    bearerKeys: [
      { name: 'hub', token: 'key-of-hub' },
      { name: 'a', token: 'key-of-alice', owner: 'alice' },
      { name: 'b', token: 'key-of-bob', owner: 'bob' },
      { name: 'tool', token: 'key-for-tool', allowedTools: { open: ['echo'] } },
    ],
  }
  type Hub = Awaited<ReturnType<typeof startHub>>

  /** The servers whose tools a key sees at an endpoint, or the status of the refusal. */
  async function seen(hub: Hub, token: string, path = '/mcp'): Promise<string> {
    const opened = await raw(`${hub.url}${path}`, {
      headers: { ...MCP_HEADERS, ...bearer(token) },
      body: initialize,
    })
    if (opened.status !== 200) return String(opened.status)
    const client = await connectV1(`${hub.url}${path}`, { headers: bearer(token) })
    const { tools } = await client.listTools()
    await client.close()
    return [...new Set(tools.map(({ name }) => name.split('-')[0]))].join()
  }

  test('owner and visibility decide what an endpoint shows, and what is hidden is not there', async () => {
    await using hub = await startHub(multi)
    expect(await seen(hub, 'key-of-hub')).toBe('open,hers,shared')
    expect(await seen(hub, 'key-of-alice')).toBe('open,hers,shared')
    expect(await seen(hub, 'key-of-bob')).toBe('open,shared')
    expect(await seen(hub, 'key-of-bob', '/mcp/team')).toBe('open,shared')
    const client = await connectV1(`${hub.url}/mcp`, { headers: bearer('key-of-bob') })
    await expect(client.callTool({ name: 'hers-echo', arguments: { text: 'x' } })).rejects.toThrow(
      /Unknown tool/,
    )
    const answer = async (name: string) => {
      const headers = { ...MCP_HEADERS, ...bearer('key-of-bob') }
      const { status, body } = await raw(`${hub.url}/mcp/${name}`, { headers, body: initialize })
      return [status, body.replaceAll(name, '<name>')]
    }
    expect(await answer('hers')).toEqual(await answer('nope'))
    // Nor does the list of all servers tell of it.
    for (const token of ['key-of-bob', 'key-of-alice', 'key-for-tool'])
      expect((await raw(`${hub.url}/api/servers`, { method: 'GET', headers: bearer(token) })).status).toBe(
        403,
      )
  })

  test('a session loses what is taken away from its user, or ends with it', async () => {
    await using hub = await startHub(multi)
    const wide = await openSession(`${hub.url}/mcp`, '2025-11-25', bearer('key-of-bob'))
    const narrow = await openSession(`${hub.url}/mcp/shared`, '2025-11-25', bearer('key-of-bob'))
    const list = async (session: Record<string, string>, path: string) =>
      raw(`${hub.url}${path}`, { headers: session, body: rpc(1, 'tools/list') })
    expect((await list(wide, '/mcp')).body).toContain('shared-echo')
    await hub.writeSettings({
      ...multi,
      mcpServers: { ...multi.mcpServers, shared: { ...multi.mcpServers.shared, sharedWithUsers: [] } },
    })
    await until('it is gone', async () => !(await list(wide, '/mcp')).body.includes('shared-echo'))
    expect((await list(wide, '/mcp')).body).toContain('open-echo')
    expect((await list(narrow, '/mcp/shared')).status).toBe(404)
  })

  test('a key for single tools calls these, at the endpoint of their server too', async () => {
    await using hub = await startHub(multi)
    const client = await connectV1(`${hub.url}/mcp/open`, { headers: bearer('key-for-tool') })
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo'])
    expect(textOf(await client.callTool({ name: 'echo', arguments: { text: 'x' } }))).toBe('x')
    await expect(client.callTool({ name: 'other', arguments: {} })).rejects.toThrow(/Unknown tool/)
    expect(await seen(hub, 'key-for-tool', '/mcp/hers')).toBe('403')
  })

  test('a key with a limit gets 429 and is told when to come again', async () => {
    const bearerKeys = [{ token: 'key-with-limit', requestsPerMinute: 3 }]
    await using hub = await startHub({ ...multi, bearerKeys })
    const ask = () =>
      raw(`${hub.url}/mcp`, { headers: { ...MCP_HEADERS, ...bearer('key-with-limit') }, body: initialize })
    const answers = [await ask(), await ask(), await ask(), await ask()]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect(Number(answers[3]?.headers['retry-after'])).toBeGreaterThan(0)
  })

  test('a key with an end is refused from then on, and its sessions are over', async () => {
    const bearerKeys = [{ token: 'key-with-end', expiresAt: Date.now() + 8_000 }]
    await using hub = await startHub({ ...multi, bearerKeys })
    const session = await openSession(`${hub.url}/mcp`, '2025-11-25', bearer('key-with-end'))
    const ping = () => raw(`${hub.url}/mcp`, { headers: session, body: rpc(1, 'ping') })
    expect((await ping()).status).toBe(200)
    await until('the key has expired', async () => (await ping()).status === 401, 20_000)
  })
})

describe('listening on more than loopback', () => {
  test('is refused without a key, with exit code 78 and the cure', async () => {
    const { code, stderr } = await runFlotilla(['serve', '--host', '0.0.0.0', '--port', '0'], {
      cwd: '/tmp',
      env: { DATA_DIR: '/tmp/flotilla-none' },
    })
    expect(code).toBe(78)
    expect(stderr).toMatch(/bearerKeys/)
  })

  test('works with one', async () => {
    await using hub = await startHub(settings, { host: '0.0.0.0' })
    expect((await raw(`${hub.url}/mcp`, { headers: MCP_HEADERS, body: initialize })).status).toBe(401)
    expect(
      (
        await raw(`${hub.url}/mcp`, {
          headers: { ...MCP_HEADERS, ...bearer('key-for-all'), host: 'hub.internal:3000' },
          body: initialize,
        })
      ).status,
    ).toBe(200)
  })

  test('ALLOWED_HOSTS narrows the names that count', async () => {
    await using hub = await startHub(settings, { host: '0.0.0.0', allowedHosts: ['hub.example.test'] })
    const ask = async (host: string) =>
      (
        await raw(`${hub.url}/mcp`, {
          headers: { ...MCP_HEADERS, ...bearer('key-for-all'), host },
          body: initialize,
        })
      ).status
    expect(await ask('hub.example.test')).toBe(200)
    expect(await ask('evil.example.test')).toBe(403)
  })
})
