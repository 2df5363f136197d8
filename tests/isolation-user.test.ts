import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test } from 'vitest'
import { makeV1, textOf } from './harness/clients.ts'
import { Cluster, counter } from './harness/cluster.ts'
import { startHub } from './harness/hub.ts'
import { fixture } from './harness/servers.ts'
import { isAlive, until } from './harness/wait.ts'

const USERS = ['ann', 'bob', 'cid', 'dan']
/** Two keys for each user: what they share hangs on who they are, not on the key. */
const bearerKeys = USERS.flatMap((owner) =>
  ['laptop', 'phone'].map((device) => ({
    id: `${owner}-${device}`,
    name: `${owner}-${device}`,
    token: `key-of-${owner}-${device}`,
    enabled: true,
    accessType: 'all',
    kind: 'user',
    owner,
  })),
)
const systemKeys = ['one', 'two'].map((name) => ({
  id: name,
  name,
  token: `key-of-${name}`,
  enabled: true,
  accessType: 'all',
}))

interface Answer {
  readonly replica: string
  readonly pid: number
  readonly ppid: number
  readonly count: number
}

async function enter(url: string, key: string) {
  const client = makeV1({ name: key, capabilities: { elicitation: {} } })
  const heard: string[] = []
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    heard.push(params.message)
    return { action: 'decline' }
  })
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(JSON.stringify(params.data))
  })
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    heard.push(params.uri)
  })
  const headers = { authorization: `Bearer key-of-${key}` }
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  await client.connect(transport as never)
  const call = async (name: string, args: Record<string, unknown> = {}) =>
    textOf(await client.callTool({ name, arguments: args }))
  return {
    key,
    heard,
    call,
    list: () => client.listTools(),
    count: () => call('counter').then(Number),
    pid: async () => Number(JSON.parse(await call('pid')).pid),
    next: async (): Promise<Answer> => JSON.parse(await call('next', { session: key })),
    subscribe: (uri: string) => client.subscribeResource({ uri }),
    id: () => transport.sessionId,
    leave: () => transport.terminateSession(),
  }
}

describe('isolation "user" in a hub', () => {
  const settings = {
    mcpServers: { s: { ...fixture('honest'), isolation: 'user' } },
    bearerKeys: [...bearerKeys, ...systemKeys],
  }

  test('two users with two sessions each have two processes, which end with the last session of their user', async () => {
    await using hub = await startHub(settings)
    const url = `${hub.url}/mcp/s`
    const [laptop, phone, bob, bobToo] = await Promise.all([
      enter(url, 'ann-laptop'),
      enter(url, 'ann-phone'),
      enter(url, 'bob-laptop'),
      enter(url, 'bob-phone'),
    ])
    expect((await laptop.list()).tools.map(({ name }) => name)).toContain('counter')
    expect([await laptop.count(), await phone.count(), await laptop.count()]).toEqual([1, 2, 3])
    expect([await bob.count(), await bobToo.count()]).toEqual([1, 2])
    const pids = [await laptop.pid(), await phone.pid(), await bob.pid(), await bobToo.pid()]
    const [anns = 0, , bobs = 0] = pids
    expect(pids).toEqual([anns, anns, bobs, bobs])
    expect(anns).not.toBe(bobs)
    await laptop.leave()
    expect(await phone.count()).toBe(4)
    await phone.leave()
    await until('the process of ann has ended', () => !isAlive(anns))
    expect(await bob.count()).toBe(3)
  })

  test('a subscription is heard by the session that holds it, also after the process was started anew', async () => {
    await using hub = await startHub(settings)
    const url = `${hub.url}/mcp/s`
    const [laptop, phone, bob] = [
      await enter(url, 'ann-laptop'),
      await enter(url, 'ann-phone'),
      await enter(url, 'bob-laptop'),
    ]
    const uri = 'honest://static/one'
    await laptop.subscribe(uri)
    expect(await bob.call('touch', { uri })).toBe('not subscribed')
    expect(await phone.call('touch', { uri })).toBe('touched')
    await until('the laptop hears of it', () => laptop.heard.length === 1)
    const pid = await phone.pid()
    process.kill(pid, 'SIGKILL')
    await until('a new process is told', async () => {
      const answer = await phone.call('touch', { uri }).catch(() => undefined)
      return answer === 'touched'
    })
    expect(await laptop.pid()).not.toBe(pid)
    await until('the laptop hears of it again', () => laptop.heard.length === 2)
    expect([laptop.heard, phone.heard, bob.heard]).toEqual([[uri, uri], [], []])
  })

  test('keys that are nobody’s have a process each', async () => {
    await using hub = await startHub(settings)
    const url = `${hub.url}/mcp/s`
    const [one, oneToo, two] = [await enter(url, 'one'), await enter(url, 'one'), await enter(url, 'two')]
    expect([await one.count(), await oneToo.count(), await two.count()]).toEqual([1, 2, 1])
  })

  test('questions go to the session whose call is at work, also among those of one user', async () => {
    const counting = counter('', { isolation: 'user' })
    await using hub = await startHub({ ...settings, mcpServers: { c: counting } })
    const url = `${hub.url}/mcp/c`
    const people = [
      await enter(url, 'ann-laptop'),
      await enter(url, 'ann-phone'),
      await enter(url, 'bob-laptop'),
    ]
    await Promise.all(people.map(({ call, key }) => call('ask', { message: `to ${key}` })))
    expect(people.map(({ heard }) => heard)).toEqual(people.map(({ key }) => [`to ${key}`]))
  })
})

describe('isolation "user" in a cluster', () => {
  test('[R63] all sessions of a user go to one process; when its worker is killed, they begin anew together and are told', async () => {
    await using cluster = await Cluster.start({
      coordinator: (journals) => ({
        mcpServers: {
          c: counter(journals, { isolation: 'user', replicas: 2 }),
          strict: counter(journals, { isolation: 'user', replicas: 2, stateLoss: 'stateful' }),
        },
        bearerKeys,
      }),
      workers: 2,
    })
    await cluster.untilSpread('c', 2)
    await cluster.untilSpread('strict', 2)
    const enterAll = (server: string) =>
      Promise.all(
        USERS.map(async (user) => ({
          user,
          laptop: await enter(cluster.endpoint(server), `${user}-laptop`),
          phone: await enter(cluster.endpoint(server), `${user}-phone`),
        })),
      )
    const people = await enterAll('c')
    const before = new Map<string, Answer>()
    for (const { user, laptop, phone } of people) {
      const [first, second] = [await laptop.next(), await phone.next()]
      expect([first.count, second.count, second.replica]).toEqual([1, 2, first.replica])
      before.set(user, second)
    }
    expect(new Set([...before.values()].map(({ replica }) => replica)).size).toBe(USERS.length)

    const strict = await enterAll('strict')
    const strictBefore = new Map<string, Answer>()
    for (const { user, laptop, phone } of strict) {
      await laptop.next()
      strictBefore.set(user, await phone.next())
    }

    // What the API tells of sessions names sessions, though what is bound is the user.
    for (const { laptop, phone } of people)
      for (const { id } of [laptop, phone])
        expect(await cluster.api.ask(`GET /api/cluster/sessions/${id()}`)).toMatchObject({
          data: { sessionId: id(), serverName: 'c' },
        })
    const all = await cluster.api.ask('GET /api/cluster/sessions')
    expect(all).toMatchObject({ data: { total: 4 * USERS.length } })
    expect(JSON.stringify(all)).not.toContain('user:')

    const victim = cluster.worker('worker-1')
    const { pid } = victim
    const onVictim = (answers: Map<string, Answer>, user: string) => answers.get(user)?.ppid === pid
    // Both kinds, on both workers: else this would prove nothing.
    for (const answers of [before, strictBefore])
      expect(new Set(USERS.map((user) => onVictim(answers, user))).size).toBe(2)
    await cluster.kill(victim)
    for (const { user, laptop, phone } of people) {
      const old = before.get(user)
      const first = await cluster.until('the user is served', () => laptop.next())
      const second = await phone.next()
      expect(second.replica).toBe(first.replica)
      if (!onVictim(before, user)) expect([first.replica, first.count]).toEqual([old?.replica, 3])
      else {
        expect(first.replica).not.toBe(old?.replica)
        expect(second.count).toBe(first.count + 1)
        for (const { heard } of [laptop, phone])
          await cluster.until('each session is told', () =>
            heard.some((text) => text.includes('started anew')),
          )
      }
    }
    for (const { user, laptop, phone } of people)
      if (!onVictim(before, user)) expect([...laptop.heard, ...phone.heard]).toEqual([])
    for (const { user, laptop, phone } of strict)
      for (const session of [laptop, phone])
        if (!onVictim(strictBefore, user))
          expect((await session.next()).replica).toBe(strictBefore.get(user)?.replica)
        else
          await cluster.until('the session has ended', () =>
            session.next().then(
              () => false,
              (error: unknown) => /unknown|ended/.test(String(error)),
            ),
          )
  }, 60_000)
})
