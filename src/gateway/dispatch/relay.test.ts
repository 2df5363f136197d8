import { describe, expect, test } from 'vitest'
import { listing, serverSpec } from '../../../tests/fakes/domain.ts'
import { ANSWERED, type FakeInFlight, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { parseMessage, type RpcAnswer, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { Relay } from './relay.ts'
import type { CallEvent } from './servers.ts'
import { SharedState } from './shared-state.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

function make(
  specs: readonly ServerSpec[] = [serverSpec('a')],
  userOf: () => string | undefined = () => undefined,
) {
  const clock = new FakeClock()
  const traffic = new Traffic(clock)
  const shared = new SharedState(userOf)
  const { logger, lines } = recordingLogger()
  const upstream = new FakeUpstream()
  const asked: [string, string | undefined][] = []
  const observed: [Upstream, CallEvent][] = []
  /** For whom shared upstreams were looked for. */
  const sharers: (string | undefined)[] = []
  const lists = { a: listing() }
  /** What the servers give when they are asked for an upstream, and who looks at answers; replaced by tests. */
  const servers = {
    give: (): Upstream | Promise<Upstream> => upstream,
    open: (): Upstream | undefined => upstream,
    all: undefined as readonly Upstream[] | undefined,
    onAnswer: (_answer: RpcAnswer): void => undefined,
  }
  const relay = new Relay({
    servers: {
      upstream: (server, holder) => {
        asked.push([server, holder?.id])
        return servers.give()
      },
      openUpstream: (server, holder) => {
        asked.push([server, holder?.id])
        return servers.open()
      },
      sharedUpstreams: (server, holder) => {
        asked.push([server, undefined])
        sharers.push(holder?.id)
        return servers.all ?? [servers.open() ?? []].flat()
      },
      release: () => undefined,
      observed: (of, event) => observed.push([of, event]),
    },
    traffic,
    turns: new Turns(traffic, clock),
    shared,
    log: logger,
    spec: (name) => specs.find((spec) => spec.name === name),
    listing: (name) => (name === 'a' ? lists.a : undefined),
  })
  const session = makeSession('alice')
  /** Sends a request of the client on its way. */
  const start = (params: string, original = 'x', namePath: readonly string[] = ['name']): FakeInFlight => {
    const call = makeCall(session, { id: 7, server: 'a' })
    session.inFlight.set(7, call)
    const target = { spec: specs[0] ?? serverSpec('a'), original }
    relay.start(call, request(params), { target, namePath, onAnswer: (answer) => servers.onAnswer(answer) })
    return call
  }
  return {
    relay,
    clock,
    traffic,
    shared,
    lines,
    upstream,
    servers,
    asked,
    sharers,
    observed,
    lists,
    session,
    start,
  }
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
    expect([errorCode(call), session.busy, upstream.calls]).toEqual(['request.duplicate-member', false, []])
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

describe('whoever wants to look at an answer', () => {
  test('sees it before the client has it, be it a result or an error', async () => {
    const { start, upstream, servers } = make()
    const seen: [string, number][] = []
    const looking = (call: FakeInFlight) => (answer: RpcAnswer) => {
      seen.push([answer.kind, call.reply.answers.length])
    }
    const first = start('{"name":"x"}')
    servers.onAnswer = looking(first)
    upstream.lastCall.succeed({})
    await settle()
    const second = start('{"name":"x"}')
    servers.onAnswer = looking(second)
    upstream.lastCall.refuse(-1, 'no')
    await settle()
    expect(seen).toEqual([
      ['result', 0],
      ['error', 0],
    ])
    expect([first.reply.answers.length, second.reply.answers.length]).toEqual([1, 1])
  })

  test('and fails at it leaves no client waiting', async () => {
    const { start, upstream, servers, session, lines } = make()
    servers.onAnswer = () => {
      throw new TypeError('oops')
    }
    const call = start('{"name":"x"}')
    upstream.lastCall.succeed({})
    await settle()
    expect([errorCode(call), session.busy]).toEqual(['internal', false])
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

  test('frees its id at once; the server may still be at work on it', async () => {
    const { start, upstream, session, traffic } = make()
    const call = start('{"name":"x"}')
    call.cancel(undefined)
    expect(session.busy).toBe(false)
    await settle()
    expect([...traffic.of(upstream)]).toEqual([call])
    upstream.lastCall.endLate()
    expect([...traffic.of(upstream)]).toEqual([])
  })

  test('has no progress any more', () => {
    const { start, upstream } = make()
    const call = start('{"name":"x","_meta":{"progressToken":1}}')
    call.cancel(undefined)
    upstream.lastCall.call.onProgress?.(notification('notifications/progress', { progressToken: 1 }))
    expect(call.reply.messages).toEqual([])
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

  test('is not repeated when it is over already', async () => {
    const { start, upstream } = make()
    const call = start('{"name":"x"}')
    call.answer(Buffer.from('{"id":7}'), ANSWERED)
    upstream.lastCall.fail(REFUSED)
    await settle()
    expect([upstream.calls.length, call.reply.answers]).toEqual([1, ['{"id":7}']])
  })

  test('is no longer at work there; one that timed out may be', async () => {
    const { start, upstream, traffic } = make()
    start('{"name":"x"}')
    upstream.lastCall.fail(LOST)
    await settle()
    expect([...traffic.of(upstream)]).toEqual([])
    const late = start('{"name":"x"}')
    upstream.lastCall.fail(new HubError('upstream.timeout', 'Too slow.'))
    await settle()
    expect([errorCode(late), [...traffic.of(upstream)]]).toEqual(['upstream.timeout', [late]])
  })
})

describe('a call that may be carried out twice', () => {
  const READS = listing({ tools: [{ name: 'x', annotations: { readOnlyHint: true } }] })

  test('is sent once more to the replica that takes the place of the lost one, with a progress token of its own', async () => {
    const { start, upstream, servers, lists } = make()
    lists.a = READS
    const call = start('{"name":"a-x","_meta":{"progressToken":"mine"}}')
    const next = new FakeUpstream()
    servers.give = () => next
    upstream.lastCall.fail(LOST)
    await settle()
    expect([upstream.lastCall.call.progressToken, next.lastCall.call.progressToken]).toEqual([1, 2])
    next.lastCall.call.onProgress?.(notification('notifications/progress', { progressToken: 2, progress: 1 }))
    expect(call.reply.messages).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1}}',
    ])
    next.lastCall.succeed({ again: true })
    await settle()
    expect(call.reply.parsed).toMatchObject({ id: 7, result: { again: true } })
  })

  test('is not sent a third time', async () => {
    const { start, upstream, lists } = make()
    lists.a = READS
    const call = start('{"name":"x"}')
    upstream.lastCall.fail(LOST)
    await settle()
    upstream.lastCall.fail(LOST)
    await settle()
    expect([upstream.calls.length, errorCode(call)]).toEqual([2, 'upstream.lost'])
  })

  test('is not sent again when it took too long, was answered with an error, or is over', async () => {
    const { start, upstream, lists } = make()
    lists.a = READS
    const late = start('{"name":"x"}')
    upstream.lastCall.fail(new HubError('upstream.timeout', 'Too slow.'))
    await settle()
    const refused = start('{"name":"x"}')
    upstream.lastCall.refuse(-32_000, 'no')
    await settle()
    const over = start('{"name":"x"}')
    over.answer(Buffer.from('{"id":7}'), ANSWERED)
    upstream.lastCall.fail(LOST)
    await settle()
    expect([upstream.calls.length, errorCode(late)]).toEqual([3, 'upstream.timeout'])
    expect([refused.reply.answers.length, over.reply.answers]).toEqual([1, ['{"id":7}']])
  })
})

test('whoever chooses between replicas hears how each call fares', async () => {
  const { start, upstream, observed } = make()
  start('{"name":"x"}')
  upstream.lastCall.succeed({ isError: true })
  await settle()
  start('{"name":"x"}')
  upstream.lastCall.fail(new HubError('upstream.timeout', 'Too slow.'))
  await settle()
  start('{"name":"x"}').cancel(undefined)
  await settle()
  expect(observed.map(([of, event]) => [of === upstream, event])).toEqual([
    [true, 'sent'],
    [true, 'answered'],
    [true, 'sent'],
    [true, 'timeout'],
    [true, 'sent'],
    [true, 'abandoned'],
  ])
})

describe('what sessions want of a server that has several replicas', () => {
  test('is told to each of them', () => {
    const { relay, shared, session, servers, upstream } = make()
    const other = new FakeUpstream()
    servers.all = [upstream, other]
    shared.setLevel('a', session, 'warning')
    relay.tellLevel('a')
    relay.unsubscribe('a', 'x://1')
    for (const each of [upstream, other])
      expect(each.calls.map(({ call }) => call.method)).toEqual(['logging/setLevel', 'resources/unsubscribe'])
  })

  test('ends on those that the last session does not use itself', () => {
    const { relay, session, servers, upstream } = make()
    relay.unsubscribeElsewhere('a', 'x://1', session)
    const other = new FakeUpstream()
    servers.all = [upstream, other]
    relay.unsubscribeElsewhere('a', 'x://1', session)
    expect([upstream.calls.length, other.lastCall.params]).toEqual([0, { uri: 'x://1' }])
  })
})

describe('what sessions want of a server that runs for their user', () => {
  test('is told to the upstream that they share, with what they want alone', () => {
    const { relay, shared, session, servers, upstream, sharers } = make([serverSpec('a')], () => 'user:ann')
    servers.all = [upstream]
    shared.setLevel('a', session, 'warning')
    relay.tellLevel('a')
    expect(upstream.calls).toEqual([])
    relay.tellLevel('a', session)
    relay.unsubscribe('a', 'x://1', { session })
    expect(upstream.calls.map(({ params }) => params)).toEqual([{ level: 'warning' }, { uri: 'x://1' }])
    expect(sharers).toEqual(['alice', 'alice'])
  })
})

describe('what sessions want of a server together', () => {
  const told = (upstream: FakeUpstream) => upstream.calls.map(({ call, params }) => [call.method, params])

  test('is told as one level', () => {
    const { relay, shared, session, upstream, asked } = make()
    shared.setLevel('a', session, 'warning')
    relay.tellLevel('a')
    expect(asked).toEqual([['a', undefined]])
    expect(told(upstream)).toEqual([['logging/setLevel', { level: 'warning' }]])
  })

  test('is told of one session alone to the server that runs for it', () => {
    const { relay, session, upstream, asked } = make()
    relay.tellOwnLevel('a', session)
    session.logLevel = 'debug'
    relay.tellOwnLevel('a', session)
    expect(asked).toEqual([['a', 'alice']])
    expect(told(upstream)).toEqual([['logging/setLevel', { level: 'debug' }]])
  })

  test('ends with the last subscription', () => {
    const { relay, upstream } = make()
    relay.unsubscribe('a', 'x://1')
    expect(told(upstream)).toEqual([['resources/unsubscribe', { uri: 'x://1' }]])
  })

  test('starts no server and is told to none that is gone, and nothing is told of which nobody wants any', () => {
    const { relay, shared, session, servers, upstream } = make()
    relay.tellLevel('a')
    shared.setLevel('gone', session, 'debug')
    relay.tellLevel('gone')
    relay.unsubscribe('gone', 'x://1')
    servers.open = () => undefined
    servers.give = () => {
      throw new Error('It was started.')
    }
    relay.unsubscribe('a', 'x://1')
    expect(upstream.calls).toEqual([])
  })

  test('that cannot be told is worth a debug line: it is told again when the server is back', async () => {
    const { relay, upstream, lines } = make()
    relay.unsubscribe('a', 'x://1')
    upstream.lastCall.fail(LOST)
    await settle()
    expect(lines.map(({ level }) => level)).toEqual(['debug'])
  })
})

describe('a notification of a client', () => {
  const ROOTS = 'notifications/roots/list_changed'
  const own = serverSpec('own', { isolation: 'session' })

  test('goes to the upstream that its session has for itself', () => {
    const { relay, upstream, asked, session } = make([own])
    relay.notify(session, own, notification(ROOTS))
    expect(asked).toEqual([['own', 'alice']])
    expect(upstream.notified).toEqual([{ method: ROOTS, params: undefined }])
  })

  test('starts no server', () => {
    const { relay, upstream, servers, session } = make([own])
    servers.open = () => undefined
    relay.notify(session, own, notification(ROOTS))
    expect(upstream.notified).toEqual([])
  })

  test('does not go to a server that the sessions of its user share', () => {
    const { relay, asked, session } = make()
    relay.notify(session, serverSpec('a', { isolation: 'user' }), notification(ROOTS))
    expect(asked).toEqual([])
  })

  test('of any kind does not go to a server that others share', () => {
    const { relay, asked, session } = make()
    relay.notify(session, serverSpec('a'), notification(ROOTS))
    relay.notify(session, serverSpec('a'), notification('notifications/vendor/thing'))
    expect(asked).toEqual([])
  })
})
