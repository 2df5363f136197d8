import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Permission } from '../src/access/permissions.ts'
import { ROUTES } from '../src/api/routes.ts'
import { startHub, type TestHub } from './harness/hub.ts'
import { raw } from './harness/raw.ts'
import { logIn, makeKey, mustRest, type RestCredential, rest } from './harness/rest.ts'
import { type CredentialKind, complaintAbout, type MatrixCase, routeMatrix } from './harness/route-matrix.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

/** Stands in everything that is alice's. */
const CANARY = 'canary-of-alice'
const PASSWORD = 'correct horse battery'
const NEXT_PASSWORD = 'staple of another horse'
const EVERYTHING = { rest: 'admin', grants: ['servers:launch', 'users:manage'] }
const thing = { thing: { description: CANARY } }

const SETTINGS = {
  mcpServers: {
    hers: {
      ...fixture('minimal'),
      owner: 'alice',
      description: CANARY,
      tools: thing,
      prompts: thing,
      resources: thing,
    },
    shared: fixture('minimal'),
  },
  groups: [{ id: 'g-hers', name: `group-${CANARY}`, owner: 'alice', servers: ['hers'] }],
}

interface World {
  readonly hub: TestHub
  readonly cases: readonly MatrixCase[]
  readonly admin: RestCredential
  readonly adminKey: RestCredential
  readonly alice: RestCredential
  readonly aliceKeyId: string
}

/** A hub that is not open, with things of alice's, and an admin who comes with a login or a key. */
async function startWorld(): Promise<World> {
  // Records are written at once, not every five seconds.
  const environment = { PATH: process.env['PATH'], ADMIN_PASSWORD: PASSWORD, BATCH_UPDATE_ENABLED: 'false' }
  const hub = await startHub(SETTINGS, { environment })
  const admin = { login: await logIn(hub.url, 'admin', PASSWORD) }
  const adminKey = { key: (await makeKey(hub.url, admin, { ...EVERYTHING, name: 'all', owner: null })).token }
  const alice = await addUser(hub, admin, 'alice')
  const { id } = await makeKey(hub.url, alice, { name: CANARY })
  const call = { toolName: 'echo', arguments: { text: CANARY } }
  const as = { ...alice, headers: { 'user-agent': CANARY } }
  await mustRest(hub.url, 'POST /api/tools/call/hers', { as, body: call })
  const recorded = async () => (await rest(hub.url, 'GET /api/usage', { as: admin })).text.includes(CANARY)
  await until('the call is recorded', recorded, 30_000)
  const victims = {
    name: 'hers',
    server: 'hers',
    item: 'thing',
    id: 'g-hers',
    username: 'alice',
    number: '1',
    node: 'hers',
    session: 'hers',
  }
  // One name of a parameter, two kinds of things.
  const [keys, others] = [isKeyRoute, (route: MatrixCase['route']) => !isKeyRoute(route)].map((fits) =>
    ROUTES.filter(fits),
  )
  const cases = [
    ...routeMatrix(others ?? [], victims),
    ...routeMatrix(keys ?? [], { ...victims, id }),
    // It would end the login that the others need.
  ].sort((a, b) => Number(a.route.name === 'auth.logout') - Number(b.route.name === 'auth.logout'))
  return { hub, cases, admin, adminKey, alice, aliceKeyId: id }
}

function isKeyRoute({ path }: MatrixCase['route']): boolean {
  return path.startsWith('/api/auth/keys')
}

async function addUser(hub: TestHub, admin: RestCredential, username: string, isAdmin = false) {
  const body = { username, password: PASSWORD, isAdmin }
  await mustRest(hub.url, 'POST /api/users', { as: admin, body })
  return { login: await logIn(hub.url, username, PASSWORD) }
}

/** Sends one request; the body is that of the matrix unless another is given. */
function send(hub: TestHub, { method, path, body }: MatrixCase, as: RestCredential, other?: unknown) {
  const sent = other ?? (body === undefined ? undefined : JSON.parse(body))
  return rest(hub.url, `${method} ${path}`, { as, ...(sent === undefined ? {} : { body: sent }) })
}

function casesOf({ cases }: World, kind: CredentialKind): MatrixCase[] {
  return cases.filter(({ credential }) => credential === kind)
}

/** What every route of the matrix answers with this credential, as far as it is not what it must be. */
async function complaints(
  world: World,
  kind: CredentialKind,
  as: RestCredential,
  more: (each: MatrixCase, status: number) => string | false | undefined = () => undefined,
  bodies: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const found: string[] = []
  const tried = new Set<string>()
  for (const each of casesOf(world, kind)) {
    const answer = await send(world.hub, each, as, bodies[each.route.name])
    tried.add(each.route.name)
    const complaint = complaintAbout(each, answer, CANARY) || more(each, answer.status)
    if (complaint) found.push(complaint)
  }
  expect([...tried].sort()).toEqual(ROUTES.map(({ name }) => name).sort())
  return found
}

const what = ({ method, path }: MatrixCase, status: number) => `${method} ${path}: ${status}`

describe('every route, with the credential of somebody who is not let in', () => {
  let world: World
  /** Each could do everything, were it still good. */
  const refused: Record<string, [CredentialKind, RestCredential]> = {}

  beforeAll(async () => {
    world = await startWorld()
    const { hub, admin, adminKey } = world
    const soon = Date.now() + 4_000
    const expired = await makeKey(hub.url, admin, { ...EVERYTHING, name: 'e', owner: null, expiresAt: soon })
    await mustRest(hub.url, 'GET /api/settings', { as: { key: expired.token } })
    const revoked = await makeKey(hub.url, admin, { ...EVERYTHING, name: 'r', owner: null })
    const off = await makeKey(hub.url, admin, { ...EVERYTHING, name: 'o', owner: null })
    const disabled = await addUser(hub, admin, 'carol', true)
    const carols = await makeKey(hub.url, disabled, { ...EVERYTHING, name: 'c' })
    const removed = await addUser(hub, admin, 'dave', true)
    const daves = await makeKey(hub.url, removed, { ...EVERYTHING, name: 'd' })
    const ended = { login: await logIn(hub.url, 'admin', PASSWORD) }
    const all = [{ key: revoked.token }, { key: off.token }, disabled, removed, ended]
    for (const as of [...all, { key: carols.token }, { key: daves.token }])
      await mustRest(hub.url, 'GET /api/settings', { as })
    await mustRest(hub.url, `DELETE /api/auth/keys/${revoked.id}`, { as: admin })
    await mustRest(hub.url, `PUT /api/auth/keys/${off.id}`, { as: admin, body: { enabled: false } })
    await mustRest(hub.url, 'PUT /api/users/carol', { as: admin, body: { status: 'disabled' } })
    await mustRest(hub.url, 'DELETE /api/users/dave', { as: admin })
    await mustRest(hub.url, 'POST /api/auth/logout', { as: ended })
    await until('the key has expired', () => Date.now() > soon)
    Object.assign(refused, {
      nothing: ['none', {}],
      'a wrong key': ['wrong', { key: `${String(adminKey.key).slice(0, -1)}!` }],
      'a wrong login': ['wrong', { login: `${String(admin.login).slice(0, -3)}abc` }],
      'a forged cookie': ['wrong', { headers: { cookie: 'flotilla=x.y', 'sec-fetch-site': 'same-origin' } }],
      'a password': ['wrong', { headers: { authorization: `Basic ${btoa(`admin:${PASSWORD}`)}` } }],
      'an expired key': ['expired', { key: expired.token }],
      'a revoked key': ['revoked', { key: revoked.token }],
      'a key that is switched off': ['revoked', { key: off.token }],
      'the login of a disabled user': ['revoked', disabled],
      'the key of a disabled user': ['revoked', { key: carols.token }],
      'the login of a removed user': ['revoked', removed],
      'the key of a removed user': ['revoked', { key: daves.token }],
      'a login that has ended': ['revoked', ended],
    })
  })
  afterAll(() => world.hub[Symbol.asyncDispose]())

  test.each([
    'nothing',
    'a wrong key',
    'a wrong login',
    'a forged cookie',
    'a password',
    'an expired key',
    'a revoked key',
    'a key that is switched off',
    'the login of a disabled user',
    'the key of a disabled user',
    'the login of a removed user',
    'the key of a removed user',
    'a login that has ended',
  ])('%s: 401', async (name) => {
    const [kind, as] = refused[name] ?? ['none', {}]
    expect(await complaints(world, kind, as)).toEqual([])
  })

  test('what is no route is 401 too, and 404 or 405 only for who is known', async () => {
    const { hub, admin } = world
    const paths = ['/api', '/api/', '/api/nope', '/api/servers/hers/nope', '/api//servers', '/api/auth']
    for (const path of [...paths, '/api/servers/%2e%2e/x', '/api/SERVERS', '/api/openapi'])
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const status = async (as: RestCredential) => (await rest(hub.url, `${method} ${path}`, { as })).status
        const statuses = [await status({}), await status({ key: 'wrong' }), await status(admin)]
        expect([method, path, ...statuses]).toEqual([method, path, 401, 401, 404])
      }
    const { status, headers } = await rest(hub.url, 'PATCH /api/servers', { as: admin })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect((await rest(hub.url, 'PATCH /api/servers')).status).toBe(401)
  })

  test('a Host that is not the hub, or a page of another site: 403, with any credential', async () => {
    const { hub, admin } = world
    for (const { method, path } of casesOf(world, 'none')) {
      const login = { 'x-auth-token': String(admin.login) }
      const others = [{ host: 'rebound.example' }, { origin: 'https://evil.example' }]
      for (const other of others) {
        const { status } = await raw(`${hub.url}${path}`, { method, headers: { ...login, ...other } })
        expect([method, path, status]).toEqual([method, path, 403])
      }
    }
  })

  test('a page of another site cannot use the cookie of a browser', async () => {
    const { hub, admin } = world
    const cookie = `flotilla=${admin.login}`
    for (const { route, method, path } of casesOf(world, 'none')) {
      if (method === 'GET' || route.permission === 'public') continue
      const as = { headers: { cookie, 'sec-fetch-site': 'same-site' } }
      const { status, body } = await rest(hub.url, `${method} ${path}`, { as })
      expect([method, path, status, body['code']]).toEqual([method, path, 403, 'access.csrf'])
    }
  })

  test('and nothing of all that has changed anything', () => untouched(world))
})

/** What a key has that reads a part of the hub, and what a user has who is no admin. */
const PARTIAL: readonly Permission[] = ['public', 'servers:read', 'groups:read', 'tools:call', 'usage:own']
const ORDINARY: readonly Permission[] = [...PARTIAL, 'self', 'keys:own']

describe('every route, with a credential that reaches less far', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.hub[Symbol.asyncDispose]())

  /** Bodies that would do, where somebody gets as far as that. */
  const tries = {
    'tools.call': { toolName: 'echo', arguments: { text: 'x' } },
    'keys.create': { name: 'for her', owner: 'alice' },
    'keys.update': { name: 'stolen' },
    'auth.change-password': { currentPassword: 'guessed wrong', newPassword: NEXT_PASSWORD },
  }

  /** Beyond what one may, 403; of what is hers, nothing can be seen or done. */
  function beyond(may: readonly Permission[]) {
    return (each: MatrixCase, status: number) => {
      const { permission, path, body, name } = each.route
      if (permission === 'public') return undefined
      if (!may.includes(permission)) return status !== 403 && `${what(each, status)}, not 403`
      if (name === 'auth.change-password') return status !== 401 && what(each, status)
      return (path.includes(':') || body) && status !== 403 && status !== 404 && what(each, status)
    }
  }

  test('another user: 403, or 404 for what is hers', async () => {
    const { hub, admin } = world
    const bob = await addUser(hub, admin, 'bob')
    expect(await complaints(world, 'other user', bob, beyond(ORDINARY), tries)).toEqual([])
  })

  test("another user's key that says it may do everything", async () => {
    const { hub, admin } = world
    const { token } = await makeKey(hub.url, admin, { ...EVERYTHING, name: 'b', owner: 'bob' })
    expect(await complaints(world, 'other user', { key: token }, beyond(PARTIAL), tries)).toEqual([])
  })

  test('a key for MCP only: 403 everywhere', async () => {
    const { hub, admin } = world
    const narrow = { name: 'n', owner: null, allowedServers: ['shared'], rest: 'none' }
    const { token } = await makeKey(hub.url, admin, narrow)
    expect(await complaints(world, 'too narrow', { key: token }, beyond(['public']))).toEqual([])
  })

  test('a key for one server that says it may do everything: reads about that one', async () => {
    const { hub, admin } = world
    const narrow = { ...EVERYTHING, name: 'm', owner: null, allowedServers: ['shared'] }
    const { token } = await makeKey(hub.url, admin, narrow)
    expect(await complaints(world, 'other user', { key: token }, beyond(PARTIAL), tries)).toEqual([])
    const { data } = await mustRest(hub.url, 'GET /api/servers', { as: { key: token } })
    expect(data).toMatchObject([{ name: 'shared' }])
    expect(data).not.toMatchObject([{ stderr: expect.anything() }])
  })

  test('a key that reads everything changes nothing', async () => {
    const { hub, admin } = world
    const { token } = await makeKey(hub.url, admin, { name: 'q', owner: null, rest: 'read' })
    for (const each of casesOf(world, 'other user')) {
      if (each.method === 'GET' || ['public', 'tools:call'].includes(each.route.permission)) continue
      const { status } = await send(hub, each, { key: token })
      expect(what(each, status)).toBe(what(each, 403))
    }
  })

  test('and nothing of all that has changed anything', () => untouched(world))
})

/** Her things are there, as they were. */
async function untouched({ hub, admin, alice, aliceKeyId }: World): Promise<void> {
  const { data: key } = await mustRest(hub.url, `GET /api/auth/keys/${aliceKeyId}`, { as: alice })
  expect(key).toMatchObject({ name: CANARY, enabled: true })
  const { data: server } = await mustRest(hub.url, 'GET /api/servers/hers', { as: alice })
  expect(server).toMatchObject({ status: 'connected', owner: 'alice', description: CANARY })
  const { data: group } = await mustRest(hub.url, 'GET /api/groups/g-hers', { as: admin })
  expect(group).toMatchObject({ ...SETTINGS.groups[0] })
  const { data } = await mustRest(hub.url, 'GET /api/settings/revisions', { as: admin })
  expect(data).toMatchObject({ items: [{ number: 1 }] })
}

const URL_SERVER = { url: 'http://127.0.0.1:9/mcp' }
/** What does well for each route that takes a body. */
const GOOD_BODIES: Readonly<Record<string, unknown>> = {
  'auth.login': { username: 'admin', password: PASSWORD },
  'auth.change-password': { currentPassword: PASSWORD, newPassword: NEXT_PASSWORD },
  'setup.complete': { token: 'x', username: 'mallory', password: PASSWORD },
  'servers.create': { name: 'new', config: URL_SERVER },
  'servers.batch': { servers: [{ name: 'newer', config: URL_SERVER }] },
  'servers.update': { config: { ...SETTINGS.mcpServers.hers, command: 'node', description: 'better' } },
  'servers.rename': { name: 'renamed' },
  'servers.toggle': { enabled: true },
  'servers.test-connect': { config: { ...fixture('minimal'), command: 'node' } },
  'tools.call': { toolName: 'echo', arguments: { text: 'x' } },
  ...Object.fromEntries(
    ['tools', 'prompts', 'resources'].flatMap((kind) => [
      [`${kind}.toggle`, { enabled: false }],
      [`${kind}.describe`, { description: 'in other words' }],
    ]),
  ),
  'groups.create': { name: 'new', servers: ['shared'] },
  'groups.batch': { groups: [{ name: 'newer' }] },
  'groups.update': { description: 'better' },
  'groups.members.add': { serverName: 'shared' },
  'groups.members.replace': { servers: ['hers', 'shared'] },
  'groups.config.tools': { tools: ['echo'] },
  'users.create': { username: 'eve', password: PASSWORD },
  'users.update': { fullName: 'Alice A.' },
  'keys.create': { name: 'new', owner: null },
  'keys.update': { name: 'better', requestsPerMinute: 100 },
  'cluster.replicas.set': { replicas: 2 },
  'settings.edit': { edits: [{ path: ['systemConfig', 'odd'], value: 1 }] },
  'settings.system': { odd: { even: 2 } },
}
/** What a hub alone cannot do, and what there is not: with any credential that will do. */
const REFUSED: Readonly<Record<string, number>> = {
  'cluster.nodes.get': 404,
  'cluster.nodes.remove': 404,
  'cluster.nodes.cordon': 404,
  'cluster.nodes.uncordon': 404,
  'cluster.nodes.drain': 404,
  'cluster.sessions.get': 404,
  'cluster.sessions.end': 404,
  // The first admin is there.
  'setup.complete': 401,
}

/** With `?dryRun`: the other routes need what they would take away. */
const ONLY_TRIED = new Set(['servers.rename', 'revisions.rollback'])

/** What takes something away comes after what needs it, and what belongs to others before they go. */
function inGoodOrder(cases: readonly MatrixCase[]): MatrixCase[] {
  const rank = ({ method, route }: MatrixCase) => {
    const last = ['keys.revoke', 'groups.delete', 'servers.delete', 'users.delete', 'auth.logout']
    return last.includes(route.name) ? 2 + last.indexOf(route.name) : Number(method === 'DELETE')
  }
  return cases.toSorted((a, b) => rank(a) - rank(b))
}

describe('every route, with a credential that will do', () => {
  test.each(['admin', 'adminKey'] as const)('%s: it works', async (who) => {
    const world = await startWorld()
    await using hub = world.hub
    const wrong: string[] = []
    for (const each of inGoodOrder(casesOf(world, 'none'))) {
      const { name, permission } = each.route
      // A key has nobody whose password it could change, and who is known is no node of a cluster.
      const nobody = (permission === 'self' && who === 'adminKey') || permission === 'cluster:node'
      const refused = REFUSED[name] ?? (nobody && 403)
      const path = ONLY_TRIED.has(name) ? `${each.path}?dryRun` : each.path
      const { status, text } = await send(hub, { ...each, path }, world[who], GOOD_BODIES[name])
      if (refused ? status !== refused : status >= 300) wrong.push(`${what(each, status)} ${text}`)
    }
    expect(wrong).toEqual([])
  })
})

describe('[R231] an instance with READ_ONLY', () => {
  const key = { token: 'key-of-the-operator', ...EVERYTHING }

  test('refuses every route that changes something, serves those that read, and tool calls', async () => {
    const environment = { PATH: process.env['PATH'], ADMIN_PASSWORD: PASSWORD, READ_ONLY: 'true' }
    await using hub = await startHub({ ...SETTINGS, bearerKeys: [key] }, { environment })
    const login = { login: await logIn(hub.url, 'admin', PASSWORD) }
    const parameters = {
      name: 'hers',
      server: 'hers',
      item: 'thing',
      id: 'g-hers',
      username: 'admin',
      number: '1',
      node: 'hers',
      session: 'hers',
    }
    const cases = routeMatrix(ROUTES, parameters).filter(({ credential }) => credential === 'none')
    const served = ['auth.login', 'tools.call', 'auth.logout', 'cluster.sync']
    for (const as of [{ key: key.token }, login])
      for (const each of inGoodOrder(cases)) {
        const { name, permission } = each.route
        if (permission === 'self' && 'key' in as) continue
        if (permission === 'cluster:node') continue
        const { status, body } = await send(hub, each, as, GOOD_BODIES[name])
        if (each.method !== 'GET' && !served.includes(name))
          expect([name, status, body['code']]).toEqual([name, 409, 'settings.read-only'])
        // There is no key of this name.
        else expect([name, status]).toEqual([name, name === 'keys.get' ? 404 : (REFUSED[name] ?? 200)])
      }
    expect((await rest(hub.url, 'POST /api/auth/setup', { body: {} })).status).toBe(409)
    const again = { login: await logIn(hub.url, 'admin', PASSWORD) }
    const { data } = await mustRest(hub.url, 'GET /api/settings/revisions', { as: again })
    expect(data).toMatchObject({ items: [{ number: 1 }] })
    const { user } = await mustRest(hub.url, 'GET /api/auth/user', { as: again })
    expect(user).toMatchObject({ isAdmin: true })
  })
})
