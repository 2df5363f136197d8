import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../src/kernel/clock.ts'
import { exportNdjson } from '../src/observability/activity/export.ts'
import { readTargets } from '../src/state/storage/dsn.ts'
import { Storage } from '../src/state/storage/storage.ts'
import { type DatabaseServer, startPostgres } from './harness/databases.ts'
import { spawnHub } from './harness/hub-process.ts'
import { MCP_HEADERS, openSession, type RawAnswer, raw, rpc } from './harness/raw.ts'
import { recordingLogger } from './harness/recording-logger.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const AWAY_MS = 60_000
const CALL_EVERY_MS = 20
const PASSWORD = 'a-password-for-the-outage-1'

let server: DatabaseServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.close())

type Json = Record<string, unknown>

async function api(url: string, method: string, path: string, token?: string, body?: Json) {
  const answer = await raw(`${url}/api${path}`, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    timeoutMs: 30_000,
  })
  return { ...answer, json: answer.json as Json | undefined }
}

/** Calls a tool every 20 ms, each with a number of its own, without waiting for the one before. */
class Caller {
  readonly took: number[] = []
  readonly wrong: string[] = []
  readonly #calls: Promise<void>[] = []
  readonly #timer: NodeJS.Timeout
  readonly #url: string
  readonly #headers: Record<string, string>

  constructor(url: string, headers: Record<string, string>) {
    this.#url = url
    this.#headers = headers
    this.#timer = setInterval(() => this.#calls.push(this.#call(this.#calls.length)), CALL_EVERY_MS)
  }

  /** How many have been begun. */
  get count(): number {
    return this.#calls.length
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#calls)
  }

  async #call(number: number): Promise<void> {
    const params = { name: 'echo', arguments: { text: `call ${number}` } }
    const began = performance.now()
    try {
      const answer = await raw(this.#url, {
        headers: this.#headers,
        body: rpc(number, 'tools/call', params),
      })
      if (!isEcho(answer, `call ${number}`)) this.wrong.push(`${number}: ${answer.status} ${answer.body}`)
    } catch (error) {
      this.wrong.push(`${number}: ${error}`)
    }
    this.took.push(performance.now() - began)
  }
}

function isEcho({ status, json }: RawAnswer, text: string): boolean {
  const result = json?.result as { content?: { text?: string }[] } | undefined
  return status === 200 && result?.content?.[0]?.text === text
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** The texts of all calls in the database, sorted by their number. */
async function recorded(dsn: string): Promise<string[]> {
  const storage = await Storage.open(readTargets({ SQL_DSN: dsn }, '/nowhere'), {
    clock: systemClock,
    log: recordingLogger().logger,
  })
  try {
    const texts: string[] = []
    const read = (cursor: string | undefined) =>
      storage.activity.usage({}, { limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    for await (const lines of exportNdjson(read))
      for (const line of lines.trimEnd().split('\n')) {
        const { arguments: text } = JSON.parse(line) as { arguments: string }
        texts.push((JSON.parse(text) as { text: string }).text)
      }
    return texts.toSorted((a, b) => numberOf(a) - numberOf(b))
  } finally {
    await storage.close()
  }
}

function numberOf(text: string): number {
  return Number(text.replace('call ', ''))
}

describe('a database server that is away for a minute', () => {
  test('[R222] stops no call, loses no record, and only management waits for it', {
    timeout: 300_000,
  }, async () => {
    const dsn = await server.createDatabase()
    await using hub = await spawnHub(
      {
        mcpServers: { m: fixture('minimal') },
        systemConfig: { activityLog: { storeToolPayload: true } },
      },
      { env: { SQL_DSN: dsn, ADMIN_PASSWORD: PASSWORD } },
    )
    const login = await api(hub.url, 'POST', '/auth/login', undefined, {
      username: 'admin',
      password: PASSWORD,
    })
    const session = String(login.json?.['token'])
    const made = await raw(`${hub.url}/api/auth/keys`, {
      headers: { 'content-type': 'application/json', 'x-auth-token': session },
      body: JSON.stringify({ name: 'caller', rest: 'admin', grants: ['users:manage', 'servers:launch'] }),
    })
    expect(made.status).toBe(201)
    const { token } = (made.json as unknown as { data: { token: string } }).data
    const mcp = `${hub.url}/mcp/m`
    const headers = { ...MCP_HEADERS, ...(await openSession(mcp, '2025-11-25', bearer(token))) }
    await until('the server answers', async () => {
      const { json } = await raw(mcp, { headers, body: rpc('ready', 'tools/list') })
      return JSON.stringify(json).includes('echo')
    })

    const caller = new Caller(mcp, headers)
    try {
      await until('some calls have been made', () => caller.took.length > 250, 30_000)
      const before = caller.took.length
      const usualMs = median(caller.took)

      await server.stop()
      const since = performance.now()
      const refusals: string[] = []
      let late = 0
      while (performance.now() - since < AWAY_MS) {
        const answers = await Promise.all([
          api(hub.url, 'GET', '/users', token),
          api(hub.url, 'GET', '/usage', token),
          api(hub.url, 'POST', '/users', token, { username: 'bob', password: PASSWORD }),
          api(hub.url, 'PUT', '/system-config', token, { nameSeparator: '--' }),
          raw(`${hub.url}/api/users`, { method: 'GET', headers: { 'x-auth-token': session } }),
        ])
        for (const [index, { status, headers, json }] of answers.entries())
          refusals.push(
            `${index}: ${status} ${(json as Json)?.['code']}, ${Number(headers['retry-after']) > 0}`,
          )
        // A session that begins meanwhile is served from memory too.
        await openSession(mcp, '2025-11-25', bearer(token))
        late = caller.took.length
        await new Promise((resolve) => setTimeout(resolve, 2_000))
      }
      const meanwhile = caller.took.slice(before, late)
      const refused = (index: number) => `${index}: 503 storage.unavailable, true`
      expect([...new Set(refusals)].toSorted()).toEqual([0, 1, 2, 3, 4].map(refused))
      // Some 50 a second; a machine that is busy makes fewer.
      expect(meanwhile.length).toBeGreaterThan(AWAY_MS / CALL_EVERY_MS / 3)
      // The database is not waited for: that would take seconds.
      expect(median(meanwhile)).toBeLessThan(usualMs + 50)

      await server.start()
      await until('management works again', async () => {
        const { status } = await api(hub.url, 'GET', '/users', token)
        return status === 200
      })
      const user = await api(hub.url, 'POST', '/users', token, { username: 'carol', password: PASSWORD })
      expect(user.status).toBe(201)
      expect((await api(hub.url, 'PUT', '/system-config', token, { nameSeparator: '--' })).status).toBe(200)
    } finally {
      await caller.stop()
    }
    expect(caller.wrong).toEqual([])

    const wanted = Array.from({ length: caller.count }, (_, number) => `call ${number}`)
    await until('every record has arrived', async () => (await recorded(dsn)).length >= wanted.length, 60_000)
    expect(await recorded(dsn)).toEqual(wanted)
    const names = (await api(hub.url, 'GET', '/users', token)).json?.['data'] as { username: string }[]
    expect(names.map(({ username }) => username).toSorted()).toEqual(['admin', 'carol'])
    hub.kill('SIGTERM')
    expect(await hub.exit).toBe(0)
    expect(await recorded(dsn)).toEqual(wanted)
  })
})

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}
