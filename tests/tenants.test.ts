import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '../src/kernel/logger.ts'
import { LogLines } from '../src/observability/log-lines.ts'
import { startHub, type TestHub } from './harness/hub.ts'
import { MCP_HEADERS, openSession, raw, rpc } from './harness/raw.ts'
import { seededRandom } from './harness/seeded-random.ts'
import {
  foreignMarks,
  groupsOf,
  hasProcess,
  markOf,
  type Person,
  people,
  serversOf,
  service,
  settings,
  teams,
  USERS,
  WITH_PROCESS,
} from './harness/tenants.ts'
import { until } from './harness/wait.ts'

const REQUESTS = 1_000
/** As many are under way at once. */
const AT_ONCE = 40
const seed = Math.floor(Math.random() * 2 ** 31)
const random = seededRandom(seed)
const below = (count: number) => Math.floor(random() * count)

let hub: TestHub
let upstreams: Server
let admin = ''

interface Answer {
  readonly status: number
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, each of which a test looks into
  readonly json: any
}

async function ask(
  headers: Record<string, string>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const content = body === undefined ? undefined : JSON.stringify(body)
  const answer = await raw(`${hub.url}${path}`, {
    method,
    headers: { ...(content === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(content === undefined ? {} : { body: content }),
    timeoutMs: 30_000,
  })
  return { status: answer.status, text: answer.body, json: answer.json }
}

const asAdmin = (method: string, path: string, body?: unknown) =>
  ask({ 'x-auth-token': admin }, method, path, body)

async function login(username: string, password: string): Promise<string> {
  const { json } = await ask({}, 'POST', '/api/auth/login', { username, password })
  expect(json).toMatchObject({ success: true })
  return json.token
}

beforeAll(async () => {
  upstreams = service()
  await new Promise<void>((resolve) => upstreams.listen(0, '127.0.0.1', resolve))
  const logs = new LogLines()
  const log = createLogger('debug', { write: () => undefined }, (line) => {
    logs.take(line)
    return line
  })
  hub = await startHub(settings(`http://127.0.0.1:${(upstreams.address() as AddressInfo).port}`), {
    log,
    logs,
    environment: { PATH: process.env['PATH'], ADMIN_PASSWORD: 'correct horse battery' },
  })
  admin = await login('admin', 'correct horse battery')
  for (const person of people) {
    const { name } = person
    const password = `password of ${name}`
    expect((await asAdmin('POST', '/api/users', { username: name, password })).status).toBe(201)
    person.login = await login(name, password)
    const made = await ask({ 'x-auth-token': person.login }, 'POST', '/api/auth/keys', { name, rest: 'read' })
    expect(made.status).toBe(201)
    person.key = made.json.data.token
    const bearer = { authorization: `Bearer ${person.key}` }
    person.sessions = {
      all: await openSession(`${hub.url}/mcp`, '2025-11-25', bearer),
      own: await openSession(`${hub.url}/mcp/${person.server}`, '2025-11-25', bearer),
    }
  }
}, 120_000)

afterAll(async () => {
  await hub?.[Symbol.asyncDispose]()
  upstreams?.closeAllConnections()
  upstreams?.close()
})

/** By their login or by their key: both are the same person. */
const credentials = (person: Person): Record<string, string> =>
  below(2) === 0 ? { 'x-auth-token': person.login } : { authorization: `Bearer ${person.key}` }

const namesOf = (items: { name: string }[]) => items.map(({ name }) => name).sort()

/** One kind of request: says what is wrong with its answer beyond what is looked for in every answer. */
interface Kind {
  readonly what: string
  request(person: Person, other: Person, nonce: string): Promise<{ text: string; wrong?: string | false }>
}

const rpcText = (name: string, nonce: string) =>
  rpc(nonce, 'tools/call', { name, arguments: { text: nonce } })

async function callOf(person: Person, server: string, nonce: string, where: 'all' | 'own') {
  const [path, tool] = where === 'all' ? ['/mcp', `${server}-echo`] : [`/mcp/${server}`, 'echo']
  person.calls += 1
  const { body } = await raw(`${hub.url}${path}`, {
    headers: person.sessions[where],
    body: rpcText(tool, nonce),
    timeoutMs: 30_000,
  })
  const right = body.includes(`${markOf(server)} ${nonce}"`)
  return { text: body, wrong: !right && `${server} did not answer` }
}

const REQUEST: Readonly<Record<string, Kind['request']>> = {
  'lists tools at /mcp': async (person, _other, nonce) => {
    const { body, json } = await raw(`${hub.url}/mcp`, {
      headers: person.sessions.all,
      body: rpc(nonce, 'tools/list'),
    })
    const { tools = [] } = (json?.result ?? {}) as { tools?: { name: string }[] }
    const prefixes = [...new Set(tools.map(({ name }) => name.split('-')[0] ?? ''))].sort()
    return { text: body, wrong: `${prefixes}` !== `${serversOf(person)}` && `sees ${prefixes}` }
  },
  'lists tools at its own server': async (person, _other, nonce) => {
    const { body } = await raw(`${hub.url}/mcp/${person.server}`, {
      headers: person.sessions.own,
      body: rpc(nonce, 'tools/list'),
    })
    return {
      text: body,
      wrong:
        !body.includes(hasProcess(person) ? '"reveal"' : markOf(person.server)) &&
        'does not see its own tools',
    }
  },
  'calls its own server at /mcp': (person, _other, nonce) => callOf(person, person.server, nonce, 'all'),
  'calls its own server there': (person, _other, nonce) => callOf(person, person.server, nonce, 'own'),
  'calls what is shared': (person, _other, nonce) => callOf(person, `team${person.team}`, nonce, 'all'),
  'calls what is public': (person, _other, nonce) => callOf(person, 'town', nonce, 'all'),
  "calls another's server at /mcp": async (person, other, nonce) => {
    const tool = `${other.server}-only-${other.server}`
    const { body, json } = await raw(`${hub.url}/mcp`, {
      headers: person.sessions.all,
      body: rpcText(tool, nonce),
    })
    return { text: body, wrong: json?.error === undefined && 'was not refused' }
  },
  "comes with another's session": async (person, other, nonce) => {
    const headers = { ...other.sessions.own, authorization: `Bearer ${person.key}` }
    const path = `/mcp/${other.server}`
    const { body, status } = await raw(`${hub.url}${path}`, { headers, body: rpcText('echo', nonce) })
    return { text: body, wrong: status !== 403 && status !== 404 && `got ${status}` }
  },
  "opens another's endpoint": async (person, other, nonce) => {
    const endpoints = [
      other.server,
      other.group,
      ...(other.team === person.team ? [] : [`team${other.team}`]),
    ]
    const path = `/mcp/${endpoints[below(endpoints.length)]}`
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'x', version: '1' },
    }
    const headers = { ...MCP_HEADERS, authorization: `Bearer ${person.key}` }
    const { body, status } = await raw(`${hub.url}${path}`, {
      headers,
      body: rpc(nonce, 'initialize', params),
    })
    return { text: body, wrong: status !== 403 && status !== 404 && `got ${status}` }
  },
  'lists servers': async (person) => {
    const { text, json } = await ask(credentials(person), 'GET', '/api/servers')
    const names = namesOf(json.data)
    const stderr = JSON.stringify(json.data.map((each: { stderr?: string[] }) => each.stderr ?? []))
    const silent = hasProcess(person) && !stderr.includes(markOf(person.server))
    return {
      text,
      wrong: (`${names}` !== `${serversOf(person)}` && `sees ${names}`) || (silent && 'no stderr'),
    }
  },
  "looks at another's server": async (person, other) => {
    const paths = ['', '/logs', '/logs?follow=1'].map((end) => `/api/servers/${other.server}${end}`)
    const { text, status } = await ask(credentials(person), 'GET', paths[below(3)] ?? '')
    return { text, wrong: status !== 404 && `got ${status}` }
  },
  'lists groups': async (person) => {
    const { text, json } = await ask(credentials(person), 'GET', '/api/groups')
    const names = namesOf(json.data)
    const everybody = json.data.find(({ name }: { name: string }) => name === 'everybody')
    const members = ['town', 's0', 's1'].filter((name) => serversOf(person).includes(name))
    const wrongMembers = `${[...everybody.servers].sort()}` !== `${members.sort()}`
    const wrongNames = `${names}` !== `${groupsOf(person)}`
    return { text, wrong: (wrongNames && `sees ${names}`) || (wrongMembers && `sees ${everybody.servers}`) }
  },
  "looks at another's group": async (person, other) => {
    const ends = ['', '/servers', '/server-configs', `/server-configs/${other.server}`]
    const id = [other.group, `id-${other.group}`][below(2)]
    const { text, status } = await ask(credentials(person), 'GET', `/api/groups/${id}${ends[below(4)]}`)
    return { text, wrong: status !== 404 && `got ${status}` }
  },
  "calls another's tool by REST": async (person, other, nonce) => {
    const body = { toolName: 'echo', arguments: { text: nonce } }
    const { text, status } = await ask(credentials(person), 'POST', `/api/tools/call/${other.server}`, body)
    return { text, wrong: status !== 403 && status !== 404 && `got ${status}` }
  },
  'calls its own tool by REST': async (person, _other, nonce) => {
    person.calls += 1
    const body = { toolName: 'echo', arguments: { text: nonce } }
    const { text } = await ask(credentials(person), 'POST', `/api/tools/call/${person.server}`, body)
    return { text, wrong: !text.includes(markOf(person.server)) && 'its server did not answer' }
  },
  'reads usage': async (person, other) => {
    const wanted = ['', `?username=${other.name}`, `?server=${other.server}`][below(3)]
    const { text, json } = await ask(credentials(person), 'GET', `/api/usage${wanted}`)
    const strangers = json.data.items.filter(({ username }: { username: string }) => username !== person.name)
    return { text, wrong: strangers.length > 0 && `sees calls of ${strangers[0].username}` }
  },
  'exports usage': async (person, other) => {
    const format = ['csv', 'ndjson'][below(2)]
    const path = `/api/usage/export?format=${format}&username=${other.name}`
    const { text } = await ask(credentials(person), 'GET', path)
    const seen = [...text.matchAll(/(?:,|":)"?(u\d+)(?=[,"])/g)].map(([, name]) => name)
    const strangers = seen.filter((name) => name !== person.name)
    return { text, wrong: strangers.length > 0 && `sees calls of ${strangers[0]}` }
  },
  'adds usage up': async (person, other) => {
    const filter = ['', `&username=${other.name}`, `&server=${other.server}`][below(3)]
    const path = `/api/usage/aggregate?by=username,server${filter}`
    const { text, json } = await ask(credentials(person), 'GET', path)
    const strangers = json.data.filter(
      ({ group }: { group: { username: string } }) => group.username !== person.name,
    )
    return { text, wrong: strangers.length > 0 && `sees calls of ${strangers[0].group.username}` }
  },
  'asks for logs': async (person) => {
    const paths = [
      '/api/logs',
      '/api/logs/stream',
      '/api/access-logs',
      '/api/audit',
      '/api/users',
      '/api/settings',
    ]
    const { text, status } = await ask(credentials(person), 'GET', paths[below(paths.length)] ?? '')
    return { text, wrong: status !== 403 && `got ${status}` }
  },
  'lists keys': async (person) => {
    const { text, json } = await ask({ 'x-auth-token': person.login }, 'GET', '/api/auth/keys')
    return { text, wrong: `${namesOf(json.data)}` !== person.name && `sees ${namesOf(json.data)}` }
  },
}

const KINDS: readonly Kind[] = Object.entries(REQUEST).map(([what, request]) => ({ what, request }))

/** Sends so many requests of all these kinds, in random order and many at once; gives what is wrong. */
async function interleaved(kinds: readonly Kind[], requests: number): Promise<string[]> {
  const complaints: string[] = []
  const order = Array.from({ length: requests }, (_, n) => ({ kind: kinds[n % kinds.length], at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ kind }) => kind)
  let next = 0
  const worker = async () => {
    while (next < requests) {
      const number = next
      next += 1
      const person = people[below(USERS)] as Person
      const other = people[(person.number + 1 + below(USERS - 1)) % USERS] as Person
      const { what, request } = order[number] as Kind
      const { text, wrong } = await request(person, other, `nonce-${number}`)
      const foreign = foreignMarks(person, text)
      if (wrong || foreign.length > 0)
        complaints.push(
          `${person.name} ${what} (${other.name}): ${wrong || `sees ${foreign}`}: ${text.slice(0, 200)}`,
        )
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return complaints
}

describe('50 users with a server each, a server for each team and one for all', () => {
  test('in 1,000 interleaved requests nobody sees what is another’s, and everybody what is theirs', async () => {
    const complaints = await interleaved(KINDS, REQUESTS)
    expect({ seed, complaints }).toEqual({ seed, complaints: [] })
  }, 120_000)

  test('nobody sees another’s calls, by whatever filter, when all are recorded', async () => {
    const all = people.reduce((sum, { calls }) => sum + calls, 0)
    const recorded = async () => {
      const { json } = await asAdmin('GET', '/api/usage/aggregate?by=username&success=true&limit=1000')
      return json.data.reduce((sum: number, { calls }: { calls: number }) => sum + calls, 0) >= all
    }
    // Five seconds for a batch, and a few more when the database was busy.
    await until('all calls are recorded', recorded, 30_000)
    const complaints = await interleaved(
      KINDS.filter(({ what }) => /usage/.test(what)),
      300,
    )
    expect({ seed, complaints }).toEqual({ seed, complaints: [] })
  }, 60_000)

  test('[R222] each call is in the usage of the one who made it, and in nobody else’s', async () => {
    for (const person of people) {
      const usage = () => ask({ 'x-auth-token': person.login }, 'GET', '/api/usage?limit=1000')
      // Refused calls may be recorded too; those that reached a server are.
      const { json } = await until(`the calls of ${person.name} are recorded`, async () => {
        const answer = await usage()
        const reached = answer.json.data.items.filter(({ success }: { success: boolean }) => success)
        return reached.length >= person.calls ? answer : undefined
      })
      const { items } = json.data as { items: { username: string; server: string; success: boolean }[] }
      expect(items.filter(({ success }) => success)).toHaveLength(person.calls)
      expect(new Set(items.map(({ username }) => username))).toEqual(
        new Set(person.calls ? [person.name] : []),
      )
      for (const { server } of items) expect(serversOf(person)).toContain(server)
    }
  })

  test('an admin sees all of it: there was something to be seen', async () => {
    const { json } = await asAdmin('GET', '/api/servers')
    expect(json.data).toHaveLength(USERS + teams.length + 1)
    expect((await asAdmin('GET', '/api/groups')).json.data).toHaveLength(USERS + teams.length + 1)
    const usage = await asAdmin('GET', '/api/usage/aggregate?by=username&limit=1000')
    expect(usage.json.data.length).toBeGreaterThan(USERS / 2)
    const [number] = WITH_PROCESS
    const logs = await asAdmin('GET', `/api/servers/s${number}/logs`)
    expect(logs.json.data.length).toBeGreaterThan(0)
    expect((await asAdmin('GET', '/api/logs')).text).toContain(`"server":"s${number}"`)
  })
})
