import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { hubSettings, listing, serverSpec } from '../../tests/fakes/domain.ts'
import { FakeResponse } from '../../tests/fakes/response.ts'
import { FakeUpstream } from '../../tests/fakes/upstream.ts'
import { HubError } from '../domain/errors.ts'
import type { ReplicaState } from '../fleet/worker/replica-state.ts'
import { handleApi } from './api.ts'
import { type HubInsight, serverStatus } from './server-views.ts'

const SECRET = serverSpec('a/b', {
  description: 'Slashes.',
  transport: {
    kind: 'streamable-http',
    url: 'http://user:password@host/mcp?key=secret',
    headers: { Authorization: 'Bearer secret' },
  },
})
const SPECS = [
  serverSpec('time', {
    transport: {
      kind: 'stdio',
      command: 'x',
      args: ['--token=secret'],
      env: { K: 'secret' },
      cwd: undefined,
    },
  }),
  SECRET,
  serverSpec('off', { enabled: false }),
]

function hub(states: Record<string, ReplicaState> = {}, parts: Partial<HubInsight> = {}): HubInsight {
  return {
    settings: () => hubSettings(SPECS),
    report: (name) => {
      const spec = SPECS.find((each) => each.name === name)
      const state = states[name]
      return spec && state && { spec, state, sessionUpstreams: 2, stderr: ['last words'] }
    },
    listing: (name) => (name === 'time' ? listing({ tools: ['now'], resources: ['t:1'] }) : undefined),
    freshness: (name) => (name === 'time' ? 'fresh' : 'unknown'),
    complaints: () => ['odd'],
    monotonic: () => 5_000,
    stopping: () => false,
    now: () => 0,
    ...parts,
  }
}

function get(
  path: string,
  of = hub(),
): { status: number | undefined; body: Record<string, unknown>; response: FakeResponse } {
  const response = new FakeResponse()
  handleApi(of, { method: 'GET' } as IncomingMessage, response.asResponse, path)
  return { status: response.status, body: JSON.parse(response.body), response }
}

const running: ReplicaState = { kind: 'running', since: 2_000, upstream: new FakeUpstream() }
const failed: ReplicaState = {
  kind: 'failed',
  error: new HubError('server.unavailable', 'It cannot be started.', { cure: 'Install it.' }),
  failures: 3,
  retryAt: 6_500,
}

describe('the status of a server, in the words of MCPHub', () => {
  test.each<[ReplicaState | undefined, string]>([
    [running, 'connected'],
    [{ kind: 'asleep' }, 'idle'],
    [{ kind: 'pending' }, 'connecting'],
    [{ kind: 'starting', since: 0 }, 'connecting'],
    [failed, 'disconnected'],
    [{ kind: 'terminated' }, 'disconnected'],
    [undefined, 'disconnected'],
  ])('%#: %s', (state, status) => {
    expect(serverStatus(hub(state ? { time: state } : {}), serverSpec('time'))).toBe(status)
  })

  test('is disabled whatever it still does', () => {
    expect(serverStatus(hub({ off: running }), serverSpec('off', { enabled: false }))).toBe('disabled')
  })
})

describe('[R98] GET /api/servers', () => {
  test('lists all servers of the settings in an envelope', () => {
    const { status, body } = get('/api/servers')
    expect(status).toBe(200)
    expect(body).toMatchObject({ success: true, data: [{ name: 'time' }, { name: 'a/b' }, { name: 'off' }] })
  })

  test('shows no secrets: no arguments, variables, headers or URLs', () => {
    expect(JSON.stringify(get('/api/servers', hub({ time: running, 'a/b': failed })).body)).not.toMatch(
      /secret|password/,
    )
  })
})

describe('[R99] GET /api/servers/<name>', () => {
  test('shows a server that runs, with its lists', () => {
    expect(get('/api/servers/time', hub({ time: running })).body['data']).toEqual({
      name: 'time',
      status: 'connected',
      enabled: true,
      type: 'stdio',
      isolation: 'shared',
      sinceMs: 3_000,
      catalog: 'fresh',
      complaints: ['odd'],
      sessionUpstreams: 2,
      serverInfo: { name: 'test', version: '1.0.0' },
      protocolVersion: '2025-11-25',
      tools: [{ name: 'now' }],
      prompts: [],
      resources: [{ uri: 't:1' }],
      resourceTemplates: [],
      stderr: ['last words'],
    })
  })

  test('shows why a server is down and when it is tried again; names may be encoded', () => {
    expect(get('/api/servers/a%2Fb', hub({ 'a/b': failed })).body['data']).toMatchObject({
      name: 'a/b',
      description: 'Slashes.',
      status: 'disconnected',
      error: 'It cannot be started.',
      cure: 'Install it.',
      failures: 3,
      retryInMs: 1_500,
      tools: [],
    })
  })

  test.each([
    '/api/servers/nope',
    '/api/servers/%zz',
    '/api/servers/time/tools',
    '/api/nope',
    '/api',
    '/api/',
  ])('%s is answered with 404, a code and a cure', (path) => {
    const { status, body } = get(path)
    expect(status).toBe(404)
    expect(body).toMatchObject({ success: false, code: expect.any(String), cure: expect.any(String) })
  })
})

describe('[R59] GET /health', () => {
  test('is 200 while the hub serves, and says how many servers are there', () => {
    const { status, body, response } = get('/health', hub({ time: running }))
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'degraded', servers: { total: 2, connected: 1, disconnected: 1 } })
    expect(response.headers['Cache-Control']).toBe('no-store')
  })

  test('is 503 once the hub is stopping', () => {
    const { status, body } = get('/health', hub({ time: running }, { stopping: () => true }))
    expect([status, body['status']]).toEqual([503, 'stopping'])
  })

  test('names no server: it is open to everybody', () => {
    expect(JSON.stringify(get('/health').body)).not.toContain('time"')
  })
})
