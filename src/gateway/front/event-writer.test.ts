import { describe, expect, test, vi } from 'vitest'
import { FakeResponse } from '../../../tests/fakes/response.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { EventWriter } from './event-writer.ts'

function open(limits = { keepAliveMs: 1_000, maxQueuedBytes: 100 }) {
  const clock = new FakeClock()
  const response = new FakeResponse()
  const writer = new EventWriter(response.asResponse, clock, { 'X-Own': '1' }, limits)
  const write = (text: string) => writer.write(Buffer.from(text))
  return { clock, response, writer, write }
}

describe('an open event stream', () => {
  test('has headers that keep proxies from holding it back; they leave at once', async () => {
    const { response } = open()
    await settle()
    expect([response.status, response.headersSent]).toEqual([200, true])
    expect(response.headers).toEqual({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
      'X-Own': '1',
    })
  })

  test('sends what comes in one turn in one write, in its order', async () => {
    const { response, write } = open()
    write('a')
    write('b')
    await settle()
    write('c')
    await settle()
    expect(response.writes).toEqual(['ab', 'c'])
  })

  test('sends a sign of life now and then', async () => {
    const { clock, response } = open()
    await clock.advance(3_000)
    expect(response.body).toBe(': keep-alive\n\n'.repeat(3))
  })

  test('ends after everything that was written, and takes nothing more', async () => {
    const { clock, response, writer, write } = open()
    write('last')
    writer.end()
    expect(writer.open).toBe(false)
    write('late')
    writer.end()
    await clock.advance(5_000)
    expect([response.body, response.writableEnded]).toEqual(['last', true])
    expect(clock.pending).toBe(0)
  })

  test('is over when its client goes away', async () => {
    const { clock, response, writer, write } = open()
    const closed = vi.fn()
    writer.onClose(closed)
    write('lost')
    response.destroy()
    write('later')
    await clock.advance(5_000)
    expect([writer.open, response.body, clock.pending]).toEqual([false, '', 0])
    expect(closed).toHaveBeenCalledOnce()
  })

  test('may send one message that is larger than what may wait for a client', async () => {
    const { response, write } = open()
    write('x'.repeat(1_000))
    await settle()
    expect([response.body.length, response.destroyed]).toEqual([1_000, false])
  })

  test('is cut off when its client does not read', async () => {
    const { response, write } = open()
    response.writableLength = 100
    write('a')
    await settle()
    expect(response.destroyed).toBe(false)
    response.writableLength = 101
    write('b')
    await settle()
    expect(response.destroyed).toBe(true)
  })
})
