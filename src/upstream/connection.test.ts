import { describe, expect, test, vi } from 'vitest'
import { FakeChannel } from '../../tests/fakes/channel.ts'
import { serverHello } from '../../tests/fakes/domain.ts'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import { HubError } from '../domain/errors.ts'
import { parseMessage, type RpcAnswer, type RpcNotification, type RpcRequest } from '../mcp/json-rpc.ts'
import { Connection } from './connection.ts'
import type { CallTimes, PendingCall, Related, UpstreamCall } from './upstream.ts'

const LIMITS: CallTimes = { timeoutMs: 1_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 }

function connected({ attach = true } = {}) {
  const clock = new FakeClock()
  const channel = new FakeChannel()
  const { logger, lines } = recordingLogger()
  const requests: { request: RpcRequest; related: Related }[] = []
  const notifications: { notification: RpcNotification; related: Related }[] = []
  const connection = new Connection({
    server: 'time',
    clock,
    log: logger,
    inbound: {
      opened: () => undefined,
      request: (request, related) => requests.push({ request, related }),
      notification: (notification, related) => notifications.push({ notification, related }),
    },
  })
  if (attach) connection.attach(channel)
  /** The server says this; `requestId` tells the request on whose stream. */
  const say = (message: unknown, requestId?: number) =>
    connection.message(parseMessage(Buffer.from(JSON.stringify(message))), requestId)
  return { clock, channel, lines, requests, notifications, connection, say }
}

function call(parts: Partial<UpstreamCall> = {}): UpstreamCall {
  return { method: 'tools/call', params: Buffer.from('{"name":"now"}'), limits: LIMITS, ...parts }
}

/** What has become of a call so far: its result, the code of its error, or "open". */
function outcome(pending: PendingCall): { readonly now: unknown } {
  const seen: { now: unknown } = { now: 'open' }
  const read = (answer: RpcAnswer) => (answer.kind === 'result' ? answer.result : answer.error)
  pending.answer.then(
    (answer) => {
      seen.now = read(answer)
    },
    (error: HubError) => {
      seen.now = error.code
    },
  )
  return seen
}

describe('requests to a server', () => {
  test('count their ids from 1, whatever the client called them, and carry params as they came', () => {
    const { connection, channel } = connected()
    connection.request(call({ params: Buffer.from('{"n": 1.0}') }))
    connection.request(call({ method: 'ping', params: undefined }))
    expect(channel.outgoing.map(({ bytes, requestId }) => [bytes.toString(), requestId])).toEqual([
      ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n": 1.0}}', 1],
      ['{"jsonrpc":"2.0","id":2,"method":"ping"}', 2],
    ])
  })

  test('get their own answers, in whatever order these come, and no timer is left', async () => {
    const { connection, clock, say } = connected()
    const first = outcome(connection.request(call({ limits: { ...LIMITS, maxTotalTimeoutMs: 5_000 } })))
    const second = outcome(connection.request(call()))
    say({ jsonrpc: '2.0', id: 2, result: 'second' })
    say({ jsonrpc: '2.0', id: 1, error: { code: -1, message: 'first' } })
    await settle()
    expect(second.now).toBe('second')
    expect(first.now).toEqual({ code: -1, message: 'first', data: undefined })
    expect(clock.pending).toBe(0)
  })

  test('keep the bytes of their answers', async () => {
    const { connection } = connected()
    const pending = connection.request(call())
    connection.message(parseMessage(Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"n": 1.0}}')), undefined)
    expect((await pending.answer).body.toString()).toBe('{"n": 1.0}')
  })

  test('ignore answers that nobody waits for: unknown, second and late ones', async () => {
    const { connection, clock, lines, say } = connected()
    const seen = outcome(connection.request(call()))
    say({ jsonrpc: '2.0', id: 77, result: 'unknown' })
    say({ jsonrpc: '2.0', id: 'x', result: 'unknown' })
    await settle()
    expect(seen.now).toBe('open')
    await clock.advance(1_000)
    say({ jsonrpc: '2.0', id: 1, result: 'late' })
    await settle()
    expect(seen.now).toBe('upstream.timeout')
    expect(lines.map(({ level, fields }) => [level, fields['id']])).toEqual([
      ['debug', 77],
      ['debug', 'x'],
      ['debug', 1],
    ])
  })

  test('get an error without an id when it came on their own stream, and not on a pipe', async () => {
    const { connection, say } = connected()
    const [first, second] = [outcome(connection.request(call())), outcome(connection.request(call()))]
    say({ jsonrpc: '2.0', id: null, error: { code: -32_700, message: 'what?' } })
    say({ jsonrpc: '2.0', id: null, error: { code: -32_700, message: 'what?' } }, 2)
    await settle()
    expect(first.now).toBe('open')
    expect(second.now).toMatchObject({ code: -32_700 })
  })

  test('fail alone when their transport says so', async () => {
    const { connection } = connected()
    const [first, second] = [outcome(connection.request(call())), outcome(connection.request(call()))]
    connection.failed(1, new HubError('upstream.rejected', 'HTTP 500'))
    connection.failed(99, new HubError('upstream.rejected', 'HTTP 500'))
    await settle()
    expect([first.now, second.now]).toEqual(['upstream.rejected', 'open'])
    expect(connection.ended).toBeUndefined()
  })
})

describe('the time that a server may take', () => {
  test('is its silence: then the call fails, the server is told, and the transport too', async () => {
    const { connection, clock, channel } = connected()
    const pending = connection.request(call())
    const seen = outcome(pending)
    await clock.advance(999)
    expect(seen.now).toBe('open')
    await clock.advance(1)
    await expect(pending.answer).rejects.toMatchObject({
      code: 'upstream.timeout',
      message: 'Server "time" did not answer tools/call within 1000 ms.',
      data: { server: 'time', timeoutMs: 1_000 },
      cure: expect.stringContaining('"options.timeout"'),
    })
    expect(channel.sent.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 1, reason: 'no answer within 1000 ms' },
    })
    expect(channel.abandoned).toEqual([1])
    expect(clock.pending).toBe(0)
  })

  test('starts anew with each progress', async () => {
    const { connection, clock, say } = connected()
    const seen = outcome(connection.request(call({ progressToken: 5 })))
    for (let round = 0; round < 5; round += 1) {
      await clock.advance(900)
      say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 5, progress: round } })
    }
    await clock.advance(999)
    expect(seen.now).toBe('open')
    await clock.advance(1)
    expect(seen.now).toBe('upstream.timeout')
  })

  test('does not start anew where the settings say so', async () => {
    const { connection, clock, say } = connected()
    const limits = { ...LIMITS, resetTimeoutOnProgress: false }
    const seen = outcome(connection.request(call({ progressToken: 5, limits })))
    await clock.advance(900)
    say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 5, progress: 1 } })
    await clock.advance(100)
    expect(seen.now).toBe('upstream.timeout')
  })

  test('has an end in spite of progress, where the settings have one', async () => {
    const { connection, clock, say } = connected()
    const limits = { ...LIMITS, maxTotalTimeoutMs: 2_000 }
    const pending = connection.request(call({ progressToken: 5, limits }))
    const seen = outcome(pending)
    for (const ms of [900, 900]) {
      await clock.advance(ms)
      say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 5, progress: ms } })
    }
    await clock.advance(199)
    expect(seen.now).toBe('open')
    await clock.advance(1)
    await expect(pending.answer).rejects.toMatchObject({
      code: 'upstream.timeout',
      data: { timeoutMs: 2_000 },
      cure: expect.stringContaining('"options.maxTotalTimeout"'),
    })
    expect(clock.pending).toBe(0)
  })

  test('does not run while the call is held, however often; then it starts anew', async () => {
    const { connection, clock, say } = connected()
    const pending = connection.request(call({ progressToken: 5 }))
    const seen = outcome(pending)
    await clock.advance(900)
    pending.hold()
    pending.hold()
    await clock.advance(100_000)
    say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 5, progress: 1 } })
    pending.release()
    await clock.advance(100_000)
    expect(seen.now).toBe('open')
    pending.release()
    await clock.advance(999)
    expect(seen.now).toBe('open')
    await clock.advance(1)
    expect(seen.now).toBe('upstream.timeout')
  })

  test('has an end even while the call is held, where the settings have one', async () => {
    const { connection, clock } = connected()
    const pending = connection.request(call({ limits: { ...LIMITS, maxTotalTimeoutMs: 2_000 } }))
    const seen = outcome(pending)
    pending.hold()
    await clock.advance(2_000)
    expect(seen.now).toBe('upstream.timeout')
  })

  test('does not begin again when a call is released after its answer', async () => {
    const { connection, clock, channel, say } = connected()
    const pending = connection.request(call())
    pending.hold()
    say({ jsonrpc: '2.0', id: 1, result: {} })
    pending.release()
    await clock.advance(100_000)
    expect(clock.pending).toBe(0)
    expect(channel.sent).toHaveLength(1)
  })
})

describe('progress', () => {
  test('comes to the call with that token, as it was sent', () => {
    const { connection, lines, say } = connected()
    const first = vi.fn()
    const second = vi.fn()
    connection.request(call({ progressToken: 1, onProgress: first }))
    connection.request(call({ progressToken: 2, onProgress: second }))
    say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 2, progress: 0.5 } })
    say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 3, progress: 0.5 } })
    say({ jsonrpc: '2.0', method: 'notifications/progress' })
    expect(first).not.toHaveBeenCalled()
    expect(second).toHaveBeenCalledOnce()
    expect(second.mock.calls[0]?.[0]).toMatchObject({ params: { progressToken: 2, progress: 0.5 } })
    expect(lines).toHaveLength(2)
  })

  test('that comes after the answer concerns nobody', () => {
    const { connection, say, notifications } = connected()
    const onProgress = vi.fn()
    connection.request(call({ progressToken: 1, onProgress }))
    say({ jsonrpc: '2.0', id: 1, result: {} })
    say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } })
    expect(onProgress).not.toHaveBeenCalled()
    expect(notifications).toEqual([])
  })
})

describe('cancelling a call', () => {
  test('tells the server once, with the reason, and fails the call', async () => {
    const { connection, channel, clock } = connected()
    const pending = connection.request(call())
    const seen = outcome(pending)
    pending.cancel('no longer needed')
    pending.cancel('again')
    await settle()
    expect(seen.now).toBe('request.cancelled')
    expect(channel.sent.slice(1)).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId: 1, reason: 'no longer needed' },
      },
    ])
    expect(channel.abandoned).toEqual([1])
    expect(clock.pending).toBe(0)
  })

  test('needs no reason', () => {
    const { connection, channel } = connected()
    outcome(connection.request(call()))
    const pending = connection.request(call())
    outcome(pending)
    pending.cancel(undefined)
    expect(channel.sent.at(-1)).toMatchObject({ params: { requestId: 2 } })
    expect(JSON.stringify(channel.sent.at(-1))).not.toContain('reason')
  })

  test('after the answer does nothing', () => {
    const { connection, channel, say } = connected()
    const pending = connection.request(call())
    say({ jsonrpc: '2.0', id: 1, result: {} })
    pending.cancel('late')
    expect(channel.sent).toHaveLength(1)
  })

  test('never sends a cancellation of initialize, which the protocol forbids', async () => {
    const { connection, channel, clock } = connected()
    const seen = outcome(connection.request(call({ method: 'initialize' })))
    await clock.advance(1_000)
    expect(seen.now).toBe('upstream.timeout')
    expect(channel.sent).toHaveLength(1)
    expect(channel.abandoned).toEqual([])
  })
})

describe('a call that nobody waits for any more', () => {
  const cancelled = () => {
    const made = connected()
    const pending = made.connection.request(call())
    outcome(pending)
    pending.cancel(undefined)
    const over = vi.fn()
    pending.onceOver(over)
    return { ...made, pending, over }
  }

  test('is over in the server when its late answer comes', () => {
    const { say, over } = cancelled()
    say({ jsonrpc: '2.0', id: 2, result: {} })
    expect(over).not.toHaveBeenCalled()
    say({ jsonrpc: '2.0', id: 1, result: {} })
    say({ jsonrpc: '2.0', id: 1, result: {} })
    expect(over).toHaveBeenCalledOnce()
  })

  test('is over when the connection ends, or has ended already', () => {
    const { connection, pending, over } = cancelled()
    connection.closedBy(new HubError('upstream.lost', 'Gone.'))
    expect(over).toHaveBeenCalledOnce()
    pending.onceOver(over)
    expect(over).toHaveBeenCalledTimes(2)
  })
})

describe('what a server says unasked', () => {
  test('a ping is answered at once, under its own id', () => {
    const { channel, requests, say } = connected()
    say({ jsonrpc: '2.0', id: 'p1', method: 'ping' })
    expect(channel.sent).toEqual([{ jsonrpc: '2.0', id: 'p1', result: {} }])
    expect(requests).toEqual([])
  })

  test('other requests and notifications go on, with the call on whose stream they came', () => {
    const { connection, requests, notifications, say } = connected()
    const pending = connection.request(call())
    say({ jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: {} }, 1)
    say({ jsonrpc: '2.0', method: 'notifications/message', params: {} }, 1)
    say({ jsonrpc: '2.0', method: 'notifications/message', params: {} })
    say({ jsonrpc: '2.0', id: 1, result: {} })
    say({ jsonrpc: '2.0', method: 'notifications/message', params: {} }, 1)
    expect(requests).toMatchObject([{ request: { method: 'sampling/createMessage' } }])
    expect(requests[0]?.related).toBe(pending)
    expect(notifications.map(({ related }) => related)).toEqual([pending, undefined, 'gone'])
  })

  test('answers to its questions go back under its id with the bytes that came', () => {
    const { connection, channel } = connected()
    const answer = parseMessage(Buffer.from('{"jsonrpc":"2.0","id":5,"result":{"n": 1.0}}'))
    if (answer.kind !== 'result') throw new Error('It is no result.')
    connection.respond({ id: 'ask', answer })
    expect(channel.outgoing[0]?.bytes.toString()).toBe('{"jsonrpc":"2.0","id":"ask","result":{"n": 1.0}}')
    expect(channel.outgoing[0]?.requestId).toBeUndefined()
  })
})

describe('the end of a connection', () => {
  test('fails every call with its reason, and is told once', async () => {
    const { connection, clock } = connected()
    const pending = [connection.request(call()), connection.request(call())]
    const seen = pending.map(outcome)
    const reason = new HubError('upstream.lost', 'The process ended with exit code 1.')
    connection.closedBy(reason)
    connection.closedBy(new HubError('upstream.lost', 'Again.'))
    await settle()
    expect(seen.map(({ now }) => now)).toEqual(['upstream.lost', 'upstream.lost'])
    await expect(pending[0]?.answer).rejects.toMatchObject({
      message: 'Server "time" went away during the call: The process ended with exit code 1.',
      cause: reason,
      cure: expect.stringContaining('does not repeat it'),
    })
    expect(await connection.closed).toBe(reason)
    expect(connection.ended).toBe(reason)
    expect(clock.pending).toBe(0)
  })

  test('by close closes the channel too and fails the calls', async () => {
    const { connection, channel } = connected()
    const seen = outcome(connection.request(call()))
    await connection.close()
    await connection.close()
    await settle()
    expect(seen.now).toBe('upstream.lost')
    expect(channel.closeCalls).toBeGreaterThan(0)
    expect(connection.ended).toMatchObject({
      code: 'upstream.lost',
      message: 'The hub closed its connection to server "time".',
      data: { server: 'time', byHub: true },
    })
  })

  test('by the server does not count as one by the hub, also when the hub then closes what is left', async () => {
    const { connection } = connected()
    connection.closedBy(new HubError('upstream.lost', 'Gone.', { data: { server: 'time' } }))
    await connection.close()
    expect((await connection.closed).data).not.toHaveProperty('byHub')
  })

  test('makes later calls fail without sending them', async () => {
    const { connection, channel, clock } = connected()
    connection.closedBy(new HubError('upstream.lost', 'Gone.'))
    const seen = outcome(connection.request(call()))
    await settle()
    expect(seen.now).toBe('upstream.lost')
    expect(channel.sent).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test('tells of a later call that the server has certainly not seen it, so that it may be sent again', async () => {
    const { connection } = connected()
    connection.closedBy(new HubError('upstream.lost', 'Gone.'))
    await expect(connection.request(call()).answer).rejects.toMatchObject({ data: { accepted: false } })
  })

  test('makes a call before there is a channel fail as one that was never sent', async () => {
    const { connection } = connected({ attach: false })
    await expect(connection.request(call()).answer).rejects.toMatchObject({
      code: 'upstream.lost',
      message: 'The connection to server "time" has ended.',
      data: { accepted: false },
    })
  })

  test('before the channel is there closes the channel as soon as it comes', async () => {
    const { connection, channel } = connected({ attach: false })
    await connection.close()
    connection.attach(channel)
    expect(channel.closeCalls).toBe(1)
  })
})

describe('what is known of a connection', () => {
  test('its greeting, once there was one; the channel is told the revision', () => {
    const { connection, channel } = connected()
    expect(() => connection.hello).toThrow(/before it was initialized/)
    connection.greeted(serverHello('time'))
    expect(connection.hello.serverInfo.name).toBe('time')
    expect(channel.revisions).toEqual(['2025-11-25'])
  })

  test('since when no call is in flight; undefined while one is', async () => {
    const { connection, clock, say } = connected()
    expect(connection.idleSince).toBe(0)
    await clock.advance(100)
    outcome(connection.request(call()))
    outcome(connection.request(call()))
    expect(connection.idleSince).toBeUndefined()
    await clock.advance(100)
    say({ jsonrpc: '2.0', id: 1, result: {} })
    expect(connection.idleSince).toBeUndefined()
    await clock.advance(100)
    say({ jsonrpc: '2.0', id: 2, result: {} })
    expect(connection.idleSince).toBe(300)
  })
})
