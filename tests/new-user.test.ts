import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { type HubProcess, spawnHub } from './harness/hub-process.ts'
import { MCP_HEADERS, openSession, raw, rpc } from './harness/raw.ts'
import { logIn, makeKey, mustRest, type RestCredential, rest } from './harness/rest.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const PASSWORD = 'a long walk on the beach'
const OTHER_PASSWORD = 'a short walk in the wood'

/** The token of the link that the hub prints for whoever has started it. */
function setupToken(hub: HubProcess): Promise<string> {
  return until('the hub prints a setup link', () => {
    const link = new RegExp(`${hub.url}/setup#token=([\\w-]+)`).exec(hub.stderr())
    return link?.[1]
  })
}

interface Call {
  readonly tool: string
  readonly keyId?: string
  readonly username?: string
  readonly success: boolean
}

async function usage(hub: HubProcess, as: RestCredential): Promise<readonly Call[]> {
  const { data } = await mustRest(hub.url, 'GET /api/usage?server=clock', { as })
  return (data as { items: Call[] }).items
}

test('from the first start to a call that is recorded, a key that is revoked, and a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-walk-'))
  try {
    await using first = await spawnHub(undefined, { folder })
    const admin = await setUp(first)
    const { id, token, annesLogin } = await furnish(first, admin)
    await call(first, token, annesLogin)

    const both = async () => {
      const found = await usage(first, admin)
      return found.length === 2 ? found : undefined
    }
    const calls = await until('both calls are recorded', both, 30_000)
    // Newest first: over REST with the login, before that over MCP with the key.
    expect(calls).toMatchObject([
      { tool: 'echo', username: 'anne', success: true },
      { tool: 'echo', username: 'anne', keyId: id, success: true },
    ])
    expect(calls[0]).not.toHaveProperty('keyId')
    expect(await usage(first, { login: annesLogin })).toEqual(calls)

    await revoke(first, admin, { id, token })
    first.kill('SIGTERM')
    expect(await first.exit).toBe(0)

    await using second = await spawnHub(undefined, { folder })
    await expectAsBefore(second, calls, token)
    expect(first.stderr() + second.stderr()).not.toContain(token)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 90_000)

/** The first administrator, by the link, which works once. */
async function setUp(hub: HubProcess): Promise<RestCredential> {
  const link = await setupToken(hub)
  expect((await mustRest(hub.url, 'GET /api/auth/setup'))['data']).toEqual({ pending: true })
  const complete = (token: string, password: string) =>
    rest(hub.url, 'POST /api/auth/setup', { body: { token, username: 'root', password } })
  expect((await complete('wrong', PASSWORD)).status).toBe(401)
  // What will not do as a password does not use the link up.
  expect((await complete(link, 'short')).status).toBe(400)
  const made = await complete(link, PASSWORD)
  expect(made.body).toMatchObject({ success: true, user: { username: 'root', isAdmin: true } })
  expect((await complete(link, OTHER_PASSWORD)).status).toBe(401)
  expect((await mustRest(hub.url, 'GET /api/auth/setup'))['data']).toEqual({ pending: false })
  return { login: String(made.body['token']) }
}

/** A user, a server of theirs, a key of theirs. */
async function furnish(hub: HubProcess, admin: RestCredential) {
  const user = { username: 'anne', password: OTHER_PASSWORD, email: 'anne@example.com' }
  await mustRest(hub.url, 'POST /api/users', { as: admin, body: user })
  const annesLogin = await logIn(hub.url, 'anne', OTHER_PASSWORD)
  const server = { name: 'clock', config: { ...fixture('minimal'), command: 'node', owner: 'anne' } }
  // Starting processes is no right of ordinary users.
  const refused = await rest(hub.url, 'POST /api/servers', { as: { login: annesLogin }, body: server })
  expect(refused.status).toBe(403)
  await mustRest(hub.url, 'POST /api/servers', { as: admin, body: server })
  await until('the server runs', async () => {
    const { data } = await mustRest(hub.url, 'GET /api/servers/clock', { as: admin })
    return (data as { status: string }).status === 'connected'
  })
  return { ...(await makeKey(hub.url, { login: annesLogin }, { name: "Anne's agent" })), annesLogin }
}

async function call(hub: HubProcess, key: string, login: string): Promise<void> {
  expect((await raw(`${hub.url}/mcp`, { headers: MCP_HEADERS, body: rpc(1, 'ping') })).status).toBe(401)
  const client = await connectV1(`${hub.url}/mcp`, { headers: { authorization: `Bearer ${key}` } })
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toContain('clock-echo')
  const said = await client.callTool({ name: 'clock-echo', arguments: { text: 'by the key' } })
  expect(textOf(said)).toBe('by the key')
  await client.close()
  const body = { toolName: 'echo', arguments: { text: 'by the login' } }
  const { data } = await mustRest(hub.url, 'POST /api/tools/call/clock', { as: { login }, body })
  expect(textOf(data)).toBe('by the login')
}

/** Its next request is refused, in a session that is open as well. */
async function revoke(
  hub: HubProcess,
  admin: RestCredential,
  { id, token }: { id: string; token: string },
): Promise<void> {
  const headers = { ...MCP_HEADERS, authorization: `Bearer ${token}` }
  const session = await openSession(`${hub.url}/mcp`, '2025-11-25', headers)
  const ping = () => raw(`${hub.url}/mcp`, { headers: session, body: rpc(2, 'ping') })
  expect((await ping()).status).toBe(200)
  await mustRest(hub.url, `DELETE /api/auth/keys/${id}`, { as: admin })
  expect((await ping()).status).toBe(401)
  await expect(connectV1(`${hub.url}/mcp`, { headers })).rejects.toThrow(/key/)
}

async function expectAsBefore(hub: HubProcess, calls: readonly Call[], revoked: string): Promise<void> {
  const admin = { login: await logIn(hub.url, 'root', PASSWORD) }
  const { data: users } = await mustRest(hub.url, 'GET /api/users', { as: admin })
  expect(users).toMatchObject([{ username: 'anne', email: 'anne@example.com' }, { username: 'root' }])
  const { data: server } = await mustRest(hub.url, 'GET /api/servers/clock', { as: admin })
  expect(server).toMatchObject({ owner: 'anne', visibility: 'private', enabled: true })
  expect(await usage(hub, admin)).toEqual(calls)
  expect((await mustRest(hub.url, 'GET /api/auth/setup'))['data']).toEqual({ pending: false })
  expect(hub.stderr()).not.toContain('/setup#token=')
  // Without any key this machine is let in again, as README.md says; the next key ends that, and the old one stays dead.
  const next = await makeKey(hub.url, admin, { name: 'next', owner: null, rest: 'read' })
  const status = async (key: string) => (await rest(hub.url, 'GET /api/servers', { as: { key } })).status
  expect([await status(next.token), await status(revoked)]).toEqual([200, 401])
}
