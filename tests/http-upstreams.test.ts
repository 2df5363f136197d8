import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { Agent } from 'undici'
import { describe, expect, test, vi } from 'vitest'
import { upstreamFactory } from '../src/compose/drivers.ts'
import type { HubError } from '../src/domain/errors.ts'
import { type Clock, systemClock } from '../src/kernel/clock.ts'
import type { RpcMessage } from '../src/mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../src/upstream/channel.ts'
import { SseChannel } from '../src/upstream/sse/sse-channel.ts'
import { Guardian } from '../src/upstream/stdio/guardian.ts'
import { HTTP_LIMITS, HttpChannel } from '../src/upstream/streamable-http/http-channel.ts'
import { serverSpec } from './fakes/domain.ts'
import { startReferenceServer } from './fixtures/reference-server/start.ts'
import { connectV1, makeV1, textOf } from './harness/clients.ts'
import { FakeClock } from './harness/fake-clock.ts'
import { type LogLine, startHub, type TestHub } from './harness/hub.ts'
import { recordingLogger } from './harness/recording-logger.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const quick = { backoff: { initialMs: 50, maxMs: 200, factor: 2, healthyAfterMs: 60_000 } }

async function statusOf(hub: { url: string }, server: string): Promise<Record<string, unknown>> {
  const { data } = (await (await fetch(`${hub.url}/api/servers/${server}`)).json()) as {
    data: Record<string, unknown>
  }
  return data
}

interface TestServer {
  readonly url: string
  readonly connections: ReadonlySet<Socket>
  [Symbol.asyncDispose](): Promise<void>
}

async function started(server: Server): Promise<TestServer> {
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A bare HTTP server of the test's own. */
function listen(handler: RequestListener): Promise<TestServer> {
  return started(createServer(handler))
}

/** A server that takes connections and says nothing. */
function listenMute(): Promise<TestServer> {
  return started(createTcpServer((socket) => void socket.on('error', () => undefined).resume()))
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** What was posted. */
  readonly message: Message | undefined
}

interface Message {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly arguments?: { readonly text?: string } }
}

/** An MCP server with one tool, `echo`, that answers in JSON; `special` comes first and may answer itself. */
function mcpServer(special: (exchange: Exchange) => void | Promise<void> = () => undefined): RequestListener {
  return async (request, response) => {
    const body = await text(request)
    const message = body === '' ? undefined : (JSON.parse(body) as Message)
    await special({ request, response, message })
    if (response.headersSent || response.destroyed) return
    if (!message) return void response.writeHead(405).end()
    if (message.id === undefined) return void response.writeHead(202).end()
    const results: Record<string, unknown> = {
      initialize: HELLO,
      'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
      'tools/call': { content: [{ type: 'text', text: message.params?.arguments?.text }] },
    }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: results[message.method] ?? {} }))
  }
}

const HELLO = {
  protocolVersion: '2025-06-18',
  capabilities: { tools: {} },
  serverInfo: { name: 'x', version: '1' },
}
const EVENTS = { 'content-type': 'text/event-stream' }
const CHANGED = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'

function openStream(response: ServerResponse, events: string): void {
  response.writeHead(200, EVENTS).write(events)
}

/** Begins an answer, and drops the connection once that is on its way. */
function cutOff(response: ServerResponse, type: string, beginning: string): void {
  response
    .writeHead(200, { 'content-type': type })
    .write(beginning, () => setImmediate(() => response.destroy()))
}

/** What `mcpServer` answers a POST with goes into `stream`, as the older transport has it. */
function intoStream(response: ServerResponse, stream: ServerResponse | undefined): ServerResponse {
  const end = response.end.bind(response)
  response.end = (body?: unknown) => {
    if (typeof body === 'string') stream?.write(`event: message\ndata: ${body}\n\n`)
    return end()
  }
  return response
}

function hubFor(url: string, parts: Record<string, unknown> = {}): Promise<TestHub> {
  return startHub({ mcpServers: { x: { type: 'streamable-http', url, ...parts } } }, { tuning: quick })
}

async function echo(client: Client, said: string): Promise<string> {
  return textOf(await client.callTool({ name: 'x-echo', arguments: { text: said } }))
}

/** Opens an upstream as the hub would. */
function openUpstream(
  transport: { kind: 'streamable-http' | 'sse'; url: string },
  { clock = systemClock, initTimeoutMs = 10_000 }: { clock?: Clock; initTimeoutMs?: number } = {},
) {
  const log = recordingLogger().logger
  const factory = upstreamFactory(serverSpec('x', { transport: { ...transport, headers: {} } }), {
    clock,
    log,
    guardian: new Guardian('test', log),
    mark: 'test',
    nextProcess: () => 1,
    environment: {},
    initTimeoutMs,
    harmless: (text) => text,
  })
  const identity = {
    protocolVersion: '2025-11-25',
    clientInfo: { name: 'x', version: '1' },
    capabilities: {},
  }
  const nobody = { opened: () => undefined, request: () => undefined, notification: () => undefined }
  const abort = new AbortController()
  const opening = factory.open(identity, nobody, abort.signal)
  opening.catch(() => undefined)
  return { opening, abort }
}

/** What a channel tells. */
function channelWatch() {
  const watch = { seen: [] as RpcMessage[], closed: undefined as HubError | undefined }
  const events: ChannelEvents = {
    message: (message) => watch.seen.push(message),
    failed: () => undefined,
    closed: (reason) => {
      watch.closed = reason
    },
  }
  return { watch, events }
}

function channelDeps(url: string) {
  const { logger, lines } = recordingLogger()
  const harmless = (text: string) => text
  const target = { server: 'x', url: new URL(url), headers: {}, dispatcher: new Agent(), harmless }
  return { lines, deps: { target, clock: systemClock, log: logger } }
}

/** A channel that has been through `initialize`, and is in a hurry. */
function openHttpChannel(url: string) {
  const { watch, events } = channelWatch()
  const { deps, lines } = channelDeps(url)
  const limits = { ...HTTP_LIMITS, retryMs: 5, maxFailures: 4, notifyMs: 100 }
  const channel = new HttpChannel(events, { ...deps, limits })
  channel.agreed('2025-06-18')
  channel.send({ bytes: Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}') })
  return open(channel, watch, lines)
}

async function openSseChannel(url: string) {
  const { watch, events } = channelWatch()
  const { deps, lines } = channelDeps(url)
  const limits = { maxMessageBytes: 1_000_000, notifyMs: 100 }
  const { signal } = new AbortController()
  return open(await SseChannel.open(events, signal, { ...deps, ...limits }), watch, lines)
}

function open(channel: Channel, watch: ReturnType<typeof channelWatch>['watch'], lines: readonly LogLine[]) {
  return {
    lines,
    seen: watch.seen,
    send: (message: Outgoing) => channel.send(message),
    get closed() {
      return watch.closed
    },
    [Symbol.asyncDispose]: () => channel.close(),
  }
}

describe('a server over streamable HTTP', () => {
  test('that is restarted is connected anew; a call that it never saw is sent again', async () => {
    const first = await startReferenceServer()
    const port = Number(new URL(first.url).port)
    await using hub = await startHub(
      { mcpServers: { r: { type: 'streamable-http', url: first.url } } },
      { tuning: quick },
    )
    const client = await connectV1(`${hub.url}/mcp`)
    await client.callTool({ name: 'r-test_simple_text' })
    await first.close()
    await until(
      'its loss is seen at once',
      async () => (await statusOf(hub, 'r'))['status'] !== 'connected',
      3_000,
    )
    const second = await startReferenceServer(port)
    expect(await client.callTool({ name: 'r-test_simple_text' })).toHaveProperty('content')
    await second.close()
  })

  test.each([
    [404, 'gone'],
    [400, '{"error":{"message":"Bad Request: No valid Session ID provided"}}'],
  ])(
    'that has forgotten the session is initialized anew, and the call goes through (%i)',
    async (status, text) => {
      let initialized = 0
      const sessions = new Set<string>()
      await using server = await listen(
        mcpServer(({ request, response, message }) => {
          if (message?.method === 'initialize') {
            initialized += 1
            sessions.add(`session-${initialized}`)
            response.setHeader('mcp-session-id', `session-${initialized}`)
          } else if (message && !sessions.has(String(request.headers['mcp-session-id']))) {
            response.writeHead(status).end(text)
          }
        }),
      )
      await using hub = await hubFor(server.url)
      const client = await connectV1(`${hub.url}/mcp`)
      expect(await echo(client, 'one')).toBe('one')
      sessions.clear()
      expect(await echo(client, 'two')).toBe('two')
      expect(initialized).toBe(2)
      sessions.clear()
      const words = Array.from({ length: 20 }, (_, n) => `all at once ${n}`)
      expect(await Promise.all(words.map((word) => echo(client, word)))).toEqual(words)
      expect(initialized).toBe(3)
    },
  )

  test('of the older transport that has forgotten the session is connected anew', async () => {
    const streams: ServerResponse[] = []
    let forgetful = false
    await using server = await listen(async (request, response) => {
      if (request.method === 'GET') {
        streams.push(response)
        forgetful = false
        return openStream(response, 'event: endpoint\ndata: /post\n\n')
      }
      if (forgetful) return void response.writeHead(404).end('no such session')
      await mcpServer()(request, intoStream(response, streams.at(-1)))
    })
    await using hub = await startHub(
      { mcpServers: { x: { type: 'sse', url: server.url } } },
      { tuning: quick },
    )
    const client = await connectV1(`${hub.url}/mcp`)
    expect(await echo(client, 'one')).toBe('one')
    forgetful = true
    expect(await echo(client, 'two')).toBe('two')
    expect(streams).toHaveLength(2)
  })

  test('that wants other credentials is named as such', async () => {
    await using server = await listen((_request, response) => response.writeHead(401).end('no entry'))
    await using hub = await startHub(
      { mcpServers: { x: { type: 'streamable-http', url: server.url } } },
      { tuning: quick },
    )
    // It is tried again all the time.
    const status = await until('it is seen between two tries', async () => {
      const seen = await statusOf(hub, 'x')
      return seen['status'] === 'disconnected' ? seen : undefined
    })
    expect(status).toMatchObject({
      error: expect.stringContaining('HTTP 401: no entry'),
      cure: expect.stringContaining('headers'),
    })
  })

  test('that answers nonsense fails the call and nothing else', async () => {
    await using server = await listen(
      mcpServer(({ response, message }) => {
        if (message && message.method !== 'initialize')
          response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
      }),
    )
    await using hub = await hubFor(server.url)
    const client = await connectV1(`${hub.url}/mcp/x`)
    await expect(client.callTool({ name: 'echo' })).rejects.toThrow(/without an answer/)
    expect(await statusOf(hub, 'x')).toMatchObject({ status: 'connected' })
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['before its answer', (response) => response.destroy()],
    ['in the middle of its answer', (response) => cutOff(response, 'application/json', '{"jsonrpc"')],
    ['in the middle of its stream', (response) => cutOff(response, 'text/event-stream', 'data: {"jsonrpc"')],
  ])('that drops a connection %s fails that call and no other', async (_when, drop) => {
    let initialized = 0
    const held = Promise.withResolvers<void>()
    await using server = await listen(
      mcpServer(async ({ response, message }) => {
        if (message?.method === 'initialize') initialized += 1
        if (message?.params?.arguments?.text === 'drop') drop(response)
        if (message?.params?.arguments?.text === 'slow') await held.promise
      }),
    )
    await using hub = await hubFor(server.url)
    const client = await connectV1(`${hub.url}/mcp`)
    const slow = echo(client, 'slow')
    await expect(echo(client, 'drop')).rejects.toMatchObject({
      message: expect.stringMatching(/broke its answer off midway|cannot be reached at/),
      data: { code: 'upstream.lost' },
    })
    held.resolve()
    expect(await slow).toBe('slow')
    expect(await echo(client, 'next')).toBe('next')
    expect(initialized).toBe(1)
  })

  test('gets no request before it has taken the initialized notification', async () => {
    const seen: string[] = []
    await using server = await listen(
      mcpServer(async ({ request, message }) => {
        seen.push(message?.method ?? String(request.method))
        if (message?.method !== 'notifications/initialized') return
        await new Promise((resolve) => setTimeout(resolve, 200))
        seen.push('ready')
      }),
    )
    await using hub = await hubFor(server.url)
    expect(await statusOf(hub, 'x')).toMatchObject({ status: 'connected' })
    await until('the stream is asked for', () => seen.includes('GET'))
    expect(seen.slice(0, 3)).toEqual(['initialize', 'notifications/initialized', 'ready'])
    expect(seen).toContain('tools/list')
  })

  test('that cannot be reached is named without the secrets of its URL', async () => {
    await using hub = await hubFor('http://u:hidden1@127.0.0.1:1/hidden2/mcp?key=hidden3')
    const status = await statusOf(hub, 'x')
    expect(status).toMatchObject({
      error: expect.stringContaining('cannot be reached at http://127.0.0.1:1: '),
    })
    expect(String(status['error'])).not.toContain('hidden')
  })
})

describe('a redirect', () => {
  test.each([307, 308])('of HTTP %i within the site is followed', async (status) => {
    const answer = mcpServer()
    await using server = await listen((request, response) => {
      if (request.url === '/mcp') return void response.writeHead(status, { location: '/real/mcp' }).end()
      answer(request, response)
    })
    await using hub = await hubFor(server.url)
    expect(await echo(await connectV1(`${hub.url}/mcp`), 'x')).toBe('x')
  })

  test('to another site is not followed: our headers are not for it', async () => {
    let asked = 0
    await using other = await listen((_request, response) => {
      asked += 1
      response.end()
    })
    const location = `${other.url}/secret`
    await using server = await listen((_request, response) => response.writeHead(307, { location }).end())
    await using hub = await hubFor(server.url, { headers: { authorization: 'Bearer x' } })
    const status = await statusOf(hub, 'x')
    expect(status).toMatchObject({
      error: expect.stringContaining(`HTTP 307, a redirect to ${new URL(location).origin} that`),
      cure: expect.stringContaining('final URL'),
    })
    expect(JSON.stringify(status)).not.toContain('secret')
    expect(asked).toBe(0)
  })

  test.each([
    ['that may change the method', 302, 1],
    ['in a circle', 307, 4],
  ])('%s is refused, and what to write instead is said', async (_what, code, requests) => {
    let asked = 0
    await using server = await listen((_request, response) => {
      asked += 1
      response.writeHead(code, { location: '/mcp' }).end()
    })
    await expect(openUpstream({ kind: 'streamable-http', url: server.url }).opening).rejects.toMatchObject({
      code: 'upstream.rejected',
      message: expect.stringContaining(`HTTP ${code}`),
      cure: expect.stringContaining('final URL'),
    })
    expect(asked).toBe(requests)
  })
})

describe('opening a connection', () => {
  test.each([
    ['sse', 'did not open a connection within 300 ms'],
    ['streamable-http', 'did not answer initialize within 300 ms'],
  ] as const)('to a server that stays mute is given up (%s)', async (kind, message) => {
    await using mute = await listenMute()
    const { opening } = openUpstream({ kind, url: mute.url }, { initTimeoutMs: 300 })
    await expect(opening).rejects.toMatchObject({
      code: 'upstream.timeout',
      message: expect.stringContaining(message),
      cure: expect.stringContaining('hang'),
    })
    await until('nothing stays open', () => mute.connections.size === 0, 1_000)
  })

  test.each(['sse', 'streamable-http'] as const)(
    'takes no more than 30 s, whatever a program may take (%s)',
    async (kind) => {
      await using mute = await listenMute()
      const clock = new FakeClock()
      const settled = vi.fn()
      const { opening } = openUpstream({ kind, url: mute.url }, { clock, initTimeoutMs: 300_000 })
      opening.catch(settled)
      await until('it is connected', () => mute.connections.size === 1)
      await clock.advance(29_999)
      expect(settled).not.toHaveBeenCalled()
      await clock.advance(1)
      await expect(opening).rejects.toMatchObject({ code: 'upstream.timeout' })
    },
  )

  test('that is no longer wanted is given up', async () => {
    await using mute = await listenMute()
    const { opening, abort } = openUpstream({ kind: 'sse', url: mute.url })
    await until('it is connected', () => mute.connections.size === 1)
    abort.abort()
    await expect(opening).rejects.toMatchObject({ code: 'upstream.lost' })
    await until('nothing stays open', () => mute.connections.size === 0, 1_000)
  })

  test.each<[string, RequestListener, string]>([
    [
      'names an endpoint elsewhere',
      (_, response) => openStream(response, 'event: endpoint\ndata: http://else/\n\n'),
      'upstream.invalid',
    ],
    ['refuses', (_, response) => response.writeHead(403).end('no'), 'upstream.rejected'],
    ['ends its stream at once', (_, response) => response.writeHead(200, EVENTS).end(), 'upstream.lost'],
  ])('to an SSE server that %s leaves nothing behind', async (_what, handler, code) => {
    await using server = await listen(handler)
    const { opening } = openUpstream({ kind: 'sse', url: server.url })
    await expect(opening).rejects.toMatchObject({ code })
    await until('nothing stays open', () => server.connections.size === 0, 1_000)
  })
})

describe('the stream of a server', () => {
  test('that is refused for a while is tried again, and the connection stays', async () => {
    const answers = [200, 503, 409, 429, 200]
    await using server = await listen((request, response) => {
      if (request.method !== 'GET') return void response.writeHead(202).end()
      const status = answers.shift() ?? 200
      if (status !== 200) return void response.writeHead(status).end()
      openStream(response, `retry: 5\n${CHANGED}`)
      if (answers.length > 0) response.end()
    })
    await using channel = openHttpChannel(server.url)
    await until('it is back', () => channel.seen.length === 2)
    expect([answers, channel.closed]).toEqual([[], undefined])
  })

  test('that a server does not offer is asked for once', async () => {
    let asked = 0
    await using server = await listen((request, response) => {
      if (request.method === 'GET') asked += 1
      response.writeHead(request.method === 'GET' ? 404 : 202).end()
    })
    await using channel = openHttpChannel(server.url)
    await until('it is known', () =>
      channel.lines.some(({ message }) => message.includes('offers no stream')),
    )
    expect([asked, channel.closed]).toEqual([1, undefined])
  })

  test('that does not come back is given up, and the connection stays', async () => {
    let asked = 0
    await using server = await listen((request, response) => {
      if (request.method !== 'GET') return void response.writeHead(202).end()
      asked += 1
      response.writeHead(503).end()
    })
    await using channel = openHttpChannel(server.url)
    await until('it is said', () => channel.lines.some(({ level }) => level === 'warn'))
    expect([asked, channel.closed]).toEqual([4, undefined])
  })

  test('shows at once when the server is dead', async () => {
    const server = await listen((request, response) => {
      if (request.method === 'GET') openStream(response, CHANGED)
      else response.writeHead(202).end()
    })
    await using channel = openHttpChannel(server.url)
    await until('it is open', () => channel.seen.length === 1)
    await server[Symbol.asyncDispose]()
    await until('it has ended', () => channel.closed)
    expect(channel.closed).toMatchObject({ code: 'upstream.lost', data: { accepted: false } })
  })
})

test.each(['streamable-http', 'sse'] as const)(
  'a message that %s servers never accept is given up',
  async (kind) => {
    const dropped: string[] = []
    await using server = await listen((request, response) => {
      if (request.method === 'GET' && kind === 'sse')
        return openStream(response, 'event: endpoint\ndata: /post\n\n')
      if (request.method !== 'POST') return void response.writeHead(405).end()
      response.once('close', () => dropped.push(kind))
    })
    await using channel = kind === 'sse' ? await openSseChannel(server.url) : openHttpChannel(server.url)
    channel.send({ bytes: Buffer.from('{"jsonrpc":"2.0","method":"notifications/x"}') })
    await until('it is given up', () => dropped.length > 0, 3_000)
    expect(channel.closed).toBeUndefined()
  },
)

describe('a hub behind a hub', () => {
  test.each(['streamable-http', 'sse', 'auto'] as const)('relays everything over %s', async (type) => {
    await using inner = await startHub({ mcpServers: { s: fixture('honest') } })
    const url = type === 'streamable-http' ? `${inner.url}/mcp/s` : `${inner.url}/sse/s`
    await using outer = await startHub(
      { mcpServers: { far: type === 'auto' ? { url } : { type, url } } },
      { tuning: quick },
    )
    const client = makeV1({ name: 'ann', capabilities: { elicitation: {} } })
    client.setRequestHandler(ElicitRequestSchema, async () => ({
      action: 'accept',
      content: { name: 'ann' },
    }))
    await client.connect(new StreamableHTTPClientTransport(new URL(`${outer.url}/mcp`)) as never)
    expect(
      textOf(await client.callTool({ name: 'far-echo', arguments: { text: 'x'.repeat(300_000) } })),
    ).toHaveLength(300_000)
    expect(textOf(await client.callTool({ name: 'far-ask', arguments: { message: 'who?' } }))).toContain(
      'ann',
    )
    const progress: number[] = []
    await client.callTool({ name: 'far-progress', arguments: { steps: 5 } }, undefined, {
      onprogress: (step) => progress.push(step.progress),
    })
    expect(progress).toEqual([1, 2, 3, 4, 5])
    await client.callTool({ name: 'far-grow', arguments: { name: 'fresh' } })
    await until('the new tool is seen', async () =>
      (await client.listTools()).tools.some(({ name }) => name === 'far-fresh'),
    )
    const abort = new AbortController()
    const call = client.callTool({ name: 'far-wait', arguments: { ms: 20_000 } }, undefined, {
      signal: abort.signal,
    })
    setTimeout(() => abort.abort('enough'), 100)
    await expect(call).rejects.toThrow('enough')
    await until(
      'the server has heard of it',
      async () => textOf(await client.callTool({ name: 'far-cancelled' })) !== '[]',
    )
  })
})
