import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROUTES } from '../src/api/routes.ts'
import { echoing } from './fixtures/servers/echoing-http.ts'
import { type Canary, canaryOf, leaks, makeCanary, writings } from './harness/canaries.ts'
import { connectV1, textOf } from './harness/clients.ts'
import { type HubProcess, runFlotilla, spawnHub } from './harness/hub-process.ts'
import { pathsOf } from './harness/reading-paths.ts'
import { until } from './harness/wait.ts'

/** Characters that base64, URLs, JSON and HTML write in ways of their own. */
const ODD = ['a"b\\c+/=&?% <~>ü-', '-z"y\\x+/=&?%'] as const
/** Those of them that a header can hold. */
const PLAIN = ['a"b\\c+/=&?%~', '-z"y+/=&?%'] as const
const TOKEN = ['mcp_', '.+/=~-xyz'] as const

/** What the operator writes into the settings file himself, in plain text: it stays there as it is, and nowhere else. */
const written = {
  env: makeCanary('env of the file', ODD),
  dying: makeCanary('env of a server that dies', ODD),
  refusing: makeCanary('env of a server that refuses', ODD),
  pem: makeCanary('second line of a key in env', [
    '-----BEGIN KEY-----\nabcdefabcdef\n',
    'ABC=\n-----END KEY-----',
  ]),
  header: makeCanary('header of the file', PLAIN),
  bearer: makeCanary('bearer of the file', TOKEN),
  url: makeCanary('password in a URL', ['', '']),
  key: makeCanary('key of the file', TOKEN),
  typo: makeCanary('secret in a broken file', TOKEN),
}

/** What comes over the API, or from the environment. */
const given = {
  env: makeCanary('env by REST', ODD),
  changedEnv: makeCanary('changed env by REST', ODD),
  header: makeCanary('header by REST', PLAIN),
  triedEnv: makeCanary('env of a trial', ODD),
  triedHeader: makeCanary('header of a trial', PLAIN),
  deniedEnv: makeCanary('env of a refused server', ODD),
  invalid: makeCanary('env of an invalid server', TOKEN),
  user: makeCanary('password of a user', ODD),
  changedPassword: makeCanary('changed password', ODD),
  wrongPassword: makeCanary('wrong password', ODD),
  admin: makeCanary('ADMIN_PASSWORD', ODD),
  crypto: makeCanary('CRYPTO_SECRET', ['Kq7+', '/zT=']),
  session: makeCanary('SESSION_SECRET', ['Wm3+', '/pL=']),
}

const everything: Canary[] = [...Object.values(written), ...Object.values(given)]
/** Each text that left the hub, and where. */
const seen: { where: string; text: string }[] = []

let hub: HubProcess
let echo: Server
let echoUrl = ''
let token = ''
const keys = { rest: '' }

const leaky = (secret: Canary, mode = 'serve') => ({
  command: 'node',
  args: [fileURLToPath(new URL('fixtures/servers/leaky.ts', import.meta.url)), '--mode', mode],
  env: { SECRET: secret.value },
})

interface Sent {
  readonly body?: unknown
  /** The answer may hold what was asked for. */
  readonly private?: boolean
  readonly headers?: Record<string, string>
}

/** Asks the API as the admin, and keeps the answer, its headers included, for the count at the end. */
async function ask(method: string, path: string, { body, headers = {}, ...sent }: Sent = {}) {
  const response = await fetch(`${hub.url}${path}`, {
    method,
    headers: {
      ...(token === '' ? {} : { 'x-auth-token': token }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await readSome(response)
  if (!sent.private) see(`${method} ${path}`, `${JSON.stringify([...response.headers])}\n${text}`)
  return { status: response.status, text, json: parse(text) }
}

/** The whole answer; of one that never ends, what comes within a moment. */
async function readSome(response: Response): Promise<string> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response.text()
  let text = ''
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  const stop = setTimeout(() => void reader?.cancel(), 500)
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) text += part.value
  clearTimeout(stop)
  return text
}

async function listed(path: string, member: string): Promise<string[]> {
  const { json } = await ask('GET', path)
  const { items, nodes } = json['data'] as { items?: unknown[]; nodes?: unknown[] }
  const data = items ?? nodes ?? json['data']
  return (data as Record<string, unknown>[]).map((each) => encodeURIComponent(String(each[member])))
}

function see(where: string, text: string): void {
  seen.push({ where, text })
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** What somebody who is shown `texts` learns. */
function learned(canaries: readonly Canary[] = everything): string[] {
  return [...new Set(seen.flatMap(({ where, text }) => leaks(where, text, canaries)))]
}

function settings() {
  return {
    mcpServers: {
      leaky: leaky(written.env),
      dying: leaky(written.dying, 'die'),
      refusing: leaky(written.refusing, 'refuse'),
      pem: { ...leaky(written.pem) },
      echo: { url: `${echoUrl}/mcp`, type: 'streamable-http', headers: { 'X-Secret': written.header.value } },
      bearer: { url: `${echoUrl}/refuses`, headers: { Authorization: `Bearer ${written.bearer.value}` } },
      sse: { url: `${echoUrl}/refuses-long`, type: 'sse', headers: { 'X-Secret': written.header.value } },
      far: {
        url: `http://user:${written.url.value}@127.0.0.1:9/mcp?token=${written.url.value}`,
        type: 'streamable-http',
      },
    },
    groups: [{ id: 'g-1', name: 'all-of-them', servers: ['leaky', 'echo'] }],
    bearerKeys: [
      { id: 'k-1', name: 'of the file', token: written.key.value, accessType: 'all', rest: 'admin' },
    ],
    systemConfig: { activityLog: { storeToolPayload: true } },
  }
}

beforeAll(async () => {
  echo = createServer(echoing())
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  echoUrl = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`
  hub = await spawnHub(settings(), {
    env: {
      LOG_LEVEL: 'trace',
      DATA_DIR: 'data',
      ADMIN_PASSWORD: given.admin.value,
      CRYPTO_SECRET: given.crypto.value,
      SESSION_SECRET: given.session.value,
    },
  })
  const login = { username: 'admin', password: given.admin.value }
  const { json } = await ask('POST', '/api/auth/login', { body: login })
  token = String(json['token'])
}, 60_000)

afterAll(async () => {
  await hub?.[Symbol.asyncDispose]()
  echo?.closeAllConnections()
  echo?.close()
})

const states = async () => {
  const { json } = await ask('GET', '/api/servers')
  return new Map(
    (json['data'] as { name: string; status: string }[]).map(({ name, status }) => [name, status]),
  )
}

describe('a secret that somebody has given to the hub', () => {
  test('is in no answer to whoever changes servers, and in none about what goes wrong', async () => {
    await until(
      'the servers have been tried',
      async () => {
        const now = await states()
        return (
          now.get('leaky') === 'connected' &&
          ['dying', 'refusing', 'bearer', 'sse', 'far'].every((name) => now.get(name) === 'disconnected')
        )
      },
      20_000,
    )
    const http = (header: Canary, path: string) => ({
      url: `${echoUrl}${path}`,
      type: 'streamable-http',
      headers: { 'X-Secret': header.value },
    })
    const status = async (method: string, path: string, body: unknown) =>
      (await ask(method, path, { body })).status
    expect(await status('POST', '/api/servers', { name: 'made', config: leaky(given.env) })).toBe(201)
    expect(
      await status('POST', '/api/servers', { name: 'made-http', config: http(given.header, '/refuses') }),
    ).toBe(201)
    expect(await status('PUT', '/api/servers/made', { config: leaky(given.changedEnv) })).toBe(200)
    expect(await status('POST', '/api/servers/made/rename', { name: 'renamed' })).toBe(200)
    expect(
      await status('POST', '/api/servers/test-connect', { config: leaky(given.triedEnv, 'die') }),
    ).toBeGreaterThanOrEqual(500)
    expect(
      await status('POST', '/api/servers/test-connect', { config: leaky(given.triedEnv, 'refuse') }),
    ).toBeGreaterThanOrEqual(500)
    expect(await status('POST', '/api/servers/test-connect', { config: leaky(given.triedEnv) })).toBe(200)
    expect(
      await status('POST', '/api/servers/test-connect', { config: http(given.triedHeader, '/refuses') }),
    ).toBeGreaterThanOrEqual(500)
    const denied = { command: 'bash', args: ['-c', 'true'], env: { SECRET: given.deniedEnv.value } }
    expect(await status('POST', '/api/servers', { name: 'denied', config: denied })).toBe(403)
    const bad = { command: 'node', env: { SECRET: { value: given.invalid.value } } }
    expect(await status('POST', '/api/servers', { name: 'bad', config: bad })).toBe(400)
    await until('the changed server runs', async () => (await states()).get('renamed') === 'connected')
  })

  test('is in no answer about users, logins and keys', async () => {
    const status = async (method: string, path: string, body?: unknown) =>
      (await ask(method, path, { body })).status
    expect(await status('POST', '/api/users', { username: 'ann', password: given.user.value })).toBe(201)
    expect(
      await status('POST', '/api/auth/login', { username: 'ann', password: given.wrongPassword.value }),
    ).toBe(401)
    expect(await status('POST', '/api/auth/login', { username: 'ann', password: given.user.value })).toBe(200)
    expect(await status('PUT', '/api/users/ann', { newPassword: given.changedPassword.value })).toBe(200)
    const made = await ask('POST', '/api/auth/keys', { body: { name: 'made', rest: 'read' }, private: true })
    keys.rest = (made.json['data'] as { token: string }).token
    everything.push(canaryOf('key by REST', keys.rest))
    // Whoever puts it in the wrong place sees it again in the answer; nobody sees it in the records.
    await ask('GET', `/api/auth/keys/${keys.rest}`, { private: true })
    await ask('GET', `/mcp/${keys.rest}`, { private: true })
    await ask('GET', '/api/servers', {
      headers: { authorization: `Bearer ${keys.rest}`, 'user-agent': `curl ${keys.rest}` },
    })
    await ask('GET', '/api/servers', { headers: { authorization: `Bearer ${written.key.value}` } })
  })

  test('is in no error of a call; the result of a tool is the server’s own and passes untouched', async () => {
    for (const bearer of [written.key.value, keys.rest]) {
      const client = await connectV1(`${hub.url}/mcp`, { headers: { authorization: `Bearer ${bearer}` } })
      const call = async (name: string) => {
        const outcome = await client
          .callTool({
            name,
            arguments: { text: writings(bearer).join(' '), env: writings(written.env.value) },
          })
          .catch((error: Error) => error)
        return outcome instanceof Error ? `${outcome.message} ${JSON.stringify(outcome)}` : textOf(outcome)
      }
      // This is what the server has chosen to tell its client: MCP leaves no room for the hub to have a say in it.
      expect(await call('leaky-reveal')).toBe(written.env.value)
      expect(await call('leaky-fail')).toContain(written.env.value)
      expect(await call('leaky-throw')).toContain(written.env.value)
      // These are the hub's own words.
      for (const tool of ['leaky-crash', 'echo-fail', 'echo-odd', 'dying-x', 'renamed-crash'])
        see(`calling ${tool}`, await call(tool))
      await until(
        'the server is back',
        async () => {
          const now = await states()
          return now.get('leaky') === 'connected' && now.get('renamed') === 'connected'
        },
        20_000,
      )
      await client.close()
    }
    for (const [server, toolName] of [
      ['leaky', 'throw'],
      ['leaky', 'crash'],
      ['echo', 'fail'],
      ['dying', 'x'],
      ['bearer', 'x'],
      ['sse', 'x'],
      ['far', 'x'],
    ])
      await ask('POST', `/api/tools/call/${server}`, { body: { toolName, arguments: {} } })
    await ask('POST', '/api/tools/call/leaky', { body: { toolName: 'fail', arguments: {} }, private: true })
    const recorded = async () => {
      const { json } = await ask('GET', '/api/usage?limit=1000')
      return (json['data'] as { items: unknown[] }).items.length >= 16
    }
    // Five seconds for a batch, and a few more when the database was busy.
    await until('the calls are recorded', recorded, 30_000)
  }, 60_000)

  test('is not told when the file that it stands in is broken', async () => {
    const good = JSON.stringify(settings())
    const since = () => hub.stderr().split('are not used').length
    for (const broken of [
      `{ "mcpServers": { "a": { "command": "x", "env": { "SECRET": "${written.typo.value}" `,
      `{ "mcpServers": { "a": { "env": { "SECRET": "${written.typo.value}", } ] }`,
      JSON.stringify({
        ...settings(),
        mcpServers: { a: { command: 'x', env: { SECRET: { v: written.typo.value } } } },
      }),
      JSON.stringify({
        ...settings(),
        bearerKeys: [written.typo, written.typo].map(({ value }) => ({ token: value })),
      }),
      JSON.stringify({
        ...settings(),
        mcpServers: { a: { url: echoUrl, headers: { X: [written.typo.value] } } },
      }),
    ]) {
      const before = since()
      await writeFile(hub.settingsPath, broken)
      await until('the file is refused', () => since() > before)
      await ask('GET', '/api/status')
      await ask('GET', '/api/settings')
    }
    await writeFile(hub.settingsPath, good)
    await until('the settings are those of the file again', async () => (await states()).size === 8, 20_000)
  })

  test('is in no answer of any route that reads', async () => {
    const missed: string[] = []
    for (const route of ROUTES.filter(({ method }) => method === 'GET')) {
      for (const path of await pathsOf(route, listed)) {
        const { status } = await ask('GET', path)
        // Nobody's session is bound to anything here.
        const expected = route.name === 'cluster.sessions.get' ? 404 : 200
        if (status !== expected) missed.push(`${path}: ${status}`)
      }
    }
    expect(missed).toEqual([])
    for (const path of ['/api/nothing', '/api/servers/%ff', '/api/settings/revisions/999', '/setup'])
      await ask('GET', path)
  }, 60_000)

  test('is in no record that waits for the database', async () => {
    // The hub may be writing at this moment.
    const database = new DatabaseSync(join(hub.folder, 'data', 'flotilla.db'), { timeout: 10_000 })
    database.exec('begin immediate')
    const client = await connectV1(`${hub.url}/mcp`, {
      headers: { authorization: `Bearer ${written.key.value}` },
    })
    const args = {
      text: [...writings(keys.rest), ...writings(written.env.value), ...writings(given.crypto.value)].join(
        ' ',
      ),
    }
    await client.callTool({ name: 'leaky-echo', arguments: args })
    await client.callTool({ name: 'leaky-fail', arguments: args })
    await client.close()
    const folder = join(hub.folder, 'data', 'spool')
    const spooled = async () =>
      (await readdir(folder).catch(() => [])).filter((name) => name.includes('-usage-'))
    await until('records are spooled', async () => (await spooled()).length > 0, 30_000)
    for (const name of await spooled()) see(`spool ${name}`, await readFile(join(folder, name), 'utf8'))
    database.exec('rollback')
    database.close()
  }, 60_000)

  test('is in no output of the commands that show the settings', async () => {
    const env = { DATA_DIR: 'data', CRYPTO_SECRET: given.crypto.value, SESSION_SECRET: given.session.value }
    for (const args of [
      ['config', 'export'],
      ['config', 'show', '--origin'],
      ['config', 'validate'],
    ]) {
      const { stdout, stderr, code } = await runFlotilla(args, { cwd: hub.folder, env })
      expect([args.join(' '), code]).toEqual([args.join(' '), 0])
      see(`flotilla ${args.join(' ')}`, stdout + stderr)
    }
  })

  test('is in no log, and in no file but the one that it was written into by hand', async () => {
    hub.kill('SIGTERM')
    expect(await hub.exit).toBe(0)
    for (const line of hub.stderr().split('\n')) see('log', line)
    expect(hub.stderr()).toContain('"level":"debug"')
    const byHand = new Set<Canary>(Object.values(written))
    const complaints: string[] = []
    const files = await readdir(hub.folder, { recursive: true, withFileTypes: true })
    for (const file of files.filter((each) => each.isFile())) {
      const path = join(file.parentPath, file.name)
      const own = file.name.startsWith('mcp_settings.json')
      // A password in a URL is masked where it is shown, but not sealed in the history: only env, headers and keys are.
      const expected = own ? byHand : new Set(file.name.startsWith('flotilla.db') ? [written.url] : [])
      const canaries = everything.filter((canary) => !expected.has(canary))
      complaints.push(...leaks(path, await readFile(path, 'latin1'), canaries))
    }
    expect(files.map(({ name }) => name)).toContain('flotilla.db')
    expect([...complaints, ...learned()]).toEqual([])
    // The search itself finds what is there.
    expect(
      leaks('', await readFile(hub.settingsPath, 'latin1'), Object.values(written)).length,
    ).toBeGreaterThan(5)
  })
})
