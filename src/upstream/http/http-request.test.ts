import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { type HttpResponse, mediaType, readAll, readHint, refused, safeUrl } from './http-request.ts'

function response(...pieces: string[]): HttpResponse {
  const body = Readable.from(pieces.map((piece) => Buffer.from(piece)))
  return { status: 200, headers: {}, body: body as HttpResponse['body'] }
}

describe('the media type of a response', () => {
  test.each([
    ['application/json', 'application/json'],
    ['Text/Event-Stream; charset=utf-8', 'text/event-stream'],
    [' application/json ', 'application/json'],
    [['text/html', 'application/json'], 'text/html'],
    ['', ''],
    [undefined, ''],
  ])('of %j is %j', (header, expected) => {
    expect(mediaType({ 'content-type': header })).toBe(expected)
  })
})

describe('the body of a response', () => {
  test('is read whole within its limit', async () => {
    expect((await readAll(response('{"a"', ':1}'), 7, 'time')).toString()).toBe('{"a":1}')
    expect((await readAll(response('{}'), 2, 'time')).toString()).toBe('{}')
    expect(await readAll(response(), 0, 'time')).toHaveLength(0)
  })

  test('that is larger is not read to its end', async () => {
    const large = response('1234', '5678', '9')
    await expect(readAll(large, 7, 'time')).rejects.toMatchObject({
      code: 'upstream.invalid',
      message: 'Server "time" sent an answer of more than 7 bytes.',
    })
    expect(large.body.destroyed).toBe(true)
  })

  test('that is cut off is lost, in a sentence', async () => {
    const body = Readable.from(
      (async function* () {
        yield Buffer.from('{"a"')
        throw new Error('other side closed')
      })(),
    )
    const cut: HttpResponse = { status: 200, headers: {}, body: body as HttpResponse['body'] }
    await expect(readAll(cut, 100, 'time')).rejects.toMatchObject({
      code: 'upstream.lost',
      message: 'Server "time" broke its answer off midway: other side closed.',
      cure: expect.stringContaining('does not repeat it'),
    })
  })

  const start = (text: string, longest: number) => text.slice(0, longest)

  test('of an error gives its first characters, on one line', async () => {
    expect(await readHint(response(' it\r\n  is ', '\tbroken\n'), start)).toBe('it is broken')
    const long = response(...Array(1_000).fill('x'.repeat(100)))
    expect(await readHint(long, start)).toBe('x'.repeat(300))
    expect(long.body.destroyed).toBe(true)
  })

  test('of an error shows no half of a secret that stands where it is cut', async () => {
    const secret = 'a secret of two parts'
    const text = 'x'.repeat(290) + secret
    const hide = (whole: string, longest: number) => whole.replace(secret, '***').slice(0, longest)
    expect(await readHint(response(text.slice(0, 305), text.slice(305)), hide)).toBe(`${'x'.repeat(290)}***`)
  })
})

describe('a refusal of a server', () => {
  test('has its status and what it said', () => {
    expect(refused('time', 500, 'database is down')).toMatchObject({
      code: 'upstream.rejected',
      message: 'Server "time" answered HTTP 500: database is down',
      data: { server: 'time', status: 500 },
      cure: undefined,
    })
    expect(refused('time', 404, '').message).toBe('Server "time" answered HTTP 404.')
  })

  test.each([401, 403])('with %i tells where the credentials stand', (status) => {
    expect(refused('time', status, '').cure).toContain('"headers"')
  })
})

test('of a URL only the origin is shown: all else may hold secrets', () => {
  expect(safeUrl(new URL('https://user:pass@host:8443/s/secret/mcp?key=secret#part'))).toBe(
    'https://host:8443',
  )
})
