import { createServer, type Server } from 'node:http'
import { text as bodyOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const USERS = 50
/** So many users share a team's server; the last team has one member only. */
const TEAM = 7
/** Of these the servers are processes, whose words on stderr are their logs. */
export const WITH_PROCESS = [3, 17, 31]

/** A user, and everything that they may see, as it is meant: worked out here and nowhere else. */
export interface Person {
  readonly number: number
  readonly name: string
  readonly server: string
  readonly group: string
  readonly team: number
  key: string
  login: string
  /** Sessions at `/mcp` and at their own server's endpoint. */
  sessions: { all: Record<string, string>; own: Record<string, string> }
  calls: number
}

export const people: Person[] = Array.from({ length: USERS }, (_, number) => ({
  number,
  name: `u${number}`,
  server: `s${number}`,
  group: `g${number}`,
  team: Math.floor(number / TEAM),
  key: '',
  login: '',
  sessions: { all: {}, own: {} },
  calls: 0,
}))
export const teams = [...new Set(people.map(({ team }) => team))]

/** What stands in all that a server says. A server's name is no secret to whoever asks for it; this is. */
export const markOf = (server: string) => `mark-of-${server}.`
export const serversOf = ({ server, team }: Person) => [server, `team${team}`, 'town'].sort()
export const groupsOf = ({ group, team }: Person) => [group, `crew${team}`, 'everybody'].sort()

/** Whose marks a person may see; everything else in an answer is a leak. */
export function foreignMarks(person: Person, text: string): string[] {
  const allowed = new Set(serversOf(person).map(markOf))
  return [...new Set(text.match(/mark-of-\w+\./g) ?? [])].filter((mark) => !allowed.has(mark))
}

/** One HTTP service that is 50 and more MCP servers: each path is one of them. */
export function service(): Server {
  return createServer(async (request, response) => {
    const server = (request.url ?? '/').slice(1)
    const mark = markOf(server)
    if (request.method !== 'POST') return response.writeHead(405).end()
    const { id, method, params } = JSON.parse(await bodyOf(request))
    if (id === undefined) return response.writeHead(202).end()
    const tool = (name: string) => ({ name, description: mark, inputSchema: { type: 'object' } })
    const results: Record<string, unknown> = {
      initialize: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: server, version: '1' },
        instructions: mark,
      },
      'tools/list': { tools: [tool('echo'), tool('fail'), tool(`only-${server}`)] },
      'tools/call': {
        content: [{ type: 'text', text: `${mark} ${params?.arguments?.text}` }],
        isError: params?.name === 'fail',
      },
    }
    return response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? {} }))
  })
}

/** The whole hub: a server for each user, one for each team, one for all; and groups likewise. */
export function settings(url: string) {
  const http = (server: string) => ({ type: 'streamable-http', url: `${url}/${server}` })
  const stdio = (server: string) => ({
    command: process.execPath,
    args: [fileURLToPath(new URL('../fixtures/servers/leaky.ts', import.meta.url)), '--word', markOf(server)],
  })
  const own = people.map(({ number, name, server }) => [
    server,
    { ...(WITH_PROCESS.includes(number) ? stdio(server) : http(server)), owner: name, visibility: 'private' },
  ])
  const shared = teams.map((team) => {
    const [owner, ...others] = people.filter((person) => person.team === team).map(({ name }) => name)
    return [`team${team}`, { ...http(`team${team}`), owner, visibility: 'group', sharedWithUsers: others }]
  })
  return {
    mcpServers: Object.fromEntries([...own, ...shared, ['town', { ...http('town'), visibility: 'public' }]]),
    groups: [
      ...people.map(({ name, group, server }) => ({
        id: `id-${group}`,
        name: group,
        description: markOf(server),
        owner: name,
        visibility: 'private',
        servers: [server, 'town'],
      })),
      ...teams.map((team) => ({
        id: `id-crew${team}`,
        name: `crew${team}`,
        owner: 'admin',
        visibility: 'group',
        sharedWithUsers: people.filter((person) => person.team === team).map(({ name }) => name),
        servers: [`team${team}`],
      })),
      // Everybody may use it, and nobody sees in it what is somebody else's.
      { id: 'id-everybody', name: 'everybody', visibility: 'public', servers: ['town', 's0', 's1'] },
    ],
    systemConfig: { activityLog: { storeToolPayload: true } },
  }
}

/** Whether the person's server is a process, and not an HTTP service. */
export const hasProcess = ({ number }: Person) => WITH_PROCESS.includes(number)
