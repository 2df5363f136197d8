import { describe, expect, test, vi } from 'vitest'
import { FakeChannel } from '../../tests/fakes/channel.ts'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import { HubError } from '../domain/errors.ts'
import { parseMessage } from '../mcp/json-rpc.ts'
import type { ChannelEvents } from './channel.ts'
import { connect } from './handshake.ts'
import type { ClientIdentity, InboundHandler, Upstream } from './upstream.ts'

const IDENTITY: ClientIdentity = {
  protocolVersion: '2025-11-25',
  clientInfo: { name: 'flotilla', version: '0.1.0' },
  capabilities: { sampling: {} },
}

const HELLO = {
  protocolVersion: '2025-06-18',
  capabilities: { tools: { listChanged: true } },
  serverInfo: { name: 'time', version: '2.0.0', title: 'Time' },
}

const NOBODY: InboundHandler = {
  opened: () => undefined,
  request: () => undefined,
  notification: () => undefined,
}

/** Goes through the handshake with a server that answers `initialize` with `answer` (never, when undefined). */
function start(answer: Record<string, unknown> | undefined, inbound: Partial<InboundHandler> = {}) {
  const clock = new FakeClock()
  const channel = new FakeChannel()
  const abort = new AbortController()
  let events: ChannelEvents | undefined
  channel.onSend = (message) => {
    if (message.kind !== 'request' || !answer) return
    const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...answer }))
    queueMicrotask(() => events?.message(parseMessage(bytes), undefined))
  }
  const connecting = connect(
    async (given) => {
      events = given
      return channel
    },
    IDENTITY,
    { ...NOBODY, ...inbound },
    abort.signal,
    {
      server: 'time',
      clock,
      log: recordingLogger().logger,
      initTimeoutMs: 5_000,
      harmless: (text: string) => text,
    },
  )
  connecting.catch(() => undefined)
  return { clock, channel, abort, connecting, events: () => events }
}

describe('the handshake with a server', () => {
  test('sends initialize with who we are, then that we are ready', async () => {
    const { connecting, channel } = start({ result: HELLO })
    await connecting
    expect(channel.sent).toEqual([
      { jsonrpc: '2.0', id: 1, method: 'initialize', params: IDENTITY },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ])
  })

  test('agrees on the revision that the server answers with', async () => {
    const { connecting, channel } = start({ result: HELLO })
    expect((await connecting).hello).toEqual(HELLO)
    expect(channel.revisions).toEqual(['2025-06-18'])
  })

  test('takes over instructions, and fills in what a careless server leaves out', async () => {
    const { connecting } = start({
      result: { protocolVersion: '2024-11-05', serverInfo: { name: 'old' }, instructions: 'Use it.' },
    })
    expect((await connecting).hello).toEqual({
      protocolVersion: '2024-11-05',
      capabilities: {},
      serverInfo: { name: 'old', version: '' },
      instructions: 'Use it.',
    })
  })

  test('shows the upstream to whoever takes what it says, before anything is said', async () => {
    const opened = vi.fn()
    const { connecting } = start({ result: HELLO }, { opened })
    const upstream: Upstream = await connecting
    expect(opened).toHaveBeenCalledExactlyOnceWith(upstream)
  })

  test.each([
    [{ error: { code: -32_000, message: 'go away' } }, 'upstream.rejected', 'refused to initialize: go away'],
    [{ result: 'hello' }, 'upstream.invalid', 'not an object'],
    [{ result: [] }, 'upstream.invalid', 'not an object'],
    [{ result: {} }, 'upstream.invalid', 'protocol revision undefined; the hub knows 2024-11-05'],
    [{ result: { ...HELLO, protocolVersion: '1999-01-01' } }, 'upstream.invalid', '"1999-01-01"'],
    [{ result: { ...HELLO, serverInfo: undefined } }, 'upstream.invalid', 'no serverInfo.name'],
    [{ result: { ...HELLO, serverInfo: { name: 7 } } }, 'upstream.invalid', 'no serverInfo.name'],
  ])('fails on %j', async (answer, code, why) => {
    const { connecting, channel, clock } = start(answer)
    await expect(connecting).rejects.toMatchObject({ code, message: expect.stringContaining(why) })
    expect(channel.closeCalls).toBeGreaterThan(0)
    expect(channel.sent).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('fails when the server does not answer in time, and closes the channel', async () => {
    const { connecting, channel, clock } = start(undefined)
    await settle()
    await clock.advance(4_999)
    expect(channel.closeCalls).toBe(0)
    await clock.advance(1)
    await expect(connecting).rejects.toMatchObject({ code: 'upstream.timeout' })
    expect(channel.closeCalls).toBeGreaterThan(0)
  })

  test('fails at once when the server ends meanwhile', async () => {
    const { connecting, channel, events } = start(undefined)
    await settle()
    events()?.closed(new HubError('upstream.lost', 'The process ended with exit code 1.'))
    await expect(connecting).rejects.toMatchObject({
      code: 'upstream.lost',
      message: expect.stringContaining('exit code 1'),
    })
    expect(channel.closeCalls).toBeGreaterThan(0)
  })

  test('fails when it is no longer wanted, and closes the channel', async () => {
    const { connecting, channel, abort } = start(undefined)
    await settle()
    abort.abort()
    await expect(connecting).rejects.toMatchObject({ code: 'upstream.lost' })
    expect(channel.closeCalls).toBeGreaterThan(0)
  })

  test('leaves an initialized connection alone when the signal is aborted later', async () => {
    const { connecting, abort } = start({ result: HELLO })
    const upstream = await connecting
    abort.abort()
    await settle()
    expect(upstream.ended).toBeUndefined()
  })

  test('fails with the reason when no channel comes about', async () => {
    const reason = new HubError('server.unavailable', 'It cannot be started.')
    const { clock, connecting } = startWith(() => Promise.reject(reason))
    await expect(connecting).rejects.toBe(reason)
    expect(clock.pending).toBe(0)
  })
})

/** Goes through the handshake over what `open` brings. */
function startWith(
  open: (signal: AbortSignal) => Promise<FakeChannel>,
  signal = new AbortController().signal,
) {
  const clock = new FakeClock()
  const deps = {
    server: 'time',
    clock,
    log: recordingLogger().logger,
    initTimeoutMs: 5_000,
    harmless: (text: string) => text,
  }
  const connecting = connect((_events, given) => open(given), IDENTITY, NOBODY, signal, deps)
  connecting.catch(() => undefined)
  return { clock, connecting }
}

describe('the time that a handshake may take', () => {
  test('is for all of it together, the opening of the channel too', async () => {
    const channel = new FakeChannel()
    const opening = Promise.withResolvers<FakeChannel>()
    const { clock, connecting } = startWith(() => opening.promise)
    await clock.advance(3_000)
    opening.resolve(channel)
    await clock.advance(1_999)
    expect([channel.sent.length, channel.closeCalls]).toEqual([1, 0])
    await clock.advance(1)
    await expect(connecting).rejects.toMatchObject({
      code: 'upstream.timeout',
      message: 'Server "time" did not answer initialize within 5000 ms.',
    })
    expect(channel.closeCalls).toBeGreaterThan(0)
    expect(clock.pending).toBe(0)
  })

  test('ends a channel that does not come about; one that comes later is closed', async () => {
    const channel = new FakeChannel()
    const opening = Promise.withResolvers<FakeChannel>()
    let told: AbortSignal | undefined
    const { clock, connecting } = startWith((signal) => {
      told = signal
      return opening.promise
    })
    await clock.advance(5_000)
    await expect(connecting).rejects.toMatchObject({
      code: 'upstream.timeout',
      message: 'Server "time" did not open a connection within 5000 ms.',
    })
    expect(told?.aborted).toBe(true)
    opening.resolve(channel)
    await settle()
    expect([channel.sent, channel.closeCalls]).toEqual([[], 1])
  })

  test('is nothing at all when it is not wanted any more from the start', async () => {
    let opened = false
    const { clock, connecting } = startWith(async () => {
      opened = true
      return new FakeChannel()
    }, AbortSignal.abort())
    await expect(connecting).rejects.toMatchObject({ code: 'upstream.lost' })
    expect([opened, clock.pending]).toEqual([false, 0])
  })
})
