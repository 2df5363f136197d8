import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { Identity, Permission } from '../../src/access/permissions.ts'
import type { UserView } from '../../src/access/users.ts'
import { PERMISSIONS } from '../../src/api/permissions.ts'
import type {
  ActivityRecorder,
  Authenticator,
  KeyView,
  Services,
  SettingsChange,
  SettingsDocument,
  SettingsOutcome,
  SettingsPort,
} from '../../src/api/ports.ts'
import type { Route } from '../../src/api/route.ts'
import { createApi } from '../../src/api/server.ts'
import type { HubInsight } from '../../src/api/server-views.ts'
import { HubError } from '../../src/domain/errors.ts'
import { FULL_SCOPE, type KeyScope } from '../../src/domain/key-scope.ts'
import { ANONYMOUS } from '../../src/domain/principal.ts'
import type { Revision, SettingsEdit } from '../../src/domain/settings-revision.ts'
import type { ActivityFilter } from '../../src/observability/activity/ports.ts'
import type { LogLine } from '../../src/observability/log-lines.ts'
import { interpretSettings } from '../../src/state/settings/interpret.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { recordingLogger } from '../harness/recording-logger.ts'
import { FakeCluster } from './cluster.ts'
import { fixedRandom } from './random.ts'

const MASK = '********'

/** Who a token stands for, and what they may do. */
export interface Holder {
  readonly kind?: Identity['kind']
  readonly username?: string
  readonly keyId?: string
  readonly viewer?: string
  readonly scope?: KeyScope
  readonly may: readonly Permission[]
}

/** All that somebody who is known can have: nodes of a cluster are another matter. */
const EVERYTHING = PERMISSIONS.filter(
  (permission) => permission !== 'public' && permission !== 'cluster:node',
)
const ORDINARY: readonly Permission[] = [
  'servers:read',
  'servers:write',
  'tools:call',
  'groups:read',
  'groups:write',
  'keys:own',
  'usage:own',
  'self',
]

/** An administrator, two users, and keys. */
export const HOLDERS: Readonly<Record<string, Holder>> = {
  admin: { username: 'admin', may: EVERYTHING },
  /** Nobody in particular, on an open hub. */
  open: { kind: 'open', may: ['servers:read', 'cluster:read'] },
  alice: { username: 'alice', viewer: 'alice', may: ORDINARY },
  bob: { username: 'bob', viewer: 'bob', may: ORDINARY },
  reader: {
    kind: 'key',
    keyId: 'k-read',
    may: ['servers:read', 'groups:read', 'settings:read', 'cluster:read'],
  },
  narrow: { kind: 'key', keyId: 'k-none', may: [] },
  /** Looks after the cluster, and may start no processes of its own choice. */
  scaler: { kind: 'key', keyId: 'k-scale', may: ['servers:read', 'cluster:read', 'cluster:write'] },
  robot: { kind: 'key', keyId: 'k-robot', may: ['self'] },
  /** May everything, with the server `a` and the group `g1` only. */
  scoped: {
    kind: 'key',
    keyId: 'k-scoped',
    scope: { kind: 'some', servers: new Set(['a']), groups: new Set(['g1']), tools: new Map() },
    may: EVERYTHING,
  },
}

/** Bearer tokens as in `HOLDERS`; `away` finds the storage away, `expired` and `revoked` are refused. */
class FakeAuth implements Authenticator {
  async identify({ headers }: { headers: IncomingHttpHeaders }): Promise<Identity> {
    const token = headers.authorization?.replace('Bearer ', '') ?? ''
    if (token === 'away')
      throw new HubError('storage.unavailable', 'The storage is away.', { retryAfter: 5, cure: 'Wait.' })
    const holder = Object.hasOwn(HOLDERS, token) ? HOLDERS[token] : undefined
    if (!holder)
      throw new HubError('access.unauthenticated', 'This credential is not known.', { cure: 'Log in.' })
    return identityOf(holder)
  }

  authorize(identity: Identity, permission: Permission): void {
    const holder = Object.values(HOLDERS).find(
      ({ username, keyId }) => username === identity.username && keyId === identity.keyId,
    )
    if (permission === 'public' || holder?.may.includes(permission)) return
    throw new HubError('access.denied', `This needs ${permission}.`, { cure: 'Ask an administrator.' })
  }

  requireWritable(): void {
    // This one takes changes.
  }
}

function identityOf({ kind = 'login', username, keyId, viewer, scope = FULL_SCOPE }: Holder): Identity {
  const id = `${kind}:${username ?? keyId}`
  const principal = { ...ANONYMOUS, id, username, keyId, viewer, scope }
  const facts = { username, keyId, viewer, principal }
  if (kind !== 'login') return { kind, ...facts }
  return { kind, ...facts, role: viewer === undefined ? 'admin' : 'user', tokenHash: 'x' }
}

/** The settings as one document in memory, with its revisions. */
export class FakeSettings implements SettingsPort {
  readonly revisions: Revision[] = []
  readonly changesMade: SettingsChange[] = []
  /** Called before a change is looked at: somebody who is faster. */
  beforeChange: (() => void) | undefined
  #document: SettingsDocument

  constructor(document: SettingsDocument) {
    this.#document = document
    this.#append('file', undefined)
  }

  get document(): SettingsDocument {
    return this.#document
  }

  /** Somebody else changes something. */
  disturb(edits: readonly SettingsEdit[]): void {
    this.#document = applyEdits(this.#document, edits)
    this.#append('other', undefined)
  }

  async current() {
    return { number: this.revisions.length, document: this.#document, etag: `"${this.revisions.length}"` }
  }

  async change(change: SettingsChange): Promise<SettingsOutcome> {
    this.beforeChange?.()
    this.changesMade.push(change)
    return this.#put(applyEdits(this.#document, change.change), change)
  }

  async rollback(number: number, change: Omit<SettingsChange, 'change'>): Promise<SettingsOutcome> {
    return this.#put(this.#stored(number), change)
  }

  async list({ before = Number.POSITIVE_INFINITY, limit }: { before?: number; limit: number }) {
    return this.revisions
      .filter(({ number }) => number < before)
      .reverse()
      .slice(0, limit)
  }

  async show(number: number) {
    const document = maskDocument(this.#stored(number))
    return { number, at: 0, author: 'x', reason: undefined, checksum: 'x', changes: [], document }
  }

  async diff(from: number, to: number) {
    const [a, b] = [this.#stored(from), this.#stored(to)]
    const keys = new Set([...Object.keys(a), ...Object.keys(b)])
    return [...keys]
      .filter((key) => !isDeepStrictEqual(a[key], b[key]))
      .map((key) => ({ path: `/${key}`, kind: 'changed' as const }))
  }

  async export() {
    return JSON.stringify(maskDocument(this.#document))
  }

  #stored(number: number): SettingsDocument {
    const revision = this.revisions[number - 1]
    if (!revision)
      throw new HubError('resource.missing', `There is no revision ${number}.`, { cure: 'List them.' })
    return JSON.parse(revision.document)
  }

  #put(document: SettingsDocument, { ifMatch, dryRun, author, reason }: Omit<SettingsChange, 'change'>) {
    const number = this.revisions.length
    if (ifMatch !== undefined && ifMatch !== `"${number}"`)
      throw new HubError('settings.conflict', 'Somebody was faster.', { cure: 'Try again.' })
    interpretSettings(JSON.stringify(document), 'settings', {})
    if (!dryRun) {
      this.#document = document
      this.#append(author, reason)
    }
    const after = this.revisions.length
    return { number: after, etag: `"${after}"`, changes: [], warnings: [] }
  }

  #append(author: string, reason: string | undefined): void {
    const number = this.revisions.length + 1
    const document = JSON.stringify(this.#document)
    this.revisions.push({ number, at: 0, author, reason, checksum: 'x', changes: [], document })
  }
}

function applyEdits(document: SettingsDocument, edits: readonly SettingsEdit[]): SettingsDocument {
  const copy = structuredClone(document)
  for (const { path, value } of edits) {
    let at = copy as Record<string | number, unknown>
    for (const step of path.slice(0, -1)) {
      if (!Object.hasOwn(at, step)) at[step] = {}
      at = at[step] as Record<string | number, unknown>
    }
    const last = path.at(-1) ?? ''
    if (value !== undefined) at[last] = structuredClone(value)
    else if (Array.isArray(at)) at.splice(Number(last), 1)
    else delete at[last]
  }
  return copy
}

/** Secrets are the values of `env` and `headers`. */
function maskDocument(document: SettingsDocument): SettingsDocument {
  return eachSecret(document, () => MASK)
}

function eachSecret(
  document: SettingsDocument,
  replace: (value: unknown, path: string[]) => unknown,
): SettingsDocument {
  const copy = structuredClone(document) as { mcpServers?: Record<string, Record<string, unknown>> }
  for (const [name, config] of Object.entries(copy.mcpServers ?? {}))
    for (const part of ['env', 'headers']) {
      const secrets = config[part] as Record<string, unknown> | undefined
      for (const key of Object.keys(secrets ?? {}))
        if (secrets) secrets[key] = replace(secrets[key], [name, part, key])
    }
  return copy as SettingsDocument
}

function restoreDocument(edited: SettingsDocument, stored: SettingsDocument): SettingsDocument {
  return eachSecret(edited, (value, path) => {
    if (value !== MASK) return value
    const servers = stored['mcpServers'] as Record<string, Record<string, Record<string, unknown>>>
    const [name = '', part = '', key = ''] = path
    const kept = servers[name]?.[part]?.[key]
    if (kept === undefined) throw new HubError('settings.invalid', `Nothing is stored at ${path.join('.')}.`)
    return kept
  })
}

export interface ApiSetup {
  readonly settings?: SettingsDocument
  readonly hub?: Partial<HubInsight>
  readonly services?: Partial<Services>
  readonly routes?: readonly Route[]
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Record<string, unknown>
}

export interface Asking {
  /** A name of `HOLDERS`, or anything else for a credential that is not known. */
  readonly as?: string
  readonly headers?: Record<string, string>
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown
}

/** The API behind an HTTP server of its own, over ports in memory. */
export async function startApi(setup: ApiSetup = {}) {
  const settings = new FakeSettings(setup.settings ?? { mcpServers: {} })
  const access: Parameters<ActivityRecorder['access']>[0][] = []
  const audit: Parameters<ActivityRecorder['audit']>[0][] = []
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const parts = fakeServices(settings, setup.services)
  let uuids = 0
  const api = await createApi(
    {
      services: parts.services,
      hub: { ...fakeHub(settings, clock), ...setup.hub },
      recorder: { access: (record) => access.push(record), audit: (record) => audit.push(record) },
      clock,
      random: fixedRandom(0.5),
      log: logger,
      uuid: () => {
        uuids += 1
        return `uuid-${uuids}`
      },
      harmless: (text) => text,
    },
    ...(setup.routes ? [setup.routes] : []),
  )
  const server = createServer((request, response) => api.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...parts,
    api,
    url,
    settings,
    access,
    audit,
    clock,
    logged: lines,
    ask: (method: string, path: string, asking?: Asking) => ask(url, method, path, asking),
    async [Symbol.asyncDispose]() {
      await api.close()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

export type TestApi = Awaited<ReturnType<typeof startApi>>

function ask(url: string, method: string, path: string, asking: Asking = {}): Promise<ApiAnswer> {
  const { as, headers = {}, body } = asking
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const all: Record<string, string> = {
    ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
    ...(text === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text as string)) }),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}${path}`, { method, headers: all, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString()
        const json = /json/.test(response.headers['content-type'] ?? '') && answer !== ''
        const parsed =
          json && !/ndjson/.test(response.headers['content-type'] ?? '') ? JSON.parse(answer) : {}
        const status = response.statusCode ?? 0
        resolve({ status, headers: response.headers, text: answer, body: parsed })
      })
    })
    request.on('error', reject)
    request.end(text)
  })
}

export function fakeHub(settings: FakeSettings, clock: FakeClock): HubInsight {
  return {
    settings: () => interpretSettings(JSON.stringify(settings.document), 'settings', {}).settings,
    report: () => undefined,
    listing: () => undefined,
    freshness: () => 'unknown',
    complaints: () => [],
    monotonic: () => clock.monotonic(),
    stopping: () => false,
    now: () => clock.now(),
  }
}

/** Answers of every port, and what they were asked. */
function fakeServices(settings: FakeSettings, given: Partial<Services> = {}) {
  const asked: { port: string; with: unknown }[] = []
  const note = <T>(port: string, value: unknown, answer: T): T => {
    asked.push({ port, with: value })
    return answer
  }
  const users = new Map<string, UserView>([['admin', fakeUser('admin', 'admin')]])
  const keys = new Map<string, KeyView>()
  const lines: LogLine[] = [{ timestamp: 1, level: 'info', message: 'hello', server: undefined }]
  const services: Services = {
    auth: new FakeAuth(),
    settings,
    secrets: { mask: maskDocument, restore: restoreDocument },
    servers: {
      reload: async (server) => note('servers.reload', server, undefined),
      testConnect: async (config) =>
        note('servers.testConnect', config, {
          serverInfo: { name: 's', version: '1' },
          protocolVersion: 'x',
          tools: 1,
          prompts: 0,
          resources: 0,
          durationMs: 5,
        }),
    },
    tools: {
      call: async (identity, call) =>
        note('tools.call', { identity, call }, { content: [{ type: 'text', text: 'ok' }] }),
    },
    launch: {
      check: (config) => {
        if (config['command'] === 'sh')
          throw new HubError('server.launch-denied', 'Shells are not started.', { cure: 'Use npx.' })
      },
    },
    users: {
      list: async () => [...users.values()],
      find: async (username) => users.get(username),
      create: async ({ username, role, email, fullName }) => {
        if (users.has(username)) throw new HubError('user.exists', 'There is such a user.')
        const user = { ...fakeUser(username, role), email, fullName }
        users.set(username, user)
        return user
      },
      update: async (username, changes) => {
        const user = users.get(username)
        if (!user) throw new HubError('resource.missing', 'There is no such user.')
        const { password: _password, ...facts } = changes
        const next: UserView = { ...user, ...facts }
        users.set(username, next)
        return note('users.update', changes, next)
      },
      remove: async (username) => {
        if (!users.delete(username)) throw new HubError('resource.missing', 'There is no such user.')
      },
    },
    keys: {
      list: async () => [...keys.values()],
      create: async (input) => {
        const id = `key-${keys.size + 1}`
        const key: KeyView = { ...input, id, prefix: 'flk_abc', createdAt: 1, lastUsedAt: undefined }
        keys.set(id, key)
        return { key, token: 'flk_the-token' }
      },
      update: async (id, changes) => {
        const key = { ...keys.get(id), ...changes } as KeyView
        keys.set(id, key)
        return key
      },
      revoke: async (id) => {
        keys.delete(id)
      },
    },
    logins: {
      login: async ({ username, password }) => {
        if (password !== 'right') throw new HubError('access.login', 'Name or password is wrong.')
        return grantFor(username)
      },
      logout: async () => 'flotilla=; Max-Age=0',
      changePassword: async ({ username }, { current, next }) => {
        if (current !== 'right') throw new HubError('access.login', 'The password is wrong.')
        note('logins.changePassword', { username, next }, undefined)
      },
      setupPending: async () => true,
      completeSetup: async ({ token, username }) => {
        if (token !== 'setup') throw new HubError('access.unauthenticated', 'This is not the token.')
        return grantFor(username)
      },
    },
    activity: fakeActivity(note),
    logs: {
      recent: (limit, server) => note('logs.recent', { limit, server }, lines.slice(0, limit)),
      follow: (signal, server) => follow(signal, server),
      clear: () => note('logs.clear', undefined, undefined),
    },
    status: {
      storage: async () => ({ reachable: true, reason: undefined }),
      settings: () => ({ inForce: true, revision: 1, reason: undefined }),
      version: '0.0.0-test',
      node: 'node-1',
    },
    cluster: new FakeCluster(),
    ...given,
  }
  return { services, asked, users, keys }
}

async function* follow(signal: AbortSignal, server: string | undefined): AsyncGenerator<LogLine> {
  yield { timestamp: 2, level: 'warn', message: 'more', server }
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function grantFor(username: string) {
  return {
    username,
    role: username === 'admin' ? ('admin' as const) : ('user' as const),
    token: 'login-token',
    setCookie: 'flotilla=login-token; HttpOnly; Path=/; SameSite=Lax',
  }
}

function fakeUser(username: string, role: 'admin' | 'user'): UserView {
  return {
    username,
    role,
    status: 'active',
    email: undefined,
    fullName: undefined,
    origin: 'api',
    createdAt: 1,
    lastLoginAt: undefined,
  }
}

function fakeActivity(note: <T>(port: string, value: unknown, answer: T) => T): Services['activity'] {
  const usage = {
    id: 'u1',
    timestamp: 1,
    username: 'alice',
    keyId: undefined,
    server: 'time',
    tool: 'now',
    success: true,
    durationMs: 3,
    error: undefined,
    arguments: undefined,
    ip: undefined,
    userAgent: undefined,
    sessionId: undefined,
    node: 'n',
  }
  async function* rows(filter: Partial<ActivityFilter>): AsyncGenerator<string> {
    note('activity.export', filter, undefined)
    yield 'first\n'
    yield 'second\n'
  }
  return {
    usage: async (filter, page) =>
      note('activity.usage', { filter, page }, { items: [usage], nextCursor: 'next' }),
    access: async (filter, page) =>
      note('activity.access', { filter, page }, { items: [], nextCursor: undefined }),
    audit: async (filter, page) =>
      note('activity.audit', { filter, page }, { items: [], nextCursor: undefined }),
    aggregate: async (filter, by, limit) =>
      note('activity.aggregate', { filter, by, limit }, [
        { group: { server: 'time' }, calls: 2, errors: 1, averageMs: 3, maxMs: 4 },
      ]),
    exportUsage: (filter) => rows(filter),
    exportAccess: (filter) => rows(filter),
  }
}
