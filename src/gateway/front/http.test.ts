import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { FakeResponse, fakeRequest } from '../../../tests/fakes/response.ts'
import { settle } from '../../../tests/harness/fake-clock.ts'
import { HubError } from '../../domain/errors.ts'
import { accepts, readBody, refuseConnection, sendError, sendJson } from './http.ts'

describe('what a client accepts', () => {
  test.each([
    [undefined, true],
    ['application/json', true],
    ['application/json, text/event-stream', true],
    ['text/event-stream,application/json;q=0.9', true],
    ['APPLICATION/JSON', true],
    ['application/json; charset=utf-8', true],
    ['*/*', true],
    ['application/*', true],
    ['text/html, */*;q=0.1', true],
    ['text/event-stream', false],
    ['text/*', false],
    ['application/jsonp', false],
    ['application/json-seq', false],
    ['x-application/json', false],
    ['application/vnd.api+json', false],
    ['json', false],
    ['', false],
  ])('with %j: JSON %s', (header, expected) => {
    expect(accepts(header, 'application/json')).toBe(expected)
  })

  test('is told for event streams in the same way', () => {
    expect(accepts('application/json, text/event-stream', 'text/event-stream')).toBe(true)
    expect(accepts('text/*', 'text/event-stream')).toBe(true)
    expect(accepts('application/json', 'text/event-stream')).toBe(false)
  })
})

describe('the body of a request', () => {
  test('is read whole, in however many pieces it comes', async () => {
    const { request, body } = fakeRequest()
    const reading = readBody(request, 100)
    for (const piece of ['{"a"', ':', '1}']) body.write(piece)
    body.end()
    expect((await reading).toString()).toBe('{"a":1}')
  })

  test('may be empty', async () => {
    const { request, body } = fakeRequest()
    const reading = readBody(request, 100)
    body.end()
    expect(await reading).toHaveLength(0)
  })

  test('may be as large as the limit, and not one byte larger', async () => {
    const fits = fakeRequest()
    const reading = readBody(fits.request, 5)
    fits.body.end('12345')
    expect((await reading).toString()).toBe('12345')
    const larger = fakeRequest()
    const refused = expect(readBody(larger.request, 5)).rejects.toMatchObject({
      code: 'request.too-large',
      data: { limit: 5 },
    })
    larger.body.write('123')
    larger.body.end('456')
    await refused
  })

  test('that announces too much is refused before it is read', async () => {
    const { request, body } = fakeRequest({ 'content-length': '101' })
    await expect(readBody(request, 100)).rejects.toMatchObject({ code: 'request.too-large' })
    expect(body.listenerCount('data')).toBe(0)
    const fits = fakeRequest({ 'content-length': '3' })
    const reading = readBody(fits.request, 3)
    fits.body.end('abc')
    expect((await reading).toString()).toBe('abc')
  })

  test('that breaks off is no body', async () => {
    const { request, body } = fakeRequest()
    const reading = expect(readBody(request, 100)).rejects.toMatchObject({
      code: 'client.gone',
      cause: { message: 'aborted' },
    })
    body.write('{"a')
    // As node:http does when the connection is lost.
    body.destroy(new Error('aborted'))
    await reading
  })
})

describe('an answer', () => {
  test.each(['{"text":"é😀"}', `{"text":"${'é'.repeat(50_000)}"}`])(
    'is sent as JSON with its length in bytes, and byte for byte',
    (text) => {
      const response = new FakeResponse()
      sendJson(response.asResponse, 200, Buffer.from(text), { 'Mcp-Session-Id': 'id' })
      expect(response.status).toBe(200)
      expect(response.headers).toEqual({
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
        'Mcp-Session-Id': 'id',
      })
      expect(response.body).toBe(text)
      expect(response.writableEnded).toBe(true)
    },
  )
})

describe('a refusal', () => {
  function refused(error: HubError, options?: Parameters<typeof sendError>[2]): FakeResponse {
    const response = new FakeResponse()
    sendError(response.asResponse, error, options)
    return response
  }

  test('has the status of the error, and says why as JSON-RPC', () => {
    const error = new HubError('session.unknown', 'This session is unknown.', { cure: 'Start a new one.' })
    const response = refused(error)
    expect(response.status).toBe(404)
    expect(JSON.parse(response.body)).toEqual({
      jsonrpc: '2.0',
      id: null,
      error: {
        code: -32_001,
        message: 'This session is unknown. Start a new one.',
        data: { code: 'session.unknown' },
      },
    })
    expect(JSON.parse(refused(error, { id: 'x' }).body)).toMatchObject({ id: 'x' })
  })

  test.each([
    [new HubError('session.limit', 'x', { retryAfter: 30 }), { 'Retry-After': '30' }],
    [new HubError('access.unauthenticated', 'x'), { 'WWW-Authenticate': expect.stringContaining('Bearer') }],
    [new HubError('request.too-large', 'x'), { Connection: 'close' }],
  ])('tells what to do in headers as well (%#)', (error, headers) => {
    expect(refused(error).headers).toMatchObject(headers)
  })

  test('has no such headers where they do not belong', () => {
    expect(Object.keys(refused(new HubError('endpoint.unknown', 'x')).headers)).toEqual([
      'Content-Type',
      'Content-Length',
    ])
  })

  test('that comes after the head of an answer can only end the connection', () => {
    const response = new FakeResponse()
    response.writeHead(200)
    sendError(response.asResponse, new HubError('internal', 'x'))
    expect([response.destroyed, response.body]).toEqual([true, ''])
  })
})

describe('what is not even HTTP', () => {
  async function answer(code: string | undefined): Promise<string> {
    const socket = new PassThrough()
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    refuseConnection(Object.assign(new Error('x'), code ? { code } : {}), socket)
    await settle()
    return text
  }

  test.each([
    ['HPE_HEADER_OVERFLOW', 431],
    ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
    ['ERR_HTTP_REQUEST_TIMEOUT', 408],
    ['HPE_INVALID_METHOD', 400],
    [undefined, 400],
  ])('(%s) is answered with %i and the connection is closed', async (code, status) => {
    const [head = '', body = ''] = (await answer(code)).split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`))
    expect(head).toContain('\r\nConnection: close')
    expect(head).toContain(`\r\nContent-Length: ${Buffer.byteLength(body)}`)
    expect(JSON.parse(body)).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32_600 } })
  })

  test('is not answered when nobody is there any more', async () => {
    expect(await answer('ECONNRESET')).toBe('')
  })
})
