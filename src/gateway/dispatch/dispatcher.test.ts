import { describe, expect, test } from 'vitest'
import { group, hubSettings, listing, overrides, serverSpec } from '../../../tests/fakes/domain.ts'
import { principal, someScope } from '../../../tests/fakes/principals.ts'
import { FakeReply, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { KeyLimits } from '../../access/key-limits.ts'
import { ALL, type EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import { ANONYMOUS, type Principal } from '../../domain/principal.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { parseMessage } from '../../mcp/json-rpc.ts'
import type { UsageEntry } from '../../observability/activity/record-maker.ts'
import { Catalogs } from '../catalog/catalogs.ts'
import type { Listing } from '../catalog/listing.ts'
import { Asks } from './asks.ts'
import type { CallLog } from './call-log.ts'
import { Dispatcher } from './dispatcher.ts'
import { Relay } from './relay.ts'
import { SharedState } from './shared-state.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

const SPECS = [
  serverSpec('a', { overrides: overrides({ tools: { hidden: { enabled: false } } }) }),
  serverSpec('b'),
  serverSpec('own', { isolation: 'session' }),
]
const CAPABILITIES = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} }
const LEFT: Record<string, Listing> = {
  a: listing({
    capabilities: CAPABILITIES,
    tools: ['x', 'hidden'],
    prompts: ['p'],
    resources: ['a://1'],
    templates: ['a://t/{n}'],
  }),
  b: listing({ capabilities: { tools: {} }, tools: ['x'] }),
  own: listing({ tools: ['y'] }),
}

interface Setup {
  readonly left?: Record<string, Listing>
  readonly endpoint?: EndpointName
  readonly specs?: readonly ServerSpec[]
  readonly principal?: Principal
}

async function make({ left = LEFT, endpoint = ALL, specs = SPECS, principal = ANONYMOUS }: Setup = {}) {
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const settings = hubSettings(specs, { groups: [group('g', 'a', 'b')] })
  const catalogs = new Catalogs(settings, {
    store: { load: async (spec) => left[spec.name], save: () => undefined },
    clock,
    log: logger,
    tasks: new TaskGroup(logger),
    onChange: () => undefined,
    onRead: () => undefined,
    firstLookMs: 5_000,
  })
  await catalogs.apply(settings)
  const upstreams = new Map(specs.map(({ name }) => [name, new FakeUpstream()]))
  const server = (name: string) => {
    const found = upstreams.get(name)
    if (!found) throw new Error(`There is no server ${name}.`)
    return found
  }
  const servers = {
    upstream: server,
    openUpstream: server,
    sharedUpstreams: (name: string) => [server(name)],
    release: () => undefined,
  }
  const traffic = new Traffic(clock)
  const turns = new Turns(traffic, clock)
  const shared = new SharedState()
  const asks = new Asks({ traffic, turns, clock, log: logger })
  const relay = new Relay({
    servers,
    traffic,
    turns,
    shared,
    log: logger,
    spec: (name) => settings.servers.get(name),
    listing: (name) => catalogs.listing(name),
  })
  const finished: UsageEntry[] = []
  const calls: CallLog = { keepsArguments: () => false, finished: (call) => finished.push(call) }
  const dispatcher = new Dispatcher({ catalogs, servers, relay, asks, shared, calls, clock, log: logger })
  const session = makeSession('alice', { endpoint, principal })
  let lastId = 0
  const request = (method: string, params?: object, id: string | number = ++lastId, of = session) => {
    const reply = new FakeReply()
    const message = parseMessage(
      Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, ...(params && { params }) })),
    )
    if (message.kind !== 'request') throw new Error('It is no request.')
    dispatcher.request(of, message, reply)
    return reply
  }
  const notify = (method: string, params?: object) => {
    const message = parseMessage(
      Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, ...(params && { params }) })),
    )
    if (message.kind !== 'notification') throw new Error('It is no notification.')
    dispatcher.notification(session, message)
  }
  return { catalogs, clock, lines, server, shared, session, request, notify, finished }
}

function result(reply: FakeReply): unknown {
  return (reply.parsed as { result?: unknown }).result
}

function code(reply: FakeReply): unknown {
  return (reply.parsed as { error?: { data?: { code?: string } } }).error?.data?.code
}

/** What a server was asked, as [method, params]. */
function asked(upstream: FakeUpstream): [string, unknown][] {
  return upstream.calls.map(({ call, params }) => [call.method, params])
}

const named = (name: string): EndpointName => ({ kind: 'named', name })

describe('what the hub answers by itself', () => {
  test('a ping', async () => {
    const { request } = await make()
    expect(request('ping').parsed).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
  })

  test('lists of endpoints, each in one page', async () => {
    const { request } = await make()
    expect(result(request('tools/list'))).toMatchObject({
      tools: [{ name: 'a-x' }, { name: 'b-x' }, { name: 'own-y' }],
    })
    expect(result(request('prompts/list'))).toMatchObject({ prompts: [{ name: 'a-p' }] })
    expect(result(request('resources/list'))).toMatchObject({ resources: [{ uri: 'a://1' }] })
    expect(result(request('resources/templates/list'))).toMatchObject({
      resourceTemplates: [{ uriTemplate: 'a://t/{n}' }],
    })
    expect(code(request('tools/list', { cursor: 'next' }))).toBe('request.invalid-params')
  })

  test('lists once the servers have shown theirs, or after a while', async () => {
    const { request, clock } = await make({ left: { a: LEFT['a'] ?? listing() } })
    const reply = request('tools/list')
    await clock.advance(4_999)
    expect(reply.answers).toEqual([])
    await clock.advance(1)
    expect(result(reply)).toMatchObject({ tools: [{ name: 'a-x' }] })
  })

  test('a level for log messages: each server that logs is told if that changes what it must send', async () => {
    const { request, session, server, shared } = await make()
    expect(result(request('logging/setLevel', { level: 'info' }))).toEqual({})
    await settle()
    expect(session.logLevel).toBe('info')
    expect([asked(server('a')), asked(server('b'))]).toEqual([[['logging/setLevel', { level: 'info' }]], []])
    expect(asked(server('own'))).toEqual([['logging/setLevel', { level: 'info' }]])
    request('logging/setLevel', { level: 'info' })
    await settle()
    expect(server('a').calls).toHaveLength(1)
    expect(shared.level('a')).toBe('info')
    expect(code(request('logging/setLevel', { level: 'loud' }))).toBe('request.invalid-params')
  })
})

describe('what goes to a server', () => {
  test('a tool call, by the exposed name, to its server and under its own name', async () => {
    const { request, server } = await make()
    const reply = request('tools/call', { name: 'a-x', arguments: { n: 1 } })
    expect(asked(server('a'))).toEqual([['tools/call', { name: 'x', arguments: { n: 1 } }]])
    server('a').lastCall.succeed({ content: [] })
    await settle()
    expect(result(reply)).toEqual({ content: [] })
  })

  test('a prompt, a resource and a completion', async () => {
    const { request, server } = await make()
    request('prompts/get', { name: 'a-p' })
    request('resources/read', { uri: 'a://1' })
    request('resources/read', { uri: 'a://t/7' })
    request('completion/complete', { ref: { type: 'ref/prompt', name: 'a-p' }, argument: {} })
    request('completion/complete', { ref: { type: 'ref/resource', uri: 'a://t/{n}' }, argument: {} })
    expect(asked(server('a'))).toEqual([
      ['prompts/get', { name: 'p' }],
      ['resources/read', { uri: 'a://1' }],
      ['resources/read', { uri: 'a://t/7' }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: {} }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'a://t/{n}' }, argument: {} }],
    ])
  })

  test.each([
    ['tools/call', {}, 'request.invalid-params'],
    ['tools/call', undefined, 'request.invalid-params'],
    ['tools/call', { name: 7 }, 'request.invalid-params'],
    ['tools/call', { name: 'x' }, 'tool.unknown'],
    ['tools/call', { name: 'a-hidden' }, 'tool.unknown'],
    ['tools/call', { name: 'constructor' }, 'tool.unknown'],
    ['prompts/get', { name: 'a-x' }, 'prompt.unknown'],
    ['resources/read', {}, 'request.invalid-params'],
    ['resources/read', { uri: 'z://1' }, 'resource.unknown'],
    ['resources/subscribe', { uri: 'z://1' }, 'resource.unknown'],
    ['completion/complete', {}, 'request.invalid-params'],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'nope' } }, 'request.invalid-params'],
    ['vendor/method', {}, 'request.unknown-method'],
    ['initialize', {}, 'request.invalid'],
  ])('not %s %j: %s', async (method, params, expected) => {
    const { request, session } = await make()
    expect(code(request(method, params))).toBe(expected)
    expect(session.busy).toBe(false)
  })

  test('a request with an id that is still under way is refused; the first goes on', async () => {
    const { request, server } = await make()
    const first = request('tools/call', { name: 'a-x' }, 'same')
    expect(code(request('tools/call', { name: 'a-x' }, 'same'))).toBe('request.invalid')
    expect(code(request('ping', undefined, 'same'))).toBe('request.invalid')
    server('a').lastCall.succeed({})
    await settle()
    expect(result(first)).toEqual({})
    request('tools/call', { name: 'a-x' }, 'same')
    expect(server('a').calls).toHaveLength(2)
  })

  test('a call of a tool that is not known yet, once its server has shown its lists', async () => {
    const { request, server, catalogs } = await make({ left: {} })
    const reply = request('tools/call', { name: 'b-new' })
    const unknown = request('tools/call', { name: 'b-nope' })
    const upstream = server('b')
    upstream.onRequest = (call) => {
      if (call.call.method === 'tools/list') call.succeed({ tools: [{ name: 'new' }] })
    }
    Object.assign(upstream.hello.capabilities, { tools: {} })
    for (const name of ['a', 'own']) catalogs.serverDown(name)
    catalogs.serverUp('b', upstream)
    await settle()
    expect(asked(upstream).at(-1)).toEqual(['tools/call', { name: 'new' }])
    expect([reply.answers, code(unknown)]).toEqual([[], 'tool.unknown'])
  })

  test('no call that was cancelled while its tool was still looked for', async () => {
    const { request, notify, server, catalogs } = await make({ left: {} })
    request('tools/call', { name: 'b-new' }, 'one')
    notify('notifications/cancelled', { requestId: 'one' })
    const upstream = server('b')
    upstream.onRequest = (call) => {
      if (call.call.method === 'tools/list') call.succeed({ tools: [{ name: 'new' }] })
    }
    Object.assign(upstream.hello.capabilities, { tools: {} })
    for (const name of ['a', 'own']) catalogs.serverDown(name)
    catalogs.serverUp('b', upstream)
    await settle()
    expect(asked(upstream).map(([method]) => method)).toEqual(['tools/list'])
  })

  test('nothing for a session whose endpoint is gone', async () => {
    const { request } = await make({ endpoint: named('nope') })
    expect(code(request('tools/list'))).toBe('endpoint.unknown')
    expect(result(request('ping'))).toEqual({})
  })
})

describe('the endpoint of one server', () => {
  test('takes its own names, also such that it does not list; disabled ones it refuses', async () => {
    const { request, server } = await make({ endpoint: named('a') })
    request('tools/call', { name: 'x' })
    request('tools/call', { name: 'secret-feature' })
    expect(asked(server('a')).map(([, params]) => params)).toEqual([
      { name: 'x' },
      { name: 'secret-feature' },
    ])
    expect(code(request('tools/call', { name: 'hidden' }))).toBe('tool.unknown')
  })

  test('reads what it does not list, but not what the operator has disabled', async () => {
    const spec = serverSpec('a', { overrides: overrides({ resources: { 'a://1': { enabled: false } } }) })
    const { request, server } = await make({ endpoint: named('a'), specs: [spec] })
    request('resources/read', { uri: 'other://x' })
    expect(asked(server('a'))).toEqual([['resources/read', { uri: 'other://x' }]])
    expect(code(request('resources/read', { uri: 'a://1' }))).toBe('resource.unknown')
  })

  test('reads nothing that only a disabled template gives', async () => {
    // `ownerOfUri` hides it, and then `#uriTarget` passes on whatever is not disabled by its own URI.
    const spec = serverSpec('a', { overrides: overrides({ resources: { 'a://t/{n}': { enabled: false } } }) })
    const { request } = await make({ endpoint: named('a'), specs: [spec] })
    expect(code(request('resources/read', { uri: 'a://t/7' }))).toBe('resource.unknown')
  })

  test('passes on methods that the hub does not know, but tasks only where nobody shares the server', async () => {
    const { request, server } = await make({ endpoint: named('a') })
    request('vendor/method', { a: 1 })
    expect(code(request('tasks/list'))).toBe('request.unknown-method')
    expect(asked(server('a'))).toEqual([['vendor/method', { a: 1 }]])
    const own = await make({ endpoint: named('own') })
    own.request('tasks/list')
    expect(asked(own.server('own'))).toEqual([['tasks/list', undefined]])
  })

  test('passes everything on where each session has a server of its own, cursors too', async () => {
    const { request, server } = await make({ endpoint: named('own') })
    request('tools/list', { cursor: 'next' })
    request('logging/setLevel', { level: 'info' })
    expect(asked(server('own'))).toEqual([
      ['tools/list', { cursor: 'next' }],
      ['logging/setLevel', { level: 'info' }],
    ])
  })
})

describe('a key that opens single tools', () => {
  const narrow = principal('key:n', { scope: someScope({ tools: { a: ['x', 'unlisted'], own: ['y'] } }) })

  test.each(['a', 'own'])(
    'calls these at the endpoint of server %s, and nothing else there',
    async (name) => {
      const { request, server, notify } = await make({ endpoint: named(name), principal: narrow })
      const refused = [
        request('tools/call', { name: 'other' }),
        request('tools/call', { name: 'hidden' }),
        request('prompts/get', { name: 'p' }),
        request('prompts/get', { name: 'unlisted' }),
        request('resources/read', { uri: 'a://1' }),
        request('resources/read', { uri: 'a://t/7' }),
        request('resources/read', { uri: 'other://x' }),
        request('resources/subscribe', { uri: 'a://1' }),
        request('completion/complete', { ref: { type: 'ref/prompt', name: 'p' } }),
        request('completion/complete', { ref: { type: 'ref/resource', uri: 'a://t/{n}' } }),
        request('completion/complete'),
        request('vendor/method'),
        request('tasks/list'),
      ]
      for (const reply of refused) expect(code(reply)).toMatch(/unknown|invalid/)
      notify('notifications/vendor')
      await settle()
      expect([asked(server(name)), server(name).notified]).toEqual([[], []])
      const tool = name === 'a' ? 'unlisted' : 'y'
      request('tools/call', { name: tool })
      expect(asked(server(name))).toEqual([['tools/call', { name: tool }]])
    },
  )

  test('sees these only, in lists from the catalog and in lists from a server of its own', async () => {
    const shared = await make({ endpoint: named('a'), principal: narrow })
    expect(result(shared.request('tools/list'))).toEqual({ tools: [{ name: 'x' }], _meta: expect.anything() })
    for (const kind of ['prompts', 'resources', 'resources/templates'])
      expect(JSON.stringify(result(shared.request(`${kind}/list`)))).toMatch(/:\[\]/)
    const own = await make({ endpoint: named('own'), principal: narrow })
    const reply = own.request('tools/list')
    own.server('own').calls[0]?.succeed({ tools: [{ name: 'y' }, { name: 'z' }] })
    await settle()
    expect(result(reply)).toEqual({ tools: [{ name: 'y' }] })
  })

  test('reaches them in the endpoint over all servers, and no other', async () => {
    const { request, server } = await make({ principal: narrow })
    expect(JSON.stringify(result(request('tools/list')))).toMatch(/a-x.*own-y/)
    for (const name of ['a-unlisted', 'a-hidden', 'b-x', 'x'])
      expect(code(request('tools/call', { name }))).toBe('tool.unknown')
    request('tools/call', { name: 'a-x' })
    expect(asked(server('a'))).toEqual([['tools/call', { name: 'x' }]])
    expect(code(request('resources/read', { uri: 'a://1' }))).toBe('resource.unknown')
  })
})

describe('a server that its owner keeps to himself', () => {
  const specs = [serverSpec('a', { owner: 'alice', visibility: 'private' }), serverSpec('b')]
  const as = (viewer: string, endpoint = ALL) =>
    make({ specs, endpoint, principal: principal(`key:${viewer}`, { viewer }) })

  test('is not there for others: in no list, by no name, for no URI', async () => {
    const { request, server } = await as('bob')
    expect(JSON.stringify(result(request('tools/list')))).not.toContain('a-x')
    expect(code(request('tools/call', { name: 'a-x' }))).toBe('tool.unknown')
    expect(code(request('prompts/get', { name: 'a-p' }))).toBe('prompt.unknown')
    for (const method of ['resources/read', 'resources/subscribe'])
      for (const uri of ['a://1', 'a://t/7', 'a://2'])
        expect(code(request(method, { uri }))).toBe('resource.unknown')
    const ref = { type: 'ref/resource', uri: 'a://t/{n}' }
    expect(code(request('completion/complete', { ref }))).toBe('request.invalid-params')
    request('logging/setLevel', { level: 'debug' })
    expect(asked(server('a'))).toEqual([])
    expect(code((await as('bob', named('a'))).request('tools/call', { name: 'x' }))).toBe('endpoint.unknown')
  })

  test('is there for himself', async () => {
    const { request, server } = await as('alice')
    request('tools/call', { name: 'a-x' })
    request('resources/read', { uri: 'a://1' })
    expect(asked(server('a')).map(([method]) => method)).toEqual(['tools/call', 'resources/read'])
  })
})

describe('a key with a limit of requests at once', () => {
  const limited = async (maxConcurrent: number) => {
    const limits = new KeyLimits({ requestsPerMinute: undefined, maxConcurrent }, new FakeClock())
    return make({ principal: principal('key:l', { limits }) })
  }

  test('is refused what is too much, until one is answered, cancelled or has failed', async () => {
    const { request, server, notify } = await limited(2)
    const call = () => request('tools/call', { name: 'a-x' })
    const [first, second] = [call(), call()]
    expect(code(call())).toBe('access.rate-limited')
    expect(result(request('ping'))).toEqual({})
    server('a').calls[0]?.succeed({ content: [] })
    await settle()
    expect(first.answers).toHaveLength(1)
    const third = call()
    expect(code(call())).toBe('access.rate-limited')
    notify('notifications/cancelled', { requestId: 2 })
    expect(second.abandoned).toBe(true)
    const fourth = call()
    expect([third.answers, fourth.answers]).toEqual([[], []])
    expect(code(call())).toBe('access.rate-limited')
  })

  test('is not counted for what the hub answers or refuses by itself', async () => {
    const { request } = await limited(1)
    for (let round = 0; round < 3; round += 1) {
      expect(code(request('tools/call', { name: 'nope' }))).toBe('tool.unknown')
      expect(result(request('tools/list'))).toBeDefined()
      expect(code(request('vendor/method'))).toBe('request.unknown-method')
    }
  })
})

describe('subscriptions', () => {
  test('go to the server, and count from then on, so that nobody else ends them meanwhile', async () => {
    const { request, server, shared, session } = await make()
    request('resources/subscribe', { uri: 'a://1' })
    expect(asked(server('a'))).toEqual([['resources/subscribe', { uri: 'a://1' }]])
    expect([...shared.subscribers('a', 'a://1')]).toEqual([session])
    server('a').lastCall.succeed({})
    await settle()
    expect([...shared.subscribers('a', 'a://1')]).toEqual([session])
  })

  test('are not remembered when the server refuses, or the session has ended meanwhile', async () => {
    const { request, server, shared, session } = await make()
    request('resources/subscribe', { uri: 'a://1' })
    server('a').lastCall.refuse(-32_602, 'no')
    request('resources/subscribe', { uri: 'a://1' })
    session.ended = new HubError('session.unknown', 'Over.')
    server('a').lastCall.succeed({})
    await settle()
    expect([...shared.subscribers('a', 'a://1')]).toEqual([])
  })

  test('end at the server only when nobody else holds them', async () => {
    const { request, server, shared } = await make()
    shared.subscribe('a', 'a://1', makeSession('bob'))
    request('resources/subscribe', { uri: 'a://1' })
    server('a').lastCall.succeed({})
    await settle()
    expect(result(request('resources/unsubscribe', { uri: 'a://1' }))).toEqual({})
    expect(asked(server('a')).map(([method]) => method)).toEqual(['resources/subscribe'])
  })
})

describe('two sessions with one subscription', () => {
  test('do not end it for each other when one comes while the other goes', async () => {
    const { request, server, shared, session } = await make()
    const bob = makeSession('bob')
    shared.subscribe('a', 'a://1', bob)
    request('resources/subscribe', { uri: 'a://1' })
    request('resources/unsubscribe', { uri: 'a://1' }, 'bob', bob)
    server('a').calls[0]?.succeed({})
    await settle()
    expect([...shared.subscribers('a', 'a://1')]).toEqual([session])
    expect(asked(server('a')).at(-1)?.[0]).toBe('resources/subscribe')
  })
})

describe('notifications of a client', () => {
  test('cancel the call with that id, and no other', async () => {
    const { request, notify, server } = await make()
    request('tools/call', { name: 'a-x' }, 'one')
    request('tools/call', { name: 'a-x' }, 1)
    notify('notifications/cancelled', { requestId: 1, reason: 'enough' })
    notify('notifications/cancelled', { requestId: 'nope' })
    notify('notifications/cancelled', {})
    expect(server('a').calls.map(({ cancellations }) => cancellations)).toEqual([[], ['enough']])
  })

  test('that it is initialized concerns the hub only', async () => {
    const { notify, server } = await make()
    notify('notifications/initialized')
    await settle()
    expect(['a', 'b', 'own'].flatMap((name) => server(name).notified)).toEqual([])
  })

  test('of changed roots goes to the servers that its session has for itself', async () => {
    const { notify, server } = await make()
    notify('notifications/roots/list_changed')
    await settle()
    expect(['a', 'b', 'own'].map((name) => server(name).notified.length)).toEqual([0, 0, 1])
  })
})

describe('[R222] a tool call', () => {
  test('is noted once it is over, under the names of the server', async () => {
    const { request, server, finished } = await make()
    request('tools/call', { name: 'a-x', arguments: {} })
    expect(finished).toEqual([])
    server('a').lastCall.succeed({ content: [] })
    await settle()
    expect(finished).toMatchObject([{ server: 'a', tool: 'x', success: true, error: undefined }])
  })

  test('is noted when its server is down, and when the client does not want it any more', async () => {
    const { request, notify, server, finished } = await make()
    request('tools/call', { name: 'a-x' }, 1)
    notify('notifications/cancelled', { requestId: 1 })
    request('tools/call', { name: 'b-x' }, 2)
    server('b').lastCall.fail(new HubError('upstream.lost', 'The process ended.'))
    await settle()
    expect(finished).toMatchObject([
      { server: 'a', success: false, error: 'The client cancelled the call.' },
      { server: 'b', success: false, error: 'The process ended.' },
    ])
  })

  test('of a tool that no server has is not, and neither is anything else', async () => {
    const { request, server, finished } = await make()
    request('tools/call', { name: 'nobody' })
    request('tools/list')
    request('prompts/get', { name: 'a-p' })
    server('a').lastCall.succeed({ messages: [] })
    await settle()
    expect(finished).toEqual([])
  })
})

describe('a server that runs for a user', () => {
  const specs = [serverSpec('u', { isolation: 'user' })]
  const left = { u: listing({ capabilities: CAPABILITIES, tools: ['x'], resources: ['u://1'] }) }
  const setup = { specs, left, endpoint: named('u') }

  test('shows its lists itself: each user may see something else', async () => {
    const { request, server } = await make(setup)
    request('tools/list')
    expect(asked(server('u'))).toEqual([['tools/list', undefined]])
  })

  test('is told a level and subscriptions for all sessions of the user together', async () => {
    const { request, server, shared, session } = await make(setup)
    expect(result(request('logging/setLevel', { level: 'info' }))).toEqual({})
    expect(asked(server('u'))).toEqual([['logging/setLevel', { level: 'info' }]])
    shared.subscribe('u', 'u://1', makeSession('2', { principal: session.principal }))
    request('resources/subscribe', { uri: 'u://1' })
    expect(asked(server('u')).slice(1)).toEqual([['resources/subscribe', { uri: 'u://1' }]])
    expect(result(request('resources/unsubscribe', { uri: 'u://1' }))).toEqual({})
    expect(asked(server('u'))).toHaveLength(2)
  })

  test('has no tasks: it does not know to which session they belong', async () => {
    const { request } = await make(setup)
    expect(code(request('tasks/list'))).toBe('request.unknown-method')
  })
})
