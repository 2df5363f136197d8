import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type NameMappingProxy, startNameMappingProxy } from './name-mapping-proxy.ts'

type Handler = (req: IncomingMessage, res: ServerResponse, body: string) => void

let target: Server
let proxy: NameMappingProxy
let handle: Handler

beforeEach(async () => {
  target = createServer((req, res) => {
    text(req).then(
      (body) => handle(req, res, body),
      (error: unknown) => res.destroy(error instanceof Error ? error : undefined),
    )
  })
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  const address = target.address()
  const port = typeof address === 'object' ? address?.port : undefined
  proxy = await startNameMappingProxy({ target: `http://localhost:${port}/mcp`, prefix: 'ref-' })
})

afterEach(async () => {
  await proxy.close()
  target.close()
  target.closeAllConnections()
})

/** Sends a body and tells what the target got and what came back. */
async function exchange(body: string, reply: string, type = 'application/json'): Promise<[string, string]> {
  let received = ''
  handle = (_req, res, got) => {
    received = got
    res.writeHead(200, { 'content-type': type }).end(reply)
  }
  const response = await fetch(proxy.url, { method: 'POST', body })
  return [received, await response.text()]
}

describe('requests', () => {
  it.each([
    ['tools/call', { name: 'a', arguments: { name: 'a' } }, { name: 'ref-a', arguments: { name: 'a' } }],
    ['prompts/get', { name: 'a' }, { name: 'ref-a' }],
    [
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'a' }, argument: { name: 'x', value: 'a' } },
      { ref: { type: 'ref/prompt', name: 'ref-a' }, argument: { name: 'x', value: 'a' } },
    ],
  ])('%s gets the prefix', async (method, params, expected) => {
    const [received] = await exchange(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), '{}')
    expect(JSON.parse(received)).toEqual({ jsonrpc: '2.0', id: 1, method, params: expected })
  })

  it.each([
    '{ "method":"resources/read",  "params":{"uri":"test://a", "name":"a"} }',
    '{ "method":"completion/complete", "params":{"ref":{"type":"ref/resource","uri":"a"}} }',
    'not json',
    '[1, 2]',
    '',
  ])('%s keeps its bytes', async (body) => {
    expect((await exchange(body, '{}'))[0]).toBe(body)
  })
})

describe('responses', () => {
  const listed = { jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'ref-a' }, { name: 'other' }] } }
  const stripped = { jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'a' }, { name: 'other' }] } }

  it('lists lose the prefix in JSON', async () => {
    expect(JSON.parse((await exchange('{}', JSON.stringify(listed)))[1])).toEqual(stripped)
  })

  it('lists lose the prefix in SSE, and everything around them keeps its bytes', async () => {
    const before = ': hello\r\n\r\nid: 1\nretry: 200\ndata: \n\nevent: message\nid: 2\ndata: {"a" : 1}\n\n'
    const event = `event: message\nid: 3\ndata: ${JSON.stringify(listed)}\n\n`
    const [, answer] = await exchange('{}', `${before}${event}data: cut off`, 'text/event-stream')
    expect(answer).toBe(`${before}event: message\nid: 3\ndata: ${JSON.stringify(stripped)}\n\ndata: cut off`)
  })

  it('each event comes through before the next is sent', async () => {
    let stream: ServerResponse | undefined
    handle = (_req, res) => {
      stream = res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('data: first\n\n')
    }
    const response = await fetch(proxy.url)
    const events = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await events?.read())?.value).toBe('data: first\n\n')
    stream?.end('data: second\n\n')
    expect((await events?.read())?.value).toBe('data: second\n\n')
    expect((await events?.read())?.done).toBe(true)
  })
})

describe('the rest', () => {
  it('keeps Host, method, status and headers', async () => {
    handle = (req, res) => {
      res.writeHead(418, 'Teapot', {
        'mcp-session-id': 's',
        'x-host': req.headers.host,
        'x-method': req.method,
      })
      res.end()
    }
    const req = request(proxy.url, { method: 'DELETE', headers: { host: 'evil.example.com' } }).end()
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    expect([res.statusCode, res.statusMessage]).toEqual([418, 'Teapot'])
    expect(res.headers).toMatchObject({
      'mcp-session-id': 's',
      'x-host': 'evil.example.com',
      'x-method': 'DELETE',
    })
    await text(res)
  })

  it('ends the request to the target when the client goes', async () => {
    const gone = Promise.withResolvers<void>()
    handle = (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')
      res.once('close', () => gone.resolve())
    }
    const client = new AbortController()
    await fetch(proxy.url, { signal: client.signal })
    client.abort()
    await gone.promise
  })

  it('answers 502 when the target is gone', async () => {
    target.close()
    target.closeAllConnections()
    expect((await fetch(proxy.url)).status).toBe(502)
  })
})
