import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startHub, type TestHub } from './harness/hub.ts'
import { MCP_HEADERS, openSession, type RawAnswer, raw, rpc } from './harness/raw.ts'
import { fixture } from './harness/servers.ts'

let hub: TestHub
let mcp: string
let session: Record<string, string>

beforeAll(async () => {
  hub = await startHub({
    mcpServers: { s: fixture('honest') },
    systemConfig: { routing: { jsonBodyLimit: '64kb' } },
  })
  mcp = `${hub.url}/mcp`
  session = await openSession(mcp)
})
afterAll(() => hub[Symbol.asyncDispose]())

/** An error that a person can act on: a code, what happened, and what to do. */
function expectClear(answer: RawAnswer, status: number, code: number): void {
  expect({ status: answer.status, code: answer.json?.error?.code, body: answer.body }).toMatchObject({
    status,
    code,
  })
  expect(answer.json?.error?.message.length).toBeGreaterThan(20)
  expect(answer.json?.error?.data?.['code']).toMatch(/^[a-z]+\.[a-z-]+$/)
}

describe('each bad input has a clear answer', () => {
  const list = rpc(1, 'tools/list')

  test('unknown session: 404', async () => {
    expectClear(
      await raw(mcp, { headers: { ...session, 'mcp-session-id': 'nonsense' }, body: list }),
      404,
      -32001,
    )
    expectClear(
      await raw(mcp, { method: 'GET', headers: { ...session, 'mcp-session-id': 'nonsense' } }),
      404,
      -32001,
    )
    expectClear(
      await raw(mcp, { method: 'DELETE', headers: { ...session, 'mcp-session-id': 'nonsense' } }),
      404,
      -32001,
    )
  })
  test('ended session: 404 at once', async () => {
    const ended = await openSession(mcp)
    expect((await raw(mcp, { method: 'DELETE', headers: ended })).status).toBe(204)
    expectClear(await raw(mcp, { headers: ended, body: list }), 404, -32001)
  })
  test('no session: 400', async () => {
    expectClear(await raw(mcp, { headers: MCP_HEADERS, body: list }), 400, -32600)
  })
  test('a session at another endpoint: 404', async () => {
    expectClear(await raw(`${mcp}/s`, { headers: session, body: list }), 404, -32001)
  })
  test('another Host or Origin: 403', async () => {
    expectClear(
      await raw(mcp, { headers: { ...session, host: 'evil.example.com' }, body: list }),
      403,
      -32003,
    )
    expectClear(
      await raw(mcp, { headers: { ...session, origin: 'http://evil.example.com' }, body: list }),
      403,
      -32003,
    )
    expectClear(await raw(mcp, { headers: { ...session, origin: 'null' }, body: list }), 403, -32003)
    expect(
      (await raw(mcp, { headers: { ...session, origin: 'http://localhost:5173' }, body: list })).status,
    ).toBe(200)
  })
  test('wrong method: 405 with Allow', async () => {
    for (const method of ['PUT', 'PATCH', 'HEAD']) {
      const answer = await raw(mcp, { method, headers: session })
      expect(answer.status).toBe(405)
      expect(answer.headers.allow).toBe('POST, GET, DELETE')
    }
    expectClear(await raw(`${hub.url}/health`, { headers: session, body: list }), 405, -32600)
  })
  test('wrong media types: 415 and 406', async () => {
    expectClear(
      await raw(mcp, { headers: { ...session, 'content-type': 'text/plain' }, body: list }),
      415,
      -32600,
    )
    expectClear(
      await raw(mcp, { headers: { ...session, 'content-type': 'application/json-patch+json' }, body: list }),
      415,
      -32600,
    )
    expectClear(await raw(mcp, { headers: { ...session, accept: 'text/html' }, body: list }), 406, -32600)
    expectClear(
      await raw(mcp, { headers: { ...session, accept: 'application/json' }, body: list }),
      406,
      -32600,
    )
    expectClear(
      await raw(mcp, { method: 'GET', headers: { ...session, accept: 'application/json' } }),
      406,
      -32600,
    )
  })
  test('a body over the limit: 413, announced or not', async () => {
    const large = rpc(1, 'tools/call', { name: 's-echo', arguments: { text: 'x'.repeat(70_000) } })
    expectClear(await raw(mcp, { headers: session, body: large }), 413, -32600)
    expectClear(
      await raw(mcp, { headers: { ...session, 'transfer-encoding': 'chunked' }, body: large }),
      413,
      -32600,
    )
  })
  test('nonsense JSON: −32700', async () => {
    for (const body of ['', '{', 'nonsense', '{"jsonrpc":"2.0",}', '\u0000'])
      expectClear(await raw(mcp, { headers: session, body }), 400, -32700)
  })
  test('JSON that is no message: −32600', async () => {
    for (const body of [
      '5',
      'null',
      '"x"',
      '{}',
      '{"jsonrpc":"1.0","id":1,"method":"ping"}',
      '{"jsonrpc":"2.0","id":null,"method":"ping"}',
      '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
      '{"jsonrpc":"2.0","id":1,"method":5}',
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
      '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
      '[]',
    ])
      expectClear(await raw(mcp, { headers: session, body }), 400, -32600)
  })
  test('an unknown protocol revision: 400 that names the known ones', async () => {
    const answer = await raw(mcp, {
      headers: { ...session, 'mcp-protocol-version': '1999-01-01' },
      body: list,
    })
    expectClear(answer, 400, -32600)
    expect(answer.body).toContain('2025-11-25')
  })
  test('unknown endpoint and unknown path: 404', async () => {
    const initialize = rpc(0, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'x', version: '1' },
    })
    expectClear(await raw(`${mcp}/nobody`, { headers: MCP_HEADERS, body: initialize }), 404, -32600)
    expectClear(await raw(`${mcp}/%zz`, { headers: MCP_HEADERS, body: initialize }), 404, -32600)
    expectClear(await raw(`${hub.url}/nothing`, { headers: MCP_HEADERS, body: initialize }), 404, -32600)
    for (const name of ['__proto__', 'constructor', 'toString'])
      expectClear(await raw(`${mcp}/${name}`, { headers: MCP_HEADERS, body: initialize }), 404, -32600)
  })
  test('initialize without what it needs: −32602', async () => {
    for (const params of [
      undefined,
      {},
      { protocolVersion: 5 },
      { protocolVersion: '2025-11-25' },
      { protocolVersion: '2025-11-25', clientInfo: 'x' },
    ])
      expectClear(await raw(mcp, { headers: MCP_HEADERS, body: rpc(0, 'initialize', params) }), 400, -32602)
  })
  test('requests that make no sense in a session are answered as JSON-RPC errors', async () => {
    const cases: [string, unknown, number][] = [
      ['no/such/method', undefined, -32601],
      ['tools/call', undefined, -32602],
      ['tools/call', { name: 5 }, -32602],
      ['tools/call', { name: 'no-such-tool' }, -32602],
      ['tools/call', { name: '__proto__' }, -32602],
      ['prompts/get', { name: 'no-such-prompt' }, -32602],
      ['resources/read', {}, -32602],
      ['resources/read', { uri: 'no://such' }, -32002],
      ['completion/complete', {}, -32602],
      ['logging/setLevel', { level: 'shout' }, -32602],
      ['tools/list', { cursor: 'invented' }, -32602],
      ['initialize', {}, -32600],
    ]
    for (const [method, params, code] of cases)
      expectClear(await raw(mcp, { headers: session, body: rpc(1, method, params) }), 200, code)
  })
  test('batches: answered in 2025-03-26, refused since', async () => {
    const batch = `[${rpc(1, 'ping')},${rpc(2, 'ping')},{"jsonrpc":"2.0","method":"notifications/initialized"},7]`
    expectClear(await raw(mcp, { headers: session, body: batch }), 400, -32600)
    const older = await openSession(mcp, '2025-03-26')
    const answer = await raw(mcp, { headers: older, body: batch })
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject([
      { id: 1, result: {} },
      { id: 2, result: {} },
      { id: null, error: { code: -32600 } },
    ])
  })
  test('a member that stands twice where it matters is refused: parsers would disagree on which counts', async () => {
    const body =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s-echo","name":"s-pid","arguments":{}}}'
    expectClear(await raw(mcp, { headers: session, body }), 200, -32600)
  })
})

test('line breaks between the tokens of a request never become messages of their own', async () => {
  const smuggled =
    '{"jsonrpc":"2.0","id":4711,"method":"tools/call","params":{"name":"counter","arguments":{}}}'
  for (const arguments_ of [`\n${smuggled}\n`, `{\r\n "text"\n:\r"pretty"\n}`]) {
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s-echo","arguments":${arguments_}}}`
    const answer = await raw(mcp, { headers: session, body })
    expect(answer.json).toMatchObject({ id: 1, result: { content: [{ type: 'text' }] } })
  }
  const counted = await raw(mcp, { headers: session, body: rpc(2, 'tools/call', { name: 's-counter' }) })
  expect(counted.json).toMatchObject({ result: { content: [{ text: '1' }] } })
})

test('a broken message in a batch does not take the others with it', async () => {
  const older = await openSession(mcp, '2025-03-26')
  const broken =
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progressToken":2}}'
  const call = rpc(1, 'tools/call', { name: 's-wait', arguments: { ms: 350 } })
  const answer = await raw(mcp, { headers: older, body: `[${call},${broken}]` })
  expect(answer.body).toContain('waited 350 ms')
})

describe('numbers and text pass through as they are', () => {
  test('integers beyond 2^53, unusual floats, escapes and emoji', async () => {
    const text = '"\\u00e9 \\ud83d\\ude80 😀 \\" \\\\ \\n ’"'
    const body = `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{ "name" : "s-echo","arguments":{"text":${text},"big":12345678901234567890,"f":1.0}}}`
    const answer = await raw(mcp, { headers: session, body })
    expect(answer.json).toMatchObject({
      id: 'x',
      result: { content: [{ text: JSON.parse(text) as string }] },
    })
  })
})

describe('ten thousand random and mutated requests', () => {
  const method = fc.constantFrom(
    'ping',
    'initialize',
    'tools/list',
    'tools/call',
    'prompts/get',
    'resources/read',
    'completion/complete',
    'logging/setLevel',
    'resources/subscribe',
    'notifications/cancelled',
    'notifications/progress',
    'x',
  )
  const params = fc.option(
    fc.oneof(
      fc.record(
        {
          name: fc.oneof(fc.constantFrom('s-echo', 's-add', '__proto__'), fc.string()),
          arguments: fc.jsonValue(),
          _meta: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          uri: fc.oneof(fc.constant('honest://static/one'), fc.string()),
          cursor: fc.jsonValue(),
          level: fc.jsonValue(),
          ref: fc.jsonValue(),
          requestId: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    ),
    { nil: undefined },
  )
  const id = fc.option(fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.double()), {
    nil: undefined,
  })
  const message = fc.record(
    { jsonrpc: fc.constantFrom('2.0', '2.0', '2.0', '1.0'), id, method, params },
    { requiredKeys: ['jsonrpc'] },
  )
  const text = fc.oneof(
    message.map((value) => JSON.stringify(value)),
    fc.array(message, { maxLength: 4 }).map((value) => JSON.stringify(value)),
    fc.json(),
    fc.string(),
  )
  /** Valid text with some bytes exchanged, dropped or doubled. */
  const body = fc
    .tuple(
      text,
      fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'drop', 'double')), { maxLength: 3 }),
    )
    .map(([value, edits]) => {
      let bytes = Buffer.from(value)
      for (const [where, byte, how] of edits) {
        if (bytes.length === 0) continue
        const at = where % bytes.length
        if (how === 'set') bytes[at] = byte
        else if (how === 'drop') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
        else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at)])
      }
      return bytes
    })
  const request = fc.record({
    body,
    method: fc.constantFrom('POST', 'POST', 'POST', 'POST', 'POST', 'DELETE', 'PUT', 'OPTIONS'),
    path: fc.constantFrom(
      '/mcp',
      '/mcp',
      '/mcp',
      '/mcp/s',
      '/mcp/%',
      '/messages?sessionId=x',
      '/',
      '/api/servers/%',
    ),
    revision: fc.constantFrom('2025-11-25', '2025-03-26', 'x'),
    withSession: fc.boolean(),
    older: fc.boolean(),
  })

  test('never crash the hub, never hang, and always get an answer with a status and, if it is an error, a reason', async () => {
    const older = await openSession(mcp, '2025-03-26')
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 20, maxLength: 20 }), async (requests) => {
        const answers = await Promise.all(
          requests.map((each) => {
            const base = each.withSession ? (each.older ? older : session) : MCP_HEADERS
            // A DELETE would end the session that the other requests use.
            const headers = each.method === 'DELETE' ? { ...base, 'mcp-session-id': 'x' } : base
            return raw(`${hub.url}${each.path}`, {
              method: each.method,
              body: each.body,
              headers: { ...headers, 'mcp-protocol-version': each.revision },
            })
          }),
        )
        for (const answer of answers) {
          expect(answer.status).toBeLessThan(500)
          if (answer.status >= 400) expect(answer.body).toMatch(/"message":"[^"]{10,}/)
          expect(answer.body).not.toContain('inside the hub')
        }
      }),
      { numRuns: 500 },
    )
    expect((await raw(mcp, { headers: session, body: rpc('still there', 'ping') })).json).toEqual({
      jsonrpc: '2.0',
      id: 'still there',
      result: {},
    })
    expect(hub.logged.filter(({ level }) => level === 'error')).toEqual([])
  }, 120_000)
})
