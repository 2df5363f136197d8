import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test } from 'vitest'
import { startReferenceServer } from './fixtures/reference-server/start.ts'
import { connectV1, makeV1, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const quick = { backoff: { initialMs: 50, maxMs: 200, factor: 2, healthyAfterMs: 60_000 } }

async function statusOf(hub: { url: string }, server: string): Promise<Record<string, unknown>> {
  const { data } = (await (await fetch(`${hub.url}/api/servers/${server}`)).json()) as {
    data: Record<string, unknown>
  }
  return data
}

/** A bare HTTP server of the test's own. */
async function listen(
  handler: RequestListener,
): Promise<{ url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
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

  test('that has forgotten the session is initialized anew, and the call goes through', async () => {
    let initialized = 0
    const sessions = new Set<string>()
    await using server = await listen((request, response) => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        const message = JSON.parse(body) as {
          id?: number
          method: string
          params: { arguments?: { text: string } }
        }
        const session = String(request.headers['mcp-session-id'])
        if (message.method !== 'initialize' && !sessions.has(session))
          return void response.writeHead(404).end('gone')
        if (message.id === undefined) return void response.writeHead(202).end()
        const headers: Record<string, string> = { 'content-type': 'application/json' }
        let result: unknown = { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }
        if (message.method === 'initialize') {
          initialized += 1
          sessions.add(`session-${initialized}`)
          headers['mcp-session-id'] = `session-${initialized}`
          result = {
            protocolVersion: '2025-06-18',
            capabilities: { tools: {} },
            serverInfo: { name: 'x', version: '1' },
          }
        } else if (message.method === 'tools/call')
          result = { content: [{ type: 'text', text: message.params.arguments?.text }] }
        response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      })
    })
    await using hub = await startHub(
      { mcpServers: { x: { type: 'http', url: server.url } } },
      { tuning: quick },
    )
    const client = await connectV1(`${hub.url}/mcp`)
    expect(textOf(await client.callTool({ name: 'x-echo', arguments: { text: 'one' } }))).toBe('one')
    sessions.clear()
    expect(textOf(await client.callTool({ name: 'x-echo', arguments: { text: 'two' } }))).toBe('two')
    expect(initialized).toBe(2)
  })

  test('that wants other credentials is named as such', async () => {
    await using server = await listen((_request, response) => response.writeHead(401).end('no entry'))
    await using hub = await startHub(
      { mcpServers: { x: { type: 'streamable-http', url: server.url } } },
      { tuning: quick },
    )
    expect(await statusOf(hub, 'x')).toMatchObject({
      status: 'disconnected',
      error: expect.stringContaining('HTTP 401: no entry'),
      cure: expect.stringContaining('headers'),
    })
  })

  test('that answers nonsense fails the call and nothing else', async () => {
    await using server = await listen((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        if (request.method !== 'POST') return void response.writeHead(405).end()
        const message = JSON.parse(body) as { id?: number; method: string }
        if (message.method !== 'initialize')
          return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
        const result = {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {} },
          serverInfo: { name: 'x', version: '1' },
        }
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      })
    })
    await using hub = await startHub(
      { mcpServers: { x: { type: 'streamable-http', url: server.url } } },
      { tuning: quick },
    )
    const client = await connectV1(`${hub.url}/mcp/x`)
    await expect(client.callTool({ name: 'echo' })).rejects.toThrow(/without an answer/)
    expect(await statusOf(hub, 'x')).toMatchObject({ status: 'connected' })
  })
})

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
