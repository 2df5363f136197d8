import { describe, expect, test } from 'vitest'
import { eventsIn, FakeResponse } from '../../../../tests/fakes/response.ts'
import { FakeClock, settle } from '../../../../tests/harness/fake-clock.ts'
import type { Revision } from '../../../mcp/eras.ts'
import { SessionStreams } from './session-streams.ts'

function make(revision: Revision = '2025-06-18') {
  const clock = new FakeClock()
  const streams = new SessionStreams(clock, revision)
  const listen = () => {
    const response = new FakeResponse()
    streams.openStandalone(response.asResponse)
    return response
  }
  const post = () => {
    const response = new FakeResponse()
    return { response, stream: streams.openPost(response.asResponse) }
  }
  const resume = (eventId: string) => {
    const response = new FakeResponse()
    streams.resume(response.asResponse, eventId)
    return response
  }
  return { clock, streams, listen, post, resume }
}

/** The data of the events that a client got so far. */
async function got(response: FakeResponse): Promise<string[]> {
  await settle()
  return eventsIn(response.body).map(({ data }) => data)
}

async function ids(response: FakeResponse): Promise<(string | undefined)[]> {
  await settle()
  return eventsIn(response.body).map(({ id }) => id)
}

const bytes = (text: string) => Buffer.from(text)
const HINT = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

describe('the stream of a POST', () => {
  test('carries its messages with ids that name stream and number, and ends after the answer', async () => {
    const { post } = make()
    const { response, stream } = post()
    stream.send(bytes('one'))
    stream.send(bytes('two'))
    stream.finish()
    expect(await got(response)).toEqual(['one', 'two'])
    expect(await ids(response)).toEqual(['1-1', '1-2'])
    expect(response.writableEnded).toBe(true)
  })

  test('can be resumed after any of its events, also when its answer came meanwhile', async () => {
    const { post, resume } = make()
    const { response, stream } = post()
    stream.send(bytes('one'))
    await settle()
    response.destroy()
    stream.send(bytes('two'))
    stream.send(bytes('answer'))
    stream.finish()
    const again = resume('1-1')
    expect(await got(again)).toEqual(['two', 'answer'])
    expect(again.writableEnded).toBe(true)
    expect(await got(resume('1-0'))).toEqual(['one', 'two', 'answer'])
    expect(await got(resume('1-3'))).toEqual([])
  })

  test('goes on live after it was resumed, and ends the older connection', async () => {
    const { post, resume } = make()
    const { response, stream } = post()
    const again = resume('1-0')
    stream.send(bytes('live'))
    expect([await got(response), await got(again)]).toEqual([[], ['live']])
    expect(response.writableEnded).toBe(true)
  })

  test('is another for each POST', async () => {
    const { post } = make()
    const [first, second] = [post(), post()]
    second.stream.send(bytes('b'))
    first.stream.send(bytes('a'))
    expect([await ids(first.response), await ids(second.response)]).toEqual([['1-1'], ['2-1']])
  })
})

describe('the revision decides how a stream begins', () => {
  test('since 2025-11-25 with an event that has an id, no data, and how long to wait', async () => {
    const { listen, post, resume } = make('2025-11-25')
    for (const [response, id] of [
      [listen(), '0-0'],
      [post().response, '1-0'],
      [resume('1-0'), '1-0'],
    ] as const) {
      await settle()
      expect(response.body).toBe(`id: ${id}\nretry: 1000\ndata: \n\n`)
    }
  })

  test('before that with nothing: older clients take an event without data for a broken message', async () => {
    const { listen } = make('2025-06-18')
    const response = listen()
    await settle()
    expect([response.body, response.headersSent]).toEqual(['', true])
  })
})

describe('what belongs to no request', () => {
  test('is sent to the client that listens', async () => {
    const { streams, listen } = make()
    const response = listen()
    streams.unrelated(bytes('one'))
    expect(await got(response)).toEqual(['one'])
    expect(streams.attached).toBe(true)
  })

  test('is kept for a client that does not listen yet, and sent once', async () => {
    const { streams, listen } = make()
    streams.unrelated(bytes('one'))
    streams.unrelated(bytes('two'))
    expect(streams.attached).toBe(false)
    const first = listen()
    expect(await got(first)).toEqual(['one', 'two'])
    first.destroy()
    streams.unrelated(bytes('three'))
    expect(await got(listen())).toEqual(['three'])
  })

  test('goes to the newest connection: the older may be half dead', async () => {
    const { streams, listen } = make()
    const older = listen()
    const newer = listen()
    streams.unrelated(bytes('one'))
    expect([await got(older), await got(newer)]).toEqual([[], ['one']])
    expect(older.writableEnded).toBe(true)
  })

  test('can be had again by a client that comes back with the last id it saw', async () => {
    const { streams, listen, resume } = make()
    const first = listen()
    streams.unrelated(bytes('one'))
    streams.unrelated(bytes('two'))
    await settle()
    first.destroy()
    streams.unrelated(bytes('three'))
    expect(await got(resume('0-1'))).toEqual(['two', 'three'])
  })
})

describe('a hint', () => {
  test('is sent at once to a client that listens', async () => {
    const { streams, listen } = make()
    const response = listen()
    streams.hint('notifications/tools/list_changed')
    expect(await got(response)).toEqual([HINT])
  })

  test('waits for a client that does not, one of its kind however often it came', async () => {
    const { streams, listen } = make()
    for (let round = 0; round < 3; round += 1) streams.hint('notifications/tools/list_changed')
    expect(await got(listen())).toEqual([HINT])
    expect(await got(listen())).toEqual([])
  })

  test('waits for a client that comes back with the last id it saw, too', async () => {
    const { streams, listen, resume } = make()
    const first = listen()
    streams.unrelated(bytes('one'))
    await settle()
    first.destroy()
    streams.hint('notifications/tools/list_changed')
    expect(await got(resume('0-1'))).toEqual([HINT])
    expect(await got(resume('0-2'))).toEqual([])
  })

  test('is not for a client that comes back for the stream of a POST', async () => {
    const { streams, listen, post, resume } = make()
    post()
    streams.hint('notifications/tools/list_changed')
    expect(await got(resume('1-0'))).toEqual([])
    expect(await got(listen())).toEqual([HINT])
  })
})

describe('an event id that cannot be resumed from', () => {
  test.each(['', 'x', '1', '1-', '-1', '1-1-1', '99-1', '1-x', ' 1-1', `1-${'9'.repeat(20)}`])(
    '%j is refused when no stream of this session ever had it',
    (eventId) => {
      const { post, resume } = make()
      post()
      expect(() => resume(eventId)).toThrow(expect.objectContaining({ code: 'request.invalid' }))
    },
  )

  test('of a stream that has been let go gives an empty answer: there is no more to come', async () => {
    const { clock, streams, post, resume } = make()
    const { stream } = post()
    stream.send(bytes('answer'))
    stream.finish()
    await clock.advance(600_000)
    streams.trim(clock.monotonic())
    const again = resume('1-0')
    streams.unrelated(bytes('new'))
    expect(await got(again)).toEqual([])
    expect(again.writableEnded).toBe(true)
  })

  test('of a standalone stream on which nothing was sent yet opens that stream', async () => {
    const { streams, resume } = make()
    streams.hint('notifications/tools/list_changed')
    const response = resume('0-0')
    streams.unrelated(bytes('new'))
    expect(await got(response)).toEqual([HINT, 'new'])
  })

  test('of what belongs to no request gives what comes from now on', async () => {
    const { clock, streams, resume } = make()
    streams.unrelated(bytes('old'))
    await clock.advance(600_000)
    streams.trim(clock.monotonic())
    const again = resume('0-1')
    streams.unrelated(bytes('new'))
    expect(await got(again)).toEqual(['new'])
  })
})

describe('what is kept', () => {
  test('is kept for five minutes', async () => {
    const { clock, streams, post, resume } = make()
    const { stream } = post()
    stream.send(bytes('answer'))
    stream.finish()
    await clock.advance(300_000)
    streams.trim(clock.monotonic())
    expect(await got(resume('1-0'))).toEqual(['answer'])
    await clock.advance(1)
    streams.trim(clock.monotonic())
    expect(await got(resume('1-0'))).toEqual([])
  })

  test('is 1 MiB for each stream: the oldest goes first', async () => {
    const { post, resume } = make()
    const { stream } = post()
    for (const mark of ['a', 'b', 'c']) stream.send(bytes(mark.repeat(500_000)))
    expect((await got(resume('1-0'))).map((data) => data[0])).toEqual(['b', 'c'])
  })

  test('is of 64 streams at most: the oldest finished ones go first', async () => {
    const { post, resume, streams } = make()
    const open = post()
    for (let round = 0; round < 70; round += 1) {
      const { stream } = post()
      stream.send(bytes(`answer ${round}`))
      stream.finish()
    }
    open.stream.send(bytes('still here'))
    expect(await got(open.response)).toEqual(['still here'])
    expect(await got(resume('71-0'))).toEqual(['answer 69'])
    expect(await got(resume('10-0'))).toEqual(['answer 8'])
    expect(streams.attached).toBe(true)
    expect(await got(resume('2-0'))).toEqual([])
  })

  test('is 2 MiB for all finished streams together, as soon as there is another', async () => {
    const { post, resume } = make()
    const open = post()
    open.stream.send(bytes('x'.repeat(900_000)))
    for (const mark of ['a', 'b', 'c', 'd']) {
      const { stream } = post()
      stream.send(bytes(mark.repeat(900_000)))
      stream.finish()
    }
    post()
    const kept = await Promise.all(['2-0', '3-0', '4-0', '5-0', '1-0'].map((id) => got(resume(id))))
    expect(kept.map(([data]) => data?.[0])).toEqual([undefined, undefined, 'c', 'd', 'x'])
  })
})

test('the end of a session ends all its streams and leaves no timer', async () => {
  const { clock, streams, listen, post } = make()
  const responses = [listen(), post().response, post().response]
  streams.end()
  await settle()
  expect(responses.map(({ writableEnded }) => writableEnded)).toEqual([true, true, true])
  expect([streams.attached, clock.pending]).toEqual([false, 0])
})
