import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../src/kernel/clock.ts'
import { readTargets } from '../src/state/storage/dsn.ts'
import { Storage } from '../src/state/storage/storage.ts'
import { connectV1 } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { recordingLogger } from './harness/recording-logger.ts'
import { logIn, makeKey, mustRest, type RestCredential, rest } from './harness/rest.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const PASSWORD = 'correct horse battery'
const environment = { PATH: process.env['PATH'], ADMIN_PASSWORD: PASSWORD }

/** A hub with an admin and the user alice. */
async function startHubOf(settings: Parameters<typeof startHub>[0] = {}) {
  const hub = await startHub({ mcpServers: {}, ...settings }, { environment })
  const admin = { login: await logIn(hub.url, 'admin', PASSWORD) }
  const body = { username: 'alice', password: PASSWORD }
  await mustRest(hub.url, 'POST /api/users', { as: admin, body })
  const alice: RestCredential = { login: await logIn(hub.url, 'alice', PASSWORD) }
  return { hub, admin, alice }
}

test('who owns a key cannot raise what an admin has set for it, nor make it more than they are', async () => {
  const { hub, admin, alice } = await startHubOf()
  await using _hub = hub
  const bounds = { rest: 'none', requestsPerMinute: 60, maxConcurrent: 2 }
  const { id } = await makeKey(hub.url, admin, { name: 'bounded', owner: 'alice', ...bounds })
  const change = async (as: RestCredential, body: unknown) =>
    (await rest(hub.url, `PUT /api/auth/keys/${id}`, { as, body })).status
  const raised = [
    { rest: 'read' },
    { rest: 'admin' },
    { grants: ['users:manage'] },
    { requestsPerMinute: 61 },
    { requestsPerMinute: null },
    { maxConcurrent: null },
    { name: 'with another name', maxConcurrent: 3 },
  ]
  for (const body of raised) expect([body, await change(alice, body)]).toEqual([body, 403])
  const key = async () => (await mustRest(hub.url, `GET /api/auth/keys/${id}`, { as: alice }))['data']
  expect(await key()).toMatchObject({ name: 'bounded', grants: [], ...bounds })

  expect(await change(alice, { name: 'tight', requestsPerMinute: 30, enabled: false })).toBe(200)
  expect(await change(alice, { requestsPerMinute: 60 })).toBe(403)
  expect(await change(admin, { requestsPerMinute: 120, rest: 'read', maxConcurrent: null })).toBe(200)
  expect(await key()).toMatchObject({ name: 'tight', requestsPerMinute: 120, rest: 'read', enabled: false })

  for (const body of [
    { rest: 'admin' },
    { grants: ['servers:launch'] },
    { owner: 'admin' },
    { owner: null },
  ]) {
    const { status } = await rest(hub.url, 'POST /api/auth/keys', { as: alice, body: { name: 'x', ...body } })
    expect([body, status]).toEqual([body, 403])
  }
})

test('a key that manages keys hands on what it has, and no more', async () => {
  const { hub, admin } = await startHubOf()
  await using _hub = hub
  const grants = ['servers:launch']
  const { token } = await makeKey(hub.url, admin, { name: 'm', owner: null, rest: 'admin', grants })
  const as = { key: token }
  const { id } = await makeKey(hub.url, as, { name: 'n', owner: null, rest: 'admin', grants })
  const more = { grants: ['servers:launch', 'users:manage'] }
  expect((await rest(hub.url, 'POST /api/auth/keys', { as, body: { name: 'x', ...more } })).status).toBe(403)
  expect((await rest(hub.url, `PUT /api/auth/keys/${id}`, { as, body: more })).status).toBe(403)
  await mustRest(hub.url, `DELETE /api/auth/keys/${id}`, { as })
})

test('an open hub shows names, states and tools to this machine: no stderr, no configuration, nothing else', async () => {
  const secret = 'canary-of-configuration'
  const chatty = {
    ...fixture('broken', '--mode', 'stderr-flood'),
    env: { ODD: secret },
    description: 'chats',
  }
  await using hub = await startHub({
    mcpServers: { chatty },
    groups: [{ id: 'g', name: 'group', servers: ['chatty'] }],
  })
  // Something is there to be hidden.
  await until('it has written', () => (hub.standalone.hub.insight.report('chatty')?.stderr.length ?? 0) > 0)
  for (const path of ['/api/servers', '/api/servers/chatty']) {
    const { text, body } = await rest(hub.url, `GET ${path}`)
    const view = [body['data']].flat()[0] as Record<string, unknown>
    expect(view).toMatchObject({ name: 'chatty', status: 'connected', tools: expect.any(Array) })
    expect(view).not.toHaveProperty('stderr')
    expect(view).not.toHaveProperty('config')
    expect(text).not.toMatch(new RegExp(`${secret}|broken.ts|"command"`))
  }
  for (const path of [
    'servers/chatty/logs',
    'groups',
    'groups/g',
    'settings',
    'usage',
    'logs',
    'users',
    'auth/keys',
  ])
    expect([path, (await rest(hub.url, `GET /api/${path}`)).status]).toEqual([path, 403])
  const call = { toolName: 'echo', arguments: { text: 'x' } }
  expect((await rest(hub.url, 'POST /api/tools/call/chatty', { body: call })).status).toBe(403)
  expect((await rest(hub.url, 'POST /api/servers/chatty/reload')).status).toBe(403)
})

test('stderr of a server is for its owner and for who may read logs', async () => {
  const chatty = { ...fixture('broken', '--mode', 'stderr-flood'), owner: 'alice', visibility: 'public' }
  const { hub, admin, alice } = await startHubOf({ mcpServers: { chatty } })
  await using _hub = hub
  await until('it has written', () => (hub.standalone.hub.insight.report('chatty')?.stderr.length ?? 0) > 0)
  await mustRest(hub.url, 'POST /api/users', { as: admin, body: { username: 'bob', password: PASSWORD } })
  const narrow = { name: 'narrow', owner: null, rest: 'admin', allowedServers: ['chatty'] }
  const shown = async (as: RestCredential) => {
    const { data } = await mustRest(hub.url, 'GET /api/servers/chatty', { as })
    return 'stderr' in (data as object)
  }
  expect([await shown(admin), await shown(alice)]).toEqual([true, true])
  expect(await shown({ login: await logIn(hub.url, 'bob', PASSWORD) })).toBe(false)
  expect(await shown({ key: (await makeKey(hub.url, admin, narrow)).token })).toBe(false)
})

test('a key that another process revokes, or a user whom it disables, is out within seconds', async () => {
  const { hub, admin, alice } = await startHubOf({ mcpServers: { m: fixture('minimal') } })
  await using _hub = hub
  const gone = await makeKey(hub.url, admin, { name: 'gone', owner: null, rest: 'read' })
  const hers = await makeKey(hub.url, alice, { name: 'hers', rest: 'read' })
  const client = await connectV1(`${hub.url}/mcp`, { headers: { authorization: `Bearer ${gone.token}` } })
  const parts = { clock: systemClock, log: recordingLogger().logger }
  const other = await Storage.open(readTargets({}, join(hub.folder, 'data')), parts)
  try {
    await other.keys.remove(gone.id)
    await other.users.update('alice', { status: 'disabled' })
  } finally {
    await other.close()
  }
  for (const as of [{ key: gone.token }, { key: hers.token }, alice])
    await until(
      'they are out',
      async () => (await rest(hub.url, 'GET /api/servers', { as })).status === 401,
      4_000,
    )
  await expect(client.listTools()).rejects.toThrow()
})
