import { describe, expect, test } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { principal } from '../../../tests/fakes/principals.ts'
import { ANSWERED, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { parseMessage, type RpcNotification } from '../../mcp/json-rpc.ts'
import type { Related } from '../../upstream/upstream.ts'
import type { ListKind } from '../catalog/listing.ts'
import type { Session } from '../sessions/session.ts'
import { Asks } from './asks.ts'
import { Inbound } from './inbound.ts'
import { SharedState } from './shared-state.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

function notification(method: string, params?: object): RpcNotification {
  const message = parseMessage(
    Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, ...(params && { params }) })),
  )
  if (message.kind !== 'notification') throw new Error('It is no notification.')
  return message
}

function make(userOf: (server: string, session: Session) => string | undefined = () => undefined) {
  const clock = new FakeClock()
  const traffic = new Traffic(clock)
  const shared = new SharedState(userOf)
  const { logger, lines } = recordingLogger()
  const upstream = new FakeUpstream()
  const changes: [string, readonly ListKind[]][] = []
  const alice = makeSession('alice')
  const bob = makeSession('bob', { principal: principal('key:bob', { username: 'bob' }) })
  const asks = new Asks({ traffic, turns: new Turns(traffic, clock), clock, log: logger })
  /** Which upstream each session uses, where a test says so. */
  const uses = new Map<string, FakeUpstream>()
  const inbound = new Inbound({
    servers: { openUpstream: (_server, holder) => uses.get(holder?.id ?? '') },
    asks,
    traffic,
    shared,
    log: logger,
    listChanged: (server, _upstream, kinds) => changes.push([server, kinds]),
    sessions: () => [alice, bob],
  })
  /** The server says something: on the shared upstream, or on that of `owner`. */
  const say = (message: RpcNotification, parts: { owner?: Session; user?: string; related?: Related } = {}) =>
    inbound.notification(message, {
      server: 'a',
      upstream,
      owner: parts.owner,
      user: parts.user,
      related: parts.related,
    })
  const call = (session: Session) => {
    const inFlight = makeCall(session, { server: 'a' })
    const pending = upstream.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
    inFlight.sent = { upstream, pending }
    traffic.add(upstream, pending, inFlight)
    return { inFlight, pending }
  }
  return { shared, asks, upstream, uses, changes, alice, bob, say, call, lines }
}

const LOG = (level: string) => notification('notifications/message', { level, data: 'text' })

describe('a change of lists', () => {
  test.each([
    ['notifications/tools/list_changed', ['tools']],
    ['notifications/prompts/list_changed', ['prompts']],
    ['notifications/resources/list_changed', ['resources', 'templates']],
  ])('%s has these lists read again: %j', (method, kinds) => {
    const { say, changes, alice } = make()
    say(notification(method))
    expect(changes).toEqual([['a', kinds]])
    expect([alice.stream.sent, alice.stream.hints]).toEqual([[], []])
  })

  test("of a session's own server is told to that session and to nobody else", () => {
    const { say, changes, alice, bob } = make()
    say(notification('notifications/tools/list_changed'), { owner: alice })
    expect(changes).toEqual([])
    expect([alice.stream.hints, bob.stream.hints]).toEqual([['notifications/tools/list_changed'], []])
  })
})

describe('an update of a resource', () => {
  const updated = notification('notifications/resources/updated', { uri: 'x://1/part', n: 1 })

  test('is told to those who subscribed, once each', () => {
    const { say, shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://1/part', alice)
    shared.subscribe('b', 'x://1', bob)
    say(updated)
    expect(alice.stream.sent).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1/part","n":1}}',
    ])
    expect(bob.stream.sent).toEqual([])
  })

  test('is told to those who use the replica that it comes from, and to those who use none', () => {
    const { say, shared, uses, upstream, alice, bob } = make()
    for (const session of [alice, bob]) shared.subscribe('a', 'x://1', session)
    uses.set('alice', new FakeUpstream())
    say(updated)
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([0, 1])
    uses.set('alice', upstream)
    say(updated)
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([1, 2])
  })

  test("of a session's own server is told to that session", () => {
    const { say, shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', bob)
    say(updated, { owner: alice })
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([1, 0])
  })

  test('without a URI concerns nobody', () => {
    const { say, shared, alice } = make()
    shared.subscribe('a', 'x://1', alice)
    say(notification('notifications/resources/updated', {}))
    expect(alice.stream.sent).toEqual([])
  })
})

describe('a log message', () => {
  test('that belongs to no call goes to those who use the replica that it comes from', () => {
    const { say, shared, uses, alice, bob } = make()
    for (const session of [alice, bob]) {
      shared.setLevel('a', session, 'debug')
      session.logLevel = 'debug'
    }
    uses.set('alice', new FakeUpstream())
    say(LOG('error'))
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([0, 1])
  })

  test('goes to the client whose call is the only one in flight', () => {
    const { say, call, alice, bob, shared } = make()
    shared.setLevel('a', bob, 'debug')
    bob.logLevel = 'debug'
    const { inFlight } = call(alice)
    say(LOG('error'))
    expect(inFlight.reply.messages).toHaveLength(1)
    expect(bob.stream.sent).toEqual([])
  })

  test('goes to the call that the transport names', () => {
    const { say, call, alice, bob } = make()
    const first = call(alice)
    const second = call(bob)
    say(LOG('error'), { related: first.pending })
    expect([first.inFlight.reply.messages.length, second.inFlight.reply.messages.length]).toEqual([1, 0])
  })

  test('goes to nobody when it cannot be told whose it is: to others it would be a leak', () => {
    const { say, call, alice, bob, shared, lines } = make()
    for (const session of [alice, bob]) {
      session.logLevel = 'debug'
      shared.setLevel('a', session, 'debug')
    }
    const calls = [call(alice), call(bob)]
    say(LOG('error'))
    expect(calls.flatMap(({ inFlight }) => inFlight.reply.messages)).toEqual([])
    expect([...alice.stream.sent, ...bob.stream.sent]).toEqual([])
    expect(lines.map(({ level }) => level)).toEqual(['debug'])
  })

  test.each(['the call is over', 'the call is not known any more', 'all calls at work are over'])(
    'goes to nobody when %s: to others it would be a leak',
    (why) => {
      const { say, call, alice, bob, shared } = make()
      bob.logLevel = 'debug'
      shared.setLevel('a', bob, 'debug')
      const { inFlight, pending } = call(alice)
      inFlight.answer(Buffer.from('{}'), ANSWERED)
      if (why === 'the call is over') say(LOG('error'), { related: pending })
      else if (why === 'the call is not known any more') say(LOG('error'), { related: 'gone' })
      else say(LOG('error'))
      expect([inFlight.reply.messages, bob.stream.sent, alice.stream.sent]).toEqual([[], [], []])
    },
  )

  test('of no call goes to all who set a level on that server, if it is severe enough for them', () => {
    const { say, alice, bob, shared } = make()
    alice.logLevel = 'info'
    bob.logLevel = 'error'
    shared.setLevel('a', alice, 'info')
    shared.setLevel('a', bob, 'error')
    say(LOG('warning'))
    say(LOG('critical'))
    say(LOG('debug'))
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([2, 1])
  })

  test.each([
    ['error', 'warning', false],
    ['error', 'error', true],
    ['error', 'made-up', true],
    [undefined, 'debug', true],
  ] as const)('of a call with level %s: a message of level %s is shown: %s', (asked, level, shown) => {
    const { say, call, alice } = make()
    alice.logLevel = asked
    const { inFlight } = call(alice)
    say(LOG(level))
    expect(inFlight.reply.messages).toHaveLength(shown ? 1 : 0)
  })

  test('that another session asked for is not shown to one that set no level', () => {
    const { say, call, alice, bob, shared } = make()
    shared.setLevel('a', bob, 'debug')
    const { inFlight } = call(alice)
    say(LOG('debug'))
    say(LOG('info'))
    expect(inFlight.reply.messages).toHaveLength(1)
    expect(inFlight.reply.messages[0]).toContain('"level":"info"')
  })

  test("of a session's own server goes to it with its call, or outside of it", () => {
    const { say, call, alice } = make()
    say(LOG('debug'), { owner: alice })
    const { inFlight } = call(alice)
    say(LOG('debug'), { owner: alice })
    expect([alice.stream.sent.length, inFlight.reply.messages.length]).toEqual([1, 1])
  })

  test('goes to the stream of the session when nobody listens to the call any more', () => {
    const { say, call, alice } = make()
    call(alice).inFlight.reply.reachable = false
    say(LOG('error'))
    expect(alice.stream.sent).toHaveLength(1)
  })
})

describe('any other notification', () => {
  test('goes to the client whose call it can only belong to', () => {
    const { say, call, alice } = make()
    const { inFlight } = call(alice)
    say(notification('vendor/thing', { n: 1 }))
    expect(inFlight.reply.messages).toEqual(['{"jsonrpc":"2.0","method":"vendor/thing","params":{"n":1}}'])
  })

  test('that an elicitation is complete goes to the session that was asked, whatever calls there are', () => {
    const { say, call, asks, upstream, alice, bob } = make()
    const asked = parseMessage(
      Buffer.from('{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"elicitationId":"e"}}'),
    )
    if (asked.kind !== 'request') throw new Error('It is no request.')
    Object.assign(alice.identity.capabilities, { elicitation: { url: {} } })
    asks.fromOwn({ server: 'a', upstream, request: asked }, alice)
    const { inFlight } = call(bob)
    say(notification('notifications/elicitation/complete', { elicitationId: 'e' }))
    expect([alice.stream.sent.length, inFlight.reply.messages]).toEqual([2, []])
  })

  test("of a session's own server goes to that session, known elicitation or not", () => {
    const { say, alice } = make()
    say(notification('notifications/elicitation/complete', { elicitationId: 'own' }), { owner: alice })
    expect(alice.stream.sent).toHaveLength(1)
  })

  test('that can concern several clients, or none, goes to nobody', () => {
    const { say, call, alice, bob, lines } = make()
    say(notification('vendor/thing'))
    const calls = [call(alice), call(bob)]
    say(notification('vendor/thing'))
    expect(calls.flatMap(({ inFlight }) => inFlight.reply.messages)).toEqual([])
    expect(lines).toHaveLength(2)
  })

  test('that takes a question back finds the session that was asked', () => {
    const { say, asks, upstream, call, bob } = make()
    bob.stream.attached = true
    const asked = parseMessage(Buffer.from('{"jsonrpc":"2.0","id":"q","method":"vendor/ask"}'))
    if (asked.kind !== 'request') throw new Error('It is no request.')
    const { inFlight } = call(bob)
    asks.fromOwn({ server: 'a', upstream, request: asked }, bob)
    say(notification('notifications/cancelled', { requestId: 'q' }))
    expect(bob.asks.size).toBe(0)
    expect(inFlight.reply.messages.at(-1)).toContain('notifications/cancelled')
  })
})

describe('what a server says that runs for a user', () => {
  const makeForUsers = () => make((_server, session) => session.user)

  test('of its lists is a hint to the sessions of this user, and changes no list of others', () => {
    const { say, alice, bob, changes } = makeForUsers()
    say(notification('notifications/tools/list_changed'), { user: bob.user })
    expect([alice.stream.hints, bob.stream.hints]).toEqual([[], ['notifications/tools/list_changed']])
    expect(changes).toEqual([])
  })

  test('of a resource reaches the sessions of this user that subscribed, and of no other', () => {
    const { say, alice, bob, shared } = makeForUsers()
    for (const session of [alice, bob]) shared.subscribe('a', 'x://1', session)
    const updated = notification('notifications/resources/updated', { uri: 'x://1' })
    say(updated, { user: alice.user })
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([1, 0])
    // What only shows its lists belongs to nobody.
    say(updated)
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([1, 0])
  })

  test('of no call is logged to the sessions of this user that set a level, and to no other', () => {
    const { say, alice, bob, shared } = makeForUsers()
    for (const session of [alice, bob]) {
      session.logLevel = 'debug'
      shared.setLevel('a', session, 'debug')
    }
    say(LOG('error'), { user: bob.user })
    expect([alice.stream.sent.length, bob.stream.sent.length]).toEqual([0, 1])
  })
})
