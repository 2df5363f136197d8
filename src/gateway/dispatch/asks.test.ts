import { describe, expect, test } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { ANSWERED, type FakeInFlight, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { type FakeCall, FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import { parseMessage, type RpcAnswer, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts'
import type { Related } from '../../upstream/upstream.ts'
import { Asks } from './asks.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

const CAPABLE = { sampling: {}, elicitation: {}, roots: {} }

function parse(message: Record<string, unknown>) {
  return parseMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })))
}

function request(method: string, params?: object, id: string | number = 'up-1'): RpcRequest {
  const message = parse({ id, method, ...(params ? { params } : {}) })
  if (message.kind !== 'request') throw new Error('It is no request.')
  return message
}

function notification(method: string, params: object): RpcNotification {
  const message = parse({ method, params })
  if (message.kind !== 'notification') throw new Error('It is no notification.')
  return message
}

function answer(id: string | number, result: unknown): RpcAnswer {
  const message = parse({ id, result })
  if (message.kind !== 'result') throw new Error('It is no answer.')
  return message
}

function make() {
  const clock = new FakeClock()
  const traffic = new Traffic(clock)
  const turns = new Turns(traffic, clock)
  const { logger, lines } = recordingLogger()
  const asks = new Asks({ traffic, turns, clock, log: logger })
  const upstream = new FakeUpstream()
  const session = (name: string, capabilities: object = CAPABLE) =>
    makeSession(name, { capabilities: { ...capabilities } })
  /** A call of `of` that is in flight. */
  const call = (of: ReturnType<typeof makeSession>): { inFlight: FakeInFlight; pending: FakeCall } => {
    const inFlight = makeCall(of)
    const pending = upstream.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
    inFlight.sent = { upstream, pending }
    traffic.add(upstream, pending, inFlight)
    return { inFlight, pending }
  }
  const end = async ({ inFlight, pending }: ReturnType<typeof call>) => {
    traffic.remove(upstream, pending)
    turns.finished(inFlight)
    await settle()
  }
  const ask = (asked: RpcRequest, related?: Related) =>
    asks.fromShared({ server: 'pipe', upstream, request: asked }, related)
  /** What the server got as answers to its questions. */
  const responses = () => upstream.responded.map(({ id, answer: given }) => [id, read(given)])
  return { clock, turns, asks, upstream, session, call, end, ask, responses, lines }
}

function read(given: RpcAnswer): unknown {
  return given.kind === 'result' ? given.result : (given.error.data as { code: string }).code
}

const SAMPLING = request('sampling/createMessage', { maxTokens: 5 })

describe("a server's question", () => {
  test('goes to the client whose call is the only one in flight, under an id of its own', () => {
    const { session, call, ask } = make()
    const { inFlight, pending } = call(session('alice'))
    ask(SAMPLING)
    expect(inFlight.reply.messages).toEqual([
      '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"maxTokens":5}}',
    ])
    expect(pending.holds).toBe(1)
  })

  test('goes to a call that is not over, if the session has one', () => {
    const { session, call, ask } = make()
    const alice = session('alice')
    const [first, second] = [call(alice), call(alice)]
    second.inFlight.cancel(undefined)
    ask(SAMPLING)
    expect([first.inFlight.reply.messages.length, second.inFlight.reply.messages.length]).toEqual([1, 0])
  })

  test('goes back answered under the id of the server, and the call goes on', async () => {
    const { session, call, ask, asks, responses } = make()
    const alice = session('alice')
    const { pending } = call(alice)
    ask(SAMPLING)
    asks.answered(alice, answer(1, { n: 1 }))
    await settle()
    expect(responses()).toEqual([['up-1', { n: 1 }]])
    expect(pending.holds).toBe(0)
    expect(alice.asks.size).toBe(0)
  })

  test('is answered once: a second answer, and one to nothing, are dropped', async () => {
    const { session, call, ask, asks, responses, lines } = make()
    const alice = session('alice')
    call(alice)
    ask(SAMPLING)
    for (const id of [1, 1, 99, 'x']) asks.answered(alice, answer(id, {}))
    await settle()
    expect(responses()).toHaveLength(1)
    expect(lines).toHaveLength(3)
  })

  test('cannot be answered by another client', async () => {
    const { session, call, ask, asks, responses } = make()
    call(session('alice'))
    ask(SAMPLING)
    asks.answered(session('bob'), answer(1, { forged: true }))
    await settle()
    expect(responses()).toEqual([])
  })

  test('goes to the call that the transport names, however many there are', () => {
    const { session, call, ask } = make()
    const alice = call(session('alice'))
    const bob = call(session('bob'))
    ask(SAMPLING, alice.pending)
    expect([alice.inFlight.reply.messages.length, bob.inFlight.reply.messages.length]).toEqual([1, 0])
  })

  test('goes to the stream of the session when nobody listens to the call any more', () => {
    const { session, call, ask } = make()
    const alice = session('alice')
    const { inFlight } = call(alice)
    inFlight.reply.reachable = false
    ask(SAMPLING)
    expect([inFlight.reply.messages.length, alice.stream.sent.length]).toEqual([0, 1])
  })
})

describe('a question is refused', () => {
  test('when no call is in flight: nobody can be asked', () => {
    const { ask, responses } = make()
    ask(SAMPLING)
    expect(responses()).toEqual([['up-1', 'client.ambiguous']])
  })

  test('when its session has ended', () => {
    const { session, call, ask, responses } = make()
    const alice = session('alice')
    call(alice)
    alice.ended = new HubError('session.unknown', 'Over.')
    ask(SAMPLING)
    expect(responses()).toEqual([['up-1', 'client.gone']])
  })

  test('when it came on the stream of a call that is over, or that is not known any more', () => {
    const { session, call, ask, responses } = make()
    const { inFlight, pending } = call(session('alice'))
    ask(SAMPLING, 'gone')
    inFlight.cancel(undefined)
    ask(SAMPLING, pending)
    expect(responses()).toEqual([
      ['up-1', 'client.ambiguous'],
      ['up-1', 'client.ambiguous'],
    ])
  })

  test('when only calls are at work that nobody waits for', () => {
    const { session, call, ask, responses } = make()
    call(session('alice')).inFlight.cancel(undefined)
    ask(SAMPLING)
    expect(responses()).toEqual([['up-1', 'client.ambiguous']])
  })

  test('when its progress token stands there twice', () => {
    const { session, call, ask, responses } = make()
    call(session('alice'))
    const text =
      '{"jsonrpc":"2.0","id":"up-1","method":"vendor/ask","params":{"_meta":{"progressToken":1,"progressToken":2}}}'
    const asked = parseMessage(Buffer.from(text))
    if (asked.kind !== 'request') throw new Error('It is no request.')
    ask(asked)
    expect(responses()).toEqual([['up-1', 'request.duplicate-member']])
  })

  test.each([
    ['sampling/createMessage', {}, {}, false],
    ['sampling/createMessage', {}, { sampling: {} }, true],
    ['roots/list', {}, { sampling: {} }, false],
    ['roots/list', {}, { roots: { listChanged: true } }, true],
    ['elicitation/create', {}, {}, false],
    ['elicitation/create', {}, { elicitation: {} }, true],
    ['elicitation/create', { mode: 'form' }, { elicitation: { form: {} } }, true],
    ['elicitation/create', { mode: 'url' }, { elicitation: {} }, false],
    ['elicitation/create', { mode: 'url' }, { elicitation: { form: {} } }, false],
    ['elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }, true],
    ['vendor/ask', {}, {}, true],
  ])(
    'when the client cannot do it: %s %j by a client with %j: %s',
    (method, params, capabilities, passes) => {
      const { session, call, ask, responses } = make()
      const { inFlight } = call(session('alice', capabilities))
      ask(request(method, params))
      expect(inFlight.reply.messages.length).toBe(passes ? 1 : 0)
      expect(responses()).toEqual(passes ? [] : [['up-1', 'client.unsupported']])
    },
  )
})

describe('a question while calls of several clients are in flight', () => {
  test('waits until the calls that ended leave one client, which is asked', async () => {
    const { session, call, end, ask, responses } = make()
    const alice = call(session('alice'))
    const bob = call(session('bob'))
    ask(SAMPLING)
    await settle()
    expect([alice.inFlight.reply.messages, bob.inFlight.reply.messages]).toEqual([[], []])
    await end(alice)
    expect(bob.inFlight.reply.messages).toHaveLength(1)
    expect(responses()).toEqual([])
  })

  test('is refused after 10 s, with the cure that makes it possible', async () => {
    const { session, call, ask, clock, upstream } = make()
    call(session('alice'))
    call(session('bob'))
    ask(SAMPLING)
    await clock.advance(9_999)
    expect(upstream.responded).toEqual([])
    await clock.advance(1)
    expect(upstream.responded[0]?.answer).toMatchObject({
      kind: 'error',
      error: {
        message: expect.stringContaining('"isolation": "session"'),
        data: { code: 'client.ambiguous' },
      },
    })
    expect(clock.pending).toBe(0)
  })

  test('never goes to a call that came after it', async () => {
    const { session, call, end, ask, responses, upstream } = make()
    const calls = [call(session('alice')), call(session('bob'))]
    ask(SAMPLING)
    const carol = call(session('carol'))
    // Both end before anybody looks again.
    await Promise.all(calls.map(end))
    expect([carol.inFlight.reply.messages, upstream.responded.length]).toEqual([[], 1])
    expect(responses()).toEqual([['up-1', 'client.ambiguous']])
  })

  test('is refused at once when its server ends', async () => {
    const { session, call, end, ask, responses, upstream } = make()
    const alice = call(session('alice'))
    call(session('bob'))
    call(session('carol'))
    ask(SAMPLING)
    upstream.end()
    await end(alice)
    expect(responses()).toEqual([['up-1', 'client.ambiguous']])
  })

  test('is put to nobody when the server takes it back meanwhile', async () => {
    const { session, call, end, ask, asks, responses, upstream } = make()
    const [alice, bob] = [call(session('alice')), call(session('bob'))]
    ask(SAMPLING)
    asks.withdrawn(upstream, notification('notifications/cancelled', { requestId: 'up-1' }), [])
    await end(alice)
    expect([bob.inFlight.reply.messages, responses()]).toEqual([[], []])
  })

  test('is the only one that is put to nobody when the server takes it back', async () => {
    const { session, call, end, ask, asks, upstream } = make()
    const [alice, bob] = [call(session('alice')), call(session('bob'))]
    ask(SAMPLING)
    ask(request('sampling/createMessage', { n: 2 }, 'up-2'))
    asks.withdrawn(upstream, notification('notifications/cancelled', { requestId: 'up-1' }), [])
    asks.withdrawn(new FakeUpstream(), notification('notifications/cancelled', { requestId: 'up-2' }), [])
    await end(alice)
    expect(bob.inFlight.reply.messages.map((text) => JSON.parse(text).params)).toEqual([{ n: 2 }])
  })

  test('that comes while nothing is at work makes nobody take turns', () => {
    const { session, ask, turns, upstream, call } = make()
    ask(SAMPLING)
    const going: string[] = []
    turns.finished(makeCall(session('prover')))
    call(session('alice'))
    turns.take(makeCall(session('bob')), upstream, () => going.push('bob'))
    expect(going).toEqual(['bob'])
  })

  test('makes calls to that server take turns from then on', () => {
    const { session, call, ask, turns, upstream } = make()
    const { inFlight } = call(session('alice'))
    turns.finished(inFlight)
    ask(SAMPLING)
    const going: string[] = []
    turns.take(makeCall(session('bob')), upstream, () => going.push('bob'))
    expect(going).toEqual([])
  })
})

describe('a question on an upstream that one session has for itself', () => {
  test('goes to that session, with its newest call or without any', () => {
    const { session, call, asks, upstream } = make()
    const alice = session('alice')
    asks.fromOwn({ server: 'own', upstream, request: SAMPLING }, alice)
    expect(alice.stream.sent).toHaveLength(1)
    const { inFlight } = call(alice)
    asks.fromOwn({ server: 'own', upstream, request: SAMPLING }, alice)
    expect(inFlight.reply.messages).toHaveLength(1)
    expect([...alice.asks.keys()]).toEqual([1, 2])
  })
})

describe('a question that nobody answers', () => {
  test.each([
    ['10 minutes, for a client that listens to the call', true, false, 600_000],
    ['10 minutes, for a client that listens at all', false, true, 600_000],
    ['a minute, for a client that listens nowhere', false, false, 60_000],
  ])('is given up after %s', async (_what, reachable, attached, ms) => {
    const { session, call, ask, asks, clock, responses } = make()
    const alice = session('alice')
    const { inFlight, pending } = call(alice)
    inFlight.reply.reachable = reachable
    alice.stream.attached = attached
    ask(SAMPLING)
    await clock.advance(ms - 1)
    expect([responses(), pending.holds]).toEqual([[], 1])
    await clock.advance(1)
    expect([responses(), pending.holds]).toEqual([[['up-1', 'client.gone']], 0])
    asks.answered(alice, answer(1, {}))
    expect(responses()).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('is taken back at the client when it is given up', async () => {
    const { session, call, ask, clock } = make()
    const { inFlight } = call(session('alice'))
    ask(SAMPLING)
    await clock.advance(600_000)
    expect(inFlight.reply.messages.at(-1)).toContain('notifications/cancelled')
  })

  test('is given up after a minute when it belongs to no call and the client listens nowhere', async () => {
    const { session, asks, upstream, clock, responses } = make()
    asks.fromOwn({ server: 'own', upstream, request: SAMPLING }, session('alice'))
    await clock.advance(59_999)
    expect(responses()).toEqual([])
    await clock.advance(1)
    expect(responses()).toEqual([['up-1', 'client.gone']])
  })

  test('leaves no timer when it is answered', () => {
    const { session, call, ask, asks, clock } = make()
    const alice = session('alice')
    call(alice)
    ask(SAMPLING)
    asks.answered(alice, answer(1, {}))
    expect(clock.pending).toBe(0)
  })
})

describe('an elicitation by URL', () => {
  const asked = request('elicitation/create', { mode: 'url', elicitationId: 'e1' })
  const complete = (elicitationId: string) =>
    notification('notifications/elicitation/complete', { elicitationId })

  test('is told to be complete to the session that was sent there, once, though its call may be over', () => {
    const { session, call, asks, upstream, ask } = make()
    const alice = session('alice', { elicitation: { url: {} } })
    const { inFlight } = call(alice)
    ask(asked)
    inFlight.answer(Buffer.from('{}'), ANSWERED)
    for (let round = 0; round < 2; round += 1) asks.elicitationComplete('pipe', upstream, complete('e1'))
    expect(alice.stream.sent).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e1"}}',
    ])
  })

  test('is told to nobody when it is unknown, of another server, or of a session that has ended', () => {
    const { session, call, asks, upstream, ask } = make()
    const alice = session('alice', { elicitation: { url: {} } })
    call(alice)
    ask(asked)
    asks.elicitationComplete('pipe', upstream, complete('e2'))
    asks.elicitationComplete('pipe', new FakeUpstream(), complete('e1'))
    alice.ended = new HubError('session.unknown', 'Over.')
    asks.elicitationComplete('pipe', upstream, complete('e1'))
    expect(alice.stream.sent).toEqual([])
  })

  test('is one of a thousand at most that are remembered: the oldest is forgotten', () => {
    const { session, call, asks, upstream, ask } = make()
    const alice = session('alice', { elicitation: { url: {} } })
    call(alice)
    const named = (n: number) => request('elicitation/create', { mode: 'url', elicitationId: `e${n}` })
    for (let n = 0; n <= 1_000; n += 1) ask(named(n))
    for (const id of ['e0', 'e1']) asks.elicitationComplete('pipe', upstream, complete(id))
    expect(alice.stream.sent.map((text) => JSON.parse(text).params)).toEqual([{ elicitationId: 'e1' }])
  })

  test('is told of each server, though two servers chose the same id', () => {
    const { session, call, asks, upstream, ask } = make()
    const alice = session('alice', { elicitation: { url: {} } })
    call(alice)
    ask(asked)
    const bob = session('bob', { elicitation: { url: {} } })
    asks.fromOwn({ server: 'other', upstream: new FakeUpstream(), request: asked }, bob)
    asks.elicitationComplete('pipe', upstream, complete('e1'))
    expect(alice.stream.sent).toHaveLength(1)
  })
})

describe('progress on a question', () => {
  const asked = request('sampling/createMessage', { _meta: { progressToken: 'server-token' } })

  test('travels under our id to the client, and under the token of the server back', () => {
    const { session, call, ask, asks, upstream } = make()
    const alice = session('alice')
    const { inFlight } = call(alice)
    ask(asked)
    expect(inFlight.reply.messages[0]).toContain('"_meta":{"progressToken":1}')
    asks.progressed(alice, notification('notifications/progress', { progressToken: 1, progress: 0.5 }))
    expect(upstream.notified.map(({ method, params }) => [method, String(params)])).toEqual([
      ['notifications/progress', '{"progressToken":"server-token","progress":0.5}'],
    ])
  })

  test('that nobody asked for is dropped', () => {
    const { session, call, ask, asks, upstream } = make()
    const alice = session('alice')
    call(alice)
    ask(SAMPLING)
    for (const progressToken of [1, 2, 'x'])
      asks.progressed(alice, notification('notifications/progress', { progressToken, progress: 1 }))
    expect(upstream.notified).toEqual([])
  })
})

describe('a question that the server takes back', () => {
  test('is taken back at the client, and an answer that comes later is dropped', async () => {
    const { session, call, ask, asks, upstream, responses } = make()
    const alice = session('alice')
    const { inFlight } = call(alice)
    ask(SAMPLING)
    const taken = notification('notifications/cancelled', { requestId: 'up-1', reason: 'no longer needed' })
    asks.withdrawn(upstream, taken, [session('bob'), alice])
    expect(inFlight.reply.messages[1]).toBe(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"no longer needed"}}',
    )
    asks.answered(alice, answer(1, {}))
    await settle()
    expect(responses()).toEqual([])
  })

  test('is told by its id and its upstream', () => {
    const { session, call, ask, asks, upstream } = make()
    const alice = session('alice')
    call(alice)
    ask(SAMPLING)
    asks.withdrawn(upstream, notification('notifications/cancelled', { requestId: 'up-2' }), [alice])
    asks.withdrawn(new FakeUpstream(), notification('notifications/cancelled', { requestId: 'up-1' }), [
      alice,
    ])
    expect(alice.asks.size).toBe(1)
  })

  test('leaves the call with its time limit as it was before the question', () => {
    const { session, call, ask, asks, upstream, clock } = make()
    const alice = session('alice')
    const { pending } = call(alice)
    ask(SAMPLING)
    asks.withdrawn(upstream, notification('notifications/cancelled', { requestId: 'up-1' }), [alice])
    expect([pending.holds, clock.pending]).toEqual([0, 0])
  })
})

describe('a client that leaves', () => {
  test('has all its open questions answered with an error', () => {
    const { session, call, ask, asks, responses } = make()
    const alice = session('alice')
    call(alice)
    ask(SAMPLING)
    ask(request('roots/list', undefined, 'up-2'))
    asks.abandon(alice)
    expect(responses()).toEqual([
      ['up-1', 'client.gone'],
      ['up-2', 'client.gone'],
    ])
    expect(alice.asks.size).toBe(0)
  })
})
