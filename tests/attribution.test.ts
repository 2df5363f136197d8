import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { openSession, raw, rpc } from './harness/raw.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const question = (id: number, message: string, extra = '') =>
  `{"jsonrpc":"2.0","id":${id},"method":"elicitation/create","params":{"mode":"form","message":"${message}","requestedSchema":{"type":"object","properties":{}}${extra}}}`
const log = (data: string) =>
  `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"${data}"}}`
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function person(name: string, url: string, answer: () => Promise<unknown> = async () => undefined) {
  const client = new Client({ name, version: '1' }, { capabilities: { elicitation: {}, roots: {} } })
  const heard: string[] = []
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
    heard.push(params.message)
    await answer()
    return { action: 'accept', content: {} }
  })
  client.setRequestHandler(ListRootsRequestSchema, async () => {
    heard.push('roots')
    return { roots: [{ uri: `file:///${name}`, name }] }
  })
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(String(params.data))
  })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)) as never)
  const heardByServer = async (): Promise<string> => textOf(await client.callTool({ name: 'heard' }))
  return Object.assign(client, { heard, heardByServer })
}

describe('on a shared server', () => {
  test('a second question of a call that waits goes to no other client', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('scripted') } })
    const ann = await person('ann', `${hub.url}/mcp/s`, () => pause(1_500))
    const bob = await person('bob', `${hub.url}/mcp/s`)
    const annsCall = ann
      .callTool(
        { name: 'say', arguments: { lines: [question(1, 'first of ann')], answer: false } },
        undefined,
        { timeout: 4_000 },
      )
      .catch((error: Error) => error)
    await until('ann is asked', () => ann.heard.length === 1)
    // Not an askable client: it does not take turns, so that both calls are at work.
    const other = await connectV1(`${hub.url}/mcp/s`)
    const others = other.callTool(
      { name: 'say', arguments: { lines: [question(2, 'whose is it?')], answer: false } },
      undefined,
      { timeout: 3_000 },
    )
    await expect(others).rejects.toThrow()
    await annsCall
    expect(bob.heard).toEqual([])
    expect(ann.heard).toEqual(['first of ann'])
  })

  test('what a server says of a call that was cancelled reaches nobody else', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('scripted') } })
    const ann = await person('ann', `${hub.url}/mcp/s`)
    const bob = await person('bob', `${hub.url}/mcp/s`)
    await bob.setLoggingLevel('debug')
    const lines = [log('secret of ann'), question(7, 'secret question')]
    const abort = new AbortController()
    const call = ann.callTool({ name: 'say', arguments: { lines, answer: false, afterMs: 800 } }, undefined, {
      signal: abort.signal,
    })
    setTimeout(() => abort.abort('enough'), 200)
    await expect(call).rejects.toThrow('enough')
    const bobs = bob.callTool({ name: 'say', arguments: { lines: [], answer: false } }, undefined, {
      timeout: 1_500,
    })
    await expect(bobs).rejects.toThrow()
    expect(bob.heard).toEqual([])
  })

  test('a malformed question of a server is refused, and the hub goes on', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('scripted') } })
    const ann = await person('ann', `${hub.url}/mcp/s`)
    const twice = ',"_meta":{"progressToken":1},"_meta":{"progressToken":2}'
    await ann
      .callTool(
        { name: 'say', arguments: { lines: [question(9, 'broken', twice)], answer: false } },
        undefined,
        { timeout: 500 },
      )
      .catch(() => undefined)
    await until('the server is told', async () => (await ann.heardByServer()).includes('stands twice'))
    expect(hub.logged.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a question that the server withdraws no longer holds the time-out of its call', async () => {
    await using hub = await startHub({
      mcpServers: { s: { ...fixture('scripted'), options: { timeout: 3_000 } } },
    })
    const ann = await person('ann', `${hub.url}/mcp/s`, () => pause(20_000))
    const withdraw = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}'
    const call = ann.callTool({
      name: 'say',
      arguments: { lines: [question(3, 'q'), withdraw], answer: false },
    })
    await expect(call).rejects.toThrow(/did not answer tools\/call within 3000 ms/)
  })

  test('notifications and tasks of one client do not reach it', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('scripted') } })
    const headers = await openSession(`${hub.url}/mcp/s`)
    await raw(`${hub.url}/mcp/s`, { headers, body: '{"jsonrpc":"2.0","method":"notifications/evil"}' })
    const tasks = await raw(`${hub.url}/mcp/s`, { headers, body: rpc(1, 'tasks/list') })
    expect(tasks.json?.error).toMatchObject({ code: -32601 })
    const heard = await raw(`${hub.url}/mcp/s`, { headers, body: rpc(2, 'tools/call', { name: 'heard' }) })
    expect(heard.body).not.toMatch(/evil|tasks\/list/)
  })

  test('a log level that nobody wants any more is taken back', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('scripted') } })
    const one = await openSession(`${hub.url}/mcp/s`)
    const two = await openSession(`${hub.url}/mcp/s`)
    await raw(`${hub.url}/mcp/s`, { headers: one, body: rpc(1, 'logging/setLevel', { level: 'debug' }) })
    await raw(`${hub.url}/mcp/s`, { headers: two, body: rpc(1, 'logging/setLevel', { level: 'error' }) })
    await raw(`${hub.url}/mcp/s`, { method: 'DELETE', headers: one })
    await until('the server is told', async () => {
      const { body } = await raw(`${hub.url}/mcp/s`, {
        headers: two,
        body: rpc(2, 'tools/call', { name: 'heard' }),
      })
      return /setLevel.*debug.*setLevel.*error/.test(body)
    })
  })
})

describe('on a server of a session of its own', () => {
  test('roots are asked of the client as soon as it listens', async () => {
    const onInitialized = '{"jsonrpc":"2.0","id":"r","method":"roots/list"}'
    await using hub = await startHub({
      mcpServers: { s: { ...fixture('scripted', '--on-initialized', onInitialized), isolation: 'session' } },
    })
    const ann = await person('ann', `${hub.url}/mcp/s`)
    await until('ann is asked', () => ann.heard.includes('roots'))
    await until('the server has the answer', async () => (await ann.heardByServer()).includes('file:///ann'))
  })

  test('what it says after its session has ended reaches nobody', async () => {
    await using hub = await startHub({ mcpServers: { s: { ...fixture('scripted'), isolation: 'session' } } })
    const bob = await person('bob', `${hub.url}/mcp`)
    await bob.setLoggingLevel('debug')
    const headers = await openSession(`${hub.url}/mcp/s`)
    const say = rpc(1, 'tools/call', { name: 'say', arguments: { lines: [log('late')], afterMs: 300 } })
    await raw(`${hub.url}/mcp/s`, { headers, body: say })
    await raw(`${hub.url}/mcp/s`, { method: 'DELETE', headers })
    await pause(600)
    expect(bob.heard).toEqual([])
  })
})

describe('the end of a session', () => {
  test('gives its calls in flight an answer that says so', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const headers = await openSession(`${hub.url}/mcp`)
    const quick = raw(`${hub.url}/mcp`, {
      headers,
      body: rpc(1, 'tools/call', { name: 's-wait', arguments: { ms: 30_000 } }),
    })
    const streaming = raw(`${hub.url}/mcp`, {
      headers,
      body: rpc(2, 'tools/call', { name: 's-wait', arguments: { ms: 30_000 } }),
    })
    await pause(400)
    await raw(`${hub.url}/mcp`, { method: 'DELETE', headers })
    expect((await quick).body).toMatch(/"id":1,"error".*session/)
    expect((await streaming).body).toMatch(/"id":2,"error".*session/)
  })
})

describe('resources that are hidden', () => {
  test('by a group or an override cannot be read, subscribed to or guessed', async () => {
    await using hub = await startHub({
      mcpServers: { s: { ...fixture('scripted'), resources: { 'test://b': { enabled: false } } } },
      groups: [{ id: 'g', name: 'one', servers: [{ name: 's', resources: ['test://a'] }] }],
    })
    const read = async (path: string, uri: string, method = 'resources/read') => {
      const headers = await openSession(`${hub.url}${path}`)
      return (await raw(`${hub.url}${path}`, { headers, body: rpc(1, method, { uri }) })).json
    }
    expect(await read('/mcp/one', 'test://a')).toHaveProperty('result')
    for (const [path, uri] of [
      ['/mcp/one', 'test://b'],
      ['/mcp/one', 'test://zzz'],
      ['/mcp', 'test://b'],
      ['/mcp/s', 'test://b'],
    ] as const) {
      expect(await read(path, uri)).toMatchObject({ error: { code: -32002 } })
      expect(await read(path, uri, 'resources/subscribe')).toMatchObject({ error: { code: -32002 } })
    }
    expect(await read('/mcp', 'test://unlisted')).toHaveProperty('result')
  })
})
