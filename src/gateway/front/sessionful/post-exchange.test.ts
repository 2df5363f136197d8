import { describe, expect, test } from 'vitest'
import { eventsIn, FakeResponse } from '../../../../tests/fakes/response.ts'
import { FakeClock, settle } from '../../../../tests/harness/fake-clock.ts'
import { PostExchange } from './post-exchange.ts'
import { SessionStreams } from './session-streams.ts'

function make({ requests = 1, batch = false } = {}) {
  const clock = new FakeClock()
  const response = new FakeResponse()
  const streams = new SessionStreams(clock, '2025-06-18')
  const reply = new PostExchange({ response: response.asResponse, clock, requests, batch, streams })
  const events = async () => {
    await settle()
    return eventsIn(response.body).map(({ data }) => data)
  }
  return { clock, response, streams, reply, events }
}

const bytes = (text: string) => Buffer.from(text)

describe('the answer to a POST', () => {
  test('without a request is 202 at once', () => {
    const { response, clock } = make({ requests: 0 })
    expect([response.status, response.headers, response.body]).toEqual([202, { 'Content-Length': 0 }, ''])
    expect([response.writableEnded, clock.pending]).toEqual([true, 0])
  })

  test('is plain JSON when there is nothing but the answer', () => {
    const { reply, response, clock } = make()
    reply.answer(bytes('{"id":1}'))
    expect([response.status, response.headers['Content-Type'], response.body]).toEqual([
      200,
      'application/json',
      '{"id":1}',
    ])
    expect(clock.pending).toBe(0)
  })

  test('is an event stream from the first message before the answer on', async () => {
    const { reply, response, events, clock } = make()
    reply.message(bytes('progress'))
    reply.answer(bytes('answer'))
    expect(await events()).toEqual(['progress', 'answer'])
    expect(response.headers['Content-Type']).toBe('text/event-stream')
    expect([response.writableEnded, clock.pending]).toEqual([true, 0])
  })

  test('is an event stream when it takes longer than a quarter of a second', async () => {
    const { reply, response, events, clock } = make()
    await clock.advance(249)
    expect(response.status).toBeUndefined()
    await clock.advance(1)
    expect(response.headers['Content-Type']).toBe('text/event-stream')
    reply.answer(bytes('late'))
    expect(await events()).toEqual(['late'])
  })

  test('is nothing at all for a request that was cancelled', () => {
    const { reply, response, clock } = make()
    reply.abandon()
    expect([response.status, response.body, response.writableEnded]).toEqual([202, '', true])
    expect(clock.pending).toBe(0)
  })

  test('ends its stream for a request that was cancelled later', async () => {
    const { reply, response, events } = make()
    reply.message(bytes('progress'))
    reply.abandon()
    expect(await events()).toEqual(['progress'])
    expect(response.writableEnded).toBe(true)
  })
})

describe('the answer to a batch', () => {
  test('is an array of all answers, once the last one is there', () => {
    const { reply, response } = make({ requests: 3, batch: true })
    reply.answer(bytes('1'))
    reply.abandon()
    expect(response.status).toBeUndefined()
    reply.answer(bytes('3'))
    expect(response.body).toBe('[1,3]')
  })

  test('is there too when the last request was cancelled', () => {
    const { reply, response } = make({ requests: 2, batch: true })
    reply.answer(bytes('1'))
    reply.abandon()
    expect(response.body).toBe('[1]')
  })

  test('is an array even of one, and nothing at all when all were cancelled', () => {
    const one = make({ batch: true })
    one.reply.answer(bytes('1'))
    expect(one.response.body).toBe('[1]')
    const none = make({ requests: 2, batch: true })
    none.reply.abandon()
    none.reply.abandon()
    expect([none.response.status, none.response.body]).toEqual([202, ''])
  })

  test('is an event stream with each answer by itself when there is more than answers', async () => {
    const { reply, response, events } = make({ requests: 2, batch: true })
    reply.answer(bytes('1'))
    reply.message(bytes('progress'))
    await settle()
    expect(response.writableEnded).toBe(false)
    reply.answer(bytes('2'))
    expect(await events()).toEqual(['1', 'progress', '2'])
    expect(response.writableEnded).toBe(true)
  })
})

describe('a client that goes away', () => {
  test('before there is a stream cannot be reached any more: it has nothing to come back to', async () => {
    const { reply, response, clock } = make()
    expect(reply.reachable).toBe(true)
    response.destroy()
    expect(reply.reachable).toBe(false)
    reply.message(bytes('progress'))
    await clock.advance(1_000)
    reply.answer(bytes('answer'))
    await settle()
    expect([response.status, response.body, clock.pending]).toEqual([undefined, '', 0])
  })

  test('while there is a stream can come back for the rest', async () => {
    const { reply, response, streams } = make()
    reply.message(bytes('progress'))
    await settle()
    response.destroy()
    expect(reply.reachable).toBe(true)
    reply.answer(bytes('answer'))
    const again = new FakeResponse()
    streams.resume(again.asResponse, '1-1')
    await settle()
    expect(eventsIn(again.body).map(({ data }) => data)).toEqual(['answer'])
  })
})

test('a client that was given an error already gets nothing more', async () => {
  const { reply, response, streams, clock } = make()
  response.writeHead(400)
  response.end('error')
  expect(reply.reachable).toBe(false)
  reply.message(bytes('progress'))
  await clock.advance(250)
  reply.answer(bytes('answer'))
  await settle()
  expect([response.status, response.body]).toEqual([400, 'error'])
  expect([streams.attached, clock.pending]).toEqual([false, 0])
})
