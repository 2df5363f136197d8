import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunked, jsonText } from '../../tests/fakes/json-text.ts'
import { EventDecoder, encodeEvent, encodePriming, KEEP_ALIVE_COMMENT } from './event-stream.ts'

interface Seen {
  readonly events: { event: string; data: string; id: string | undefined }[]
  readonly retries: number[]
  tooLong: number
}

/** What a decoder makes of these pieces. */
function decode(pieces: readonly (string | Uint8Array)[], limit = 1_000_000): Seen {
  const seen: Seen = { events: [], retries: [], tooLong: 0 }
  const decoder = new EventDecoder({
    limit,
    onEvent: (event) => seen.events.push(event),
    onRetry: (ms) => seen.retries.push(ms),
    onTooLong: () => {
      seen.tooLong += 1
    },
  })
  for (const piece of pieces) decoder.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
  return seen
}

function events(...pieces: (string | Uint8Array)[]): Seen['events'] {
  return decode(pieces).events
}

function message(data: string, id?: string) {
  return { event: 'message', data, id }
}

describe('reading a text/event-stream', () => {
  test('an event ends with an empty line and is a "message" unless it says otherwise', () => {
    expect(events('data: one\n\nevent: endpoint\ndata: two\nid: 7\n\n')).toEqual([
      message('one'),
      { event: 'endpoint', data: 'two', id: '7' },
    ])
  })

  test('an event without its empty line is not one yet', () => {
    expect(events('data: one\n')).toEqual([])
  })

  test.each([
    ['line feeds', '\n'],
    ['carriage returns', '\r'],
    ['both', '\r\n'],
  ])('lines may end in %s', (_how, end) => {
    expect(events(['data: a', 'data: b', '', 'data: c', '', ''].join(end))).toEqual([
      message('a\nb'),
      message('c'),
    ])
  })

  test('a line feed right behind a carriage return belongs to it, also when it comes later', () => {
    expect(events('data: a\r', '\ndata: b\r', '', '\n\r', '\n')).toEqual([message('a\nb')])
  })

  test('a carriage return at the end of a piece ends the line at once', () => {
    expect(events('data: a\r\r')).toEqual([message('a')])
  })

  test('several data lines are joined by line feeds', () => {
    expect(events('data: a\ndata:\ndata: b\n\n')).toEqual([message('a\n\nb')])
  })

  test('one blank behind the colon is left out, and no more than one', () => {
    expect(events('data:a\ndata: b\ndata:  c\n\n')).toEqual([message('a\nb\n c')])
  })

  test('a field may stand without a colon and has no value then', () => {
    expect(events('data\n\n')).toEqual([message('')])
  })

  test('comments and unknown fields are skipped', () => {
    expect(events(': hello\n:\nfoo: bar\ndata: a\nDATA: b\n data: c\n: bye\n\n')).toEqual([message('a')])
  })

  test('empty lines alone make no events, nor does a name without data', () => {
    expect(events('\n\n\n: keep-alive\n\nevent: x\n\n')).toEqual([])
  })

  test('an id without data is an event: it says where the stream can be resumed', () => {
    expect(events('id: 9\n\n')).toEqual([message('', '9')])
  })

  test('each event has its own id and name only', () => {
    expect(events('event: x\nid: 1\ndata: a\n\ndata: b\n\n')).toEqual([
      { event: 'x', data: 'a', id: '1' },
      message('b'),
    ])
  })

  test('an id with a NUL does not count', () => {
    expect(events('id: 1\0\ndata: a\n\n')).toEqual([message('a')])
    expect(events('id: 1\nid: 2\0\ndata: a\n\n')).toEqual([message('a', '1')])
  })

  test('retry counts when it is made of digits only', () => {
    expect(decode(['retry: 1500\nretry: 2s\nretry:\nretry: -1\nretry: 1.5\n\n']).retries).toEqual([1_500])
  })

  test('a byte order mark at the start is skipped', () => {
    expect(events(Buffer.from([0xef]), Buffer.from([0xbb, 0xbf]), 'data: a\n\n')).toEqual([message('a')])
  })

  test('a character may be cut in two', () => {
    const bytes = Buffer.from('data: é😀\n\n')
    expect(events(bytes.subarray(0, 7), bytes.subarray(7, 10), bytes.subarray(10))).toEqual([message('é😀')])
  })

  test('bytes that are no UTF-8 become replacement characters', () => {
    expect(events('data: a', Buffer.from([0xff]), 'b\n\n')).toEqual([message('a\ufffdb')])
  })

  test('the events are the same however the stream is cut into pieces, and whatever ends its lines', () => {
    const part = fc.constantFrom(
      'data: x',
      'data:é',
      'data',
      'id: 1',
      'id:2\0',
      'event: e',
      ': c',
      'retry: 5',
      '',
    )
    const line = fc.tuple(part, fc.constantFrom('\n', '\r', '\r\n')).map(([text, end]) => text + end)
    const stream = fc
      .array(line, { maxLength: 30 })
      .map((lines) => Buffer.from(lines.join('')))
      .chain((bytes) => fc.tuple(fc.constant(bytes), chunked(bytes)))
    fc.assert(
      fc.property(stream, ([bytes, pieces]) => {
        expect(decode(pieces)).toEqual(decode([bytes]))
      }),
    )
  })
})

describe('the limit of an event', () => {
  test('is not met by many small events', () => {
    const seen = decode(
      Array.from({ length: 50 }, () => 'data: 12345\n\n'),
      20,
    )
    expect(seen.tooLong).toBe(0)
    expect(seen.events).toHaveLength(50)
  })

  test('is met by one long line, as soon as it is too long', () => {
    expect(decode(['data: 12345', '6789'], 20).tooLong).toBe(0)
    expect(decode(['data: 12345', '67890123456'], 20).tooLong).toBe(1)
  })

  test('is met by many lines of one event together', () => {
    const seen = decode(
      Array.from({ length: 5 }, () => 'data: 12345\n'),
      20,
    )
    expect(seen.tooLong).toBe(1)
    expect(seen.events).toEqual([])
  })

  test('is met by data lines without end, empty as they may be', () => {
    expect(
      decode(
        Array.from({ length: 1_000 }, () => 'data\n'),
        20,
      ).tooLong,
    ).toBeGreaterThan(0)
  })

  test('holds for an event that comes in one piece', () => {
    const seen = decode([`data: ${'x'.repeat(100)}\n\n`], 20)
    expect([seen.events.length, seen.tooLong]).toEqual([0, 1])
  })
})

describe('writing a text/event-stream', () => {
  test('an event has its name, its id where there is one, and its data', () => {
    expect(encodeEvent('message', '3-1', Buffer.from('{"a":1.0}')).toString()).toBe(
      'event: message\nid: 3-1\ndata: {"a":1.0}\n\n',
    )
    expect(encodeEvent('endpoint', undefined, Buffer.from('/messages')).toString()).toBe(
      'event: endpoint\ndata: /messages\n\n',
    )
  })

  test('the event that opens a resumable stream has an id, how long to wait, and empty data', () => {
    const seen = decode([encodePriming('0-4', 1_000)])
    expect(seen).toEqual({ events: [message('', '0-4')], retries: [1_000], tooLong: 0 })
  })

  test('a sign of life is a comment that no reader sees as an event', () => {
    expect(KEEP_ALIVE_COMMENT.toString()).toMatch(/^:/)
    expect(events(KEEP_ALIVE_COMMENT)).toEqual([])
  })

  test('any JSON on one line is read back byte for byte', () => {
    fc.assert(
      fc.property(jsonText, fc.option(fc.stringMatching(/^\d-\d+$/)), (json, id) => {
        const data = json.replace(/[\r\n]/g, ' ')
        const [event, ...more] = events(encodeEvent('message', id ?? undefined, Buffer.from(data)))
        expect(more).toEqual([])
        expect(event).toEqual(message(data, id ?? undefined))
      }),
    )
  })
})
