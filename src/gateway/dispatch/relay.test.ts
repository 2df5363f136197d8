import { describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { type FakeInFlight, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { parseMessage, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { Relay } from './relay.ts'
import { SharedState } from './shared-state.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

function make(specs: readonly ServerSpec[] = [serverSpec('a')]) {
  const traffic = new Traffic()
  const shared = new SharedState()
  const { logger, lines } = recordingLogger()
  const upstream = new FakeUpstream()
  const asked: [string, string | undefined][] = []
  /** What the servers give when they are asked for an upstream; replaced by tests. */
  const servers = { give: (): Upstream | Promise<Upstream> => upstream }
  const relay = new Relay({
    servers: {
      upstream: (server, holder) => {
        asked.push([server, holder?.id])
        return servers.give()
      },
      release: () => undefined,
    },
    traffic,
    turns: new Turns(traffic, new FakeClock()),
    shared,
    log: logger,
    spec: (name) => specs.find((spec) => spec.name === name),
  })
  const session = makeSession('alice')
  /** Sends a request of the client on its way. */
  const start = (params: string, original = 'x', namePath: readonly string[] = ['name']): FakeInFlight => {
    const call = makeCall(session, { id: 7, server: 'a' })
    session.inFlight.set(7, call)
    relay.start(call, request(params), { target: { spec: specs[0] ?? serverSpec('a'), original }, namePath })
    return call
  }
  return { relay, traffic, shared, lines, upstream, servers, asked, session, start }
}

function request(params: string): RpcRequest {
  const message = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${params}}`),
  )
  if (message.kind !== 'request') throw new Error('It is no request.')
  return message
}

function notification(method: string, params?: object): RpcNotification {
  const message = parseMessage(
    Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, ...(params && { params }) })),
  )
  if (message.kind !== 'notification') throw new Error('It is no notification.')
  return message
}

const LOST = new HubError('upstream.lost', 'Gone.')
const REFUSED = new HubError('upstream.lost', 'Connection refused.', { data: { accepted: false } })

function errorCode(call: FakeInFlight): unknown {
  return (call.reply.parsed as { error?: { data?: { code?: string } } }).error?.data?.code
}

describe('a call to a server', () => {
  test('carries the own name of the tool, and its answer comes back under the id of the client', async () => {
    const { start, upstream, session, traffic } = make()
    const call = start('{"name":"a-x","arguments":{"n": 1.0}}')
    expect(upstream.lastCall.call).toMatchObject({ method: 'tools/call', limits: serverSpec('a').call })
    expect(String(upstream.lastCall.call.params)).toBe('{"name":"x","arguments":{"n": 1.0}}')
    expect([...traffic.of(upstream)]).toEqual([call])
    upstream.lastCall.succeed({ content: [] })
    await settle()
    expect(call.reply.answers).toEqual(['{"jsonrpc":"2.0","id":7,"result":{"content":[]}}'])
    expect([session.busy, [...traffic.of(upstream)]]).toEqual([false, []])
  })

  test('passes on the error of the server', async () => {
    const { start, upstream } = make()
    const call = start('{"name":"x"}')
    upstream.lastCall.refuse(-32_602, 'no such tool')
    await settle()
    expect(call.reply.parsed).toMatchObject({ id: 7, error: { code: -32_602, message: 'no such tool' } })
  })

  test('waits for a server that is just starting', async () => {
    const { start, upstream, servers } = make()
    const { promise, resolve } = Promise.withResolvers<Upstream>()
    servers.give = () => promise
    start('{"name":"x"}')
    await settle()
    expect(upstream.calls).toEqual([])
    resolve(upstream)
    await settle()
    expect(upstream.calls).toHaveLength(1)
  })

  test.each(['throws', 'rejects'])(
    'is answered with the reason when there is no server (%s)',
    async (how) => {
      const { start, servers, session } = make()
      const reason = new HubError('server.unavailable', 'Server "a" is down.')
      servers.give = () => {
        if (how === 'throws') throw reason
        return Promise.reject(reason)
      }
      const call = start('{"name":"x"}')
      await settle()
      expect([errorCode(call), session.busy]).toEqual(['server.unavailable', false])
    },
  )

  test('whose parameters cannot be exchanged is answered with the reason', async () => {
    const { start, upstream, session } = make()
    const call = start('{"name":"a-y","name":"a-x"}')
    await settle()
    expect([errorCode(call), session.busy, upstream.calls]).toEqual(['request.invalid-params', false, []])
  })

  test('is logged when something inside the hub went wrong', async () => {
    const { start, servers, lines } = make()
    servers.give = () => {
      throw new TypeError('oops')
    }
    const call = start('{"name":"x"}')
    expect(errorCode(call)).toBe('internal')
    expect(lines.map(({ level }) => level)).toEqual(['error'])
  })
})

describe('progress of a call', () => {
  test('has a token of the hub on the way there and that of the client on the way back', () => {
    const { start, upstream } = make()
    const call = start('{"name":"x","_meta":{"progressToken":"mine"}}')
    start('{"name":"x","_meta":{"progressToken":"mine"}}')
    expect(upstream.calls.map(({ call: sent, params }) => [sent.progressToken, params])).toEqual([
      [1, { name: 'x', _meta: { progressToken: 1 } }],
      [2, { name: 'x', _meta: { progressToken: 2 } }],
    ])
    upstream.calls[0]?.call.onProgress?.(
      notification('notifications/progress', { progressToken: 1, progress: 0.5, message: 'half' }),
    )
    expect(call.reply.messages).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":0.5,"message":"half"}}',
    ])
  })

  test('is not asked for when the client does not', () => {
    const { start, upstream } = make()
    start('{"name":"x"}')
    expect(upstream.lastCall.call.progressToken).toBeUndefined()
    expect(upstream.lastCall.call.onProgress).toBeUndefined()
  })
})

describe('a call that is cancelled', () => {
  test('has no answer, and the server is told', async () => {
    const { start, upstream, session } = make()
    const call = start('{"name":"x"}')
    call.cancel('enough')
    await settle()
    expect(upstream.lastCall.cancellations).toEqual(['enough'])
    expect([call.reply.answers, call.reply.abandoned, session.busy]).toEqual([[], true, false])
  })

  test('before it was sent is not sent', async () => {
    const { start, upstream, servers, session } = make()
    const { promise, resolve } = Promise.withResolvers<Upstream>()
    servers.give = () => promise
    const call = start('{"name":"x"}')
    call.cancel(undefined)
    resolve(upstream)
    await settle()
    expect([upstream.calls, call.reply.answers, call.reply.abandoned]).toEqual([[], [], true])
    expect(session.busy).toBe(false)
  })
})

describe('a call whose server is lost', () => {
  test('is not repeated when it may have been taken up', async () => {
    const { start, upstream } = make()
    const call = start('{"name":"x"}')
    upstream.lastCall.fail(LOST)
    await settle()
    expect([upstream.calls.length, errorCode(call)]).toEqual([1, 'upstream.lost'])
  })

  test('is repeated once when it has certainly not been taken up', async () => {
    const { start, upstream, servers, session } = make()
    const call = start('{"name":"a-x"}')
    const next = new FakeUpstream()
    servers.give = () => next
    upstream.lastCall.fail(REFUSED)
    await settle()
    expect(call.reply.answers).toEqual([])
    expect(session.inFlight.get(7)).toBe(call)
    expect(next.lastCall.params).toEqual({ name: 'x' })
    next.lastCall.succeed({ again: true })
    await settle()
    expect(call.reply.parsed).toMatchObject({ id: 7, result: { again: true } })
  })

  test('is not repeated a second time', async () => {
    const { start, upstream } = make()
    const call = start('{"name":"x"}')
    upstream.lastCall.fail(REFUSED)
    await settle()
    upstream.lastCall.fail(REFUSED)
    await settle()
    expect([upstream.calls.length, errorCode(call)]).toEqual([2, 'upstream.lost'])
  })

  test('is not repeated when the client does not want it any more', async () => {
    const { start, upstream } = make()
    const call = start('{"name":"x"}')
    call.cancelled = true
    upstream.lastCall.fail(REFUSED)
    await settle()
    expect([upstream.calls.length, call.reply.abandoned]).toEqual([1, true])
  })
})

describe('what sessions want of a server together', () => {
  test('is told as one level', async () => {
    const { relay, shared, session, upstream } = make()
    shared.setLevel('a', session, 'warning')
    relay.tellLevel('a')
    await settle()
    expect(upstream.calls.map(({ call, params }) => [call.method, params])).toEqual([
      ['logging/setLevel', { level: 'warning' }],
    ])
  })

  test('is not told to servers that are gone, isolated, or of which nobody wants anything', async () => {
    const { relay, shared, session, asked } = make([
      serverSpec('a'),
      serverSpec('own', { isolation: 'session' }),
    ])
    for (const server of ['own', 'gone']) shared.setLevel(server, session, 'debug')
    for (const server of ['a', 'own', 'gone']) relay.tellLevel(server)
    relay.unsubscribe('gone', 'x://1')
    await settle()
    expect(asked).toEqual([])
  })

  test('ends with the last subscription', async () => {
    const { relay, upstream } = make()
    relay.unsubscribe('a', 'x://1')
    await settle()
    expect(upstream.lastCall.call.method).toBe('resources/unsubscribe')
    expect(upstream.lastCall.params).toEqual({ uri: 'x://1' })
  })

  test('that cannot be told is worth a debug line: it is told again when the server is back', async () => {
    const { relay, servers, lines } = make()
    servers.give = () => Promise.reject(new HubError('server.unavailable', 'Down.'))
    relay.unsubscribe('a', 'x://1')
    await settle()
    expect(lines.map(({ level }) => level)).toEqual(['debug'])
  })
})

describe('a notification of a client', () => {
  const ROOTS = 'notifications/roots/list_changed'

  test('goes to the upstream that only its session uses', async () => {
    const spec = serverSpec('own', { isolation: 'session' })
    const { relay, upstream, asked, session } = make([spec])
    relay.notify(session, spec, notification(ROOTS))
    await settle()
    expect(asked).toEqual([['own', 'alice']])
    expect(upstream.notified).toEqual([{ method: ROOTS, params: undefined }])
  })

  test('of changed roots does not go to a server that others share', async () => {
    const { relay, asked, session } = make()
    relay.notify(session, serverSpec('a'), notification(ROOTS))
    await settle()
    expect(asked).toEqual([])
  })

  test.fails('of any kind does not go to a server that others share', async () => {
    // The comments here and at `Dispatcher.#passOn` say so; the code holds back changed roots only. On /mcp any unknown
    // notification goes to all servers: it wakes those that sleep and starts a process for each isolated one.
    const { relay, asked, session } = make()
    relay.notify(session, serverSpec('a'), notification('notifications/vendor/thing'))
    await settle()
    expect(asked).toEqual([])
  })
})
