import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { isEventStream, readEvents } from './event-reader.ts'
import type { HttpResponse } from './http-request.ts'

function response(body: Readable, headers = {}, status = 200): HttpResponse {
  return { status, headers, body: body as HttpResponse['body'] }
}

/** What is read of this body. */
async function read(
  body: Readable,
  { done = () => false, limit = 100 }: { done?: (seen: string[]) => boolean; limit?: number } = {},
) {
  const seen: string[] = []
  const retries: number[] = []
  const { logger, lines } = recordingLogger()
  const reading = readEvents(response(body), {
    server: 'time',
    log: logger,
    maxEventBytes: limit,
    onEvent: ({ data }) => seen.push(data),
    onRetry: (ms) => retries.push(ms),
    done: () => done(seen),
  })
  return { reading, seen, retries, lines }
}

function pieces(...texts: string[]): Readable {
  return Readable.from(texts.map((text) => Buffer.from(text)))
}

describe('an event stream', () => {
  test.each([
    [200, 'text/event-stream', true],
    [200, 'text/event-stream; charset=utf-8', true],
    [200, 'application/json', false],
    [200, undefined, false],
    [405, 'text/event-stream', false],
  ])('is told by status %i and media type %s: %s', (status, type, expected) => {
    expect(isEventStream(response(pieces(), { 'content-type': type }, status))).toBe(expected)
  })

  test('is read to its end', async () => {
    const { reading, seen, retries } = await read(
      pieces('retry: 5\ndata: a', '\n\ndata: b\n\n', 'data: half'),
    )
    expect(await reading).toBeUndefined()
    expect([seen, retries]).toEqual([['a', 'b'], [5]])
  })

  test('is read until what was waited for has come, and no further', async () => {
    const body = pieces('data: a\n\n', 'data: b\n\n', 'data: c\n\n')
    const { reading, seen } = await read(body, { done: (got) => got.length === 2 })
    await reading
    expect([seen, body.destroyed]).toEqual([['a', 'b'], true])
  })

  test('that breaks off says so and does not throw: what came counts', async () => {
    const body = Readable.from(
      (async function* () {
        yield Buffer.from('data: a\n\n')
        throw new Error('ECONNRESET')
      })(),
    )
    const { reading, seen, lines } = await read(body)
    expect(await reading).toMatchObject({ code: 'upstream.lost' })
    expect(seen).toEqual(['a'])
    expect(lines).toMatchObject([{ level: 'debug', fields: { reason: 'ECONNRESET' } }])
  })

  test('with an event that is too long is given up', async () => {
    const body = pieces('data: a\n\n', `data: ${'x'.repeat(101)}`, 'more')
    const { reading, seen } = await read(body)
    await expect(reading).rejects.toMatchObject({
      code: 'upstream.invalid',
      message: 'Server "time" sent an event of more than 100 bytes.',
    })
    expect([seen, body.destroyed]).toEqual([['a'], true])
  })
})
