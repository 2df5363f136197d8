import { describe, expect, test } from 'vitest'
import { CALL_LIMITS, serverHello } from '../../../tests/fakes/domain.ts'
import { principal } from '../../../tests/fakes/principals.ts'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { SharedState } from './shared-state.ts'

function make() {
  return { shared: new SharedState(), alice: makeSession('alice'), bob: makeSession('bob') }
}

function told(
  shared: SharedState,
  server: string,
  capabilities = { logging: {} },
  user?: string,
): [string, unknown][] {
  const upstream = new FakeUpstream(serverHello('a', capabilities))
  void shared.restore(server, { upstream, limits: CALL_LIMITS, user })
  return upstream.calls.map(({ call, params }) => [call.method, params])
}

describe('subscriptions on a server that sessions share', () => {
  test('are told to those who hold them, on that server only', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://2', bob)
    expect([...shared.subscribers('a', 'x://1')]).toEqual([alice])
    expect([...shared.subscribers('b', 'x://1')]).toEqual([])
    expect([...shared.subscribers('a', 'x://3')]).toEqual([])
  })

  test('concern parts of what was subscribed to as well, and nothing that only begins alike', () => {
    const { shared, alice } = make()
    shared.subscribe('a', 'file:///dir', alice)
    expect([...shared.subscribers('a', 'file:///dir/one.txt')]).toEqual([alice])
    expect([...shared.subscribers('a', 'file:///directory')]).toEqual([])
    expect([...shared.subscribers('a', 'file://')]).toEqual([])
  })

  test('end at the server with the last session that holds them', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://1', bob)
    expect(shared.unsubscribe('a', 'x://1', alice)).toBe(false)
    expect([...shared.subscribers('a', 'x://1')]).toEqual([bob])
    expect(shared.unsubscribe('a', 'x://1', bob)).toBe(true)
    expect([...shared.subscribers('a', 'x://1')]).toEqual([])
  })

  test('of others stay when somebody ends one that he does not hold', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    expect(shared.unsubscribe('a', 'x://1', bob)).toBe(false)
    expect([...shared.subscribers('a', 'x://1')]).toEqual([alice])
  })

  test('that nobody holds may be ended at the server', () => {
    const { shared, alice } = make()
    expect(shared.unsubscribe('a', 'x://1', alice)).toBe(true)
  })
})

test('a session that may not see a server any more loses what it has set there, and nothing else', () => {
  const { shared, alice, bob } = make()
  for (const session of [alice, bob]) {
    shared.subscribe('a', 'x://1', session)
    shared.setLevel('a', session, 'debug')
  }
  shared.subscribe('a', 'x://2', alice)
  shared.subscribe('b', 'y://1', alice)
  shared.setLevel('b', alice, 'debug')
  const dropped = shared.drop(alice, (server) => server === 'b')
  expect(dropped).toEqual({ orphaned: [{ server: 'a', uri: 'x://2' }], relevelled: ['a'] })
  expect([...shared.subscribers('a', 'x://1')]).toEqual([bob])
  expect([...shared.listeners('a')]).toEqual([bob])
  expect([...shared.subscribers('b', 'y://1')]).toEqual([alice])
  expect([...shared.listeners('b')]).toEqual([alice])
})

test('a session may not subscribe without end; each subscription counts once, and not after its end', () => {
  const { shared, alice, bob } = make()
  const all = Array.from({ length: 1_000 }, (_, n) => `x://${n}`)
  for (const uri of all) shared.subscribe('a', uri, alice)
  shared.subscribe('a', 'x://0', alice)
  expect(() => shared.subscribe('b', 'x://more', alice)).toThrow(/at most/)
  shared.subscribe('b', 'x://more', bob)
  shared.unsubscribe('a', 'x://0', alice)
  shared.subscribe('b', 'x://more', alice)
  expect([...shared.subscribers('b', 'x://more')]).toEqual([bob, alice])
})

describe('log levels on a server that sessions share', () => {
  test('are the most verbose that any session wants', () => {
    const { shared, alice, bob } = make()
    expect(shared.level('a')).toBeUndefined()
    shared.setLevel('a', alice, 'error')
    shared.setLevel('a', bob, 'info')
    expect(shared.level('a')).toBe('info')
    shared.setLevel('a', bob, 'critical')
    expect(shared.level('a')).toBe('error')
    expect(shared.level('b')).toBeUndefined()
  })

  test('tell who listens', () => {
    const { shared, alice } = make()
    shared.setLevel('a', alice, 'error')
    expect([...shared.listeners('a')]).toEqual([alice])
    expect([...shared.listeners('b')]).toEqual([])
  })
})

describe('a session that ends', () => {
  test('is forgotten everywhere; what nobody else holds is told, and where the level may be another', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://2', alice)
    shared.subscribe('a', 'x://2', bob)
    shared.subscribe('b', 'y://1', alice)
    shared.setLevel('a', alice, 'debug')
    shared.setLevel('a', bob, 'error')
    expect(shared.drop(alice)).toEqual({
      orphaned: [
        { server: 'a', uri: 'x://1' },
        { server: 'b', uri: 'y://1' },
      ],
      relevelled: ['a'],
    })
    expect(shared.level('a')).toBe('error')
    expect([...shared.subscribers('a', 'x://2')]).toEqual([bob])
    expect(told(shared, 'a').map(([, params]) => params)).toEqual([{ level: 'error' }, { uri: 'x://2' }])
    expect(shared.drop(alice)).toEqual({ orphaned: [], relevelled: [] })
  })
})

describe('a replica of a server that has several', () => {
  test('is told the subscriptions of those who use it, and the level of all', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://2', bob)
    shared.setLevel('a', bob, 'warning')
    const upstream = new FakeUpstream(serverHello('a', { logging: {} }))
    void shared.restore('a', { upstream, limits: CALL_LIMITS }, (session) => session === alice)
    expect(upstream.calls.map(({ params }) => params)).toEqual([{ level: 'warning' }, { uri: 'x://1' }])
  })

  test('concerns sessions that have set something on the server', () => {
    const { shared, alice, bob } = make()
    expect(shared.concerns('a', alice)).toBe(false)
    shared.subscribe('a', 'x://1', alice)
    shared.setLevel('b', bob, 'debug')
    expect([shared.concerns('a', alice), shared.concerns('a', bob)]).toEqual([true, false])
    expect([shared.concerns('b', alice), shared.concerns('b', bob)]).toEqual([false, true])
  })
})

describe('a server that has come up again', () => {
  test('is told the level and every subscription, once each', () => {
    const { shared, alice, bob } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.subscribe('a', 'x://1', bob)
    shared.subscribe('a', 'x://2', bob)
    shared.setLevel('a', alice, 'warning')
    expect(told(shared, 'a')).toEqual([
      ['logging/setLevel', { level: 'warning' }],
      ['resources/subscribe', { uri: 'x://1' }],
      ['resources/subscribe', { uri: 'x://2' }],
    ])
  })

  test('is not told a level when it does not log', () => {
    const { shared, alice } = make()
    shared.setLevel('a', alice, 'warning')
    expect(told(shared, 'a', {} as { logging: object })).toEqual([])
  })

  test('is told nothing when nobody wants anything', () => {
    const { shared, alice } = make()
    shared.subscribe('a', 'x://1', alice)
    shared.unsubscribe('a', 'x://1', alice)
    expect([told(shared, 'a'), told(shared, 'b')]).toEqual([[], []])
  })
})

describe('on a server that only sessions of one user share', () => {
  function ofUsers() {
    const of = (username: string, id: string) => makeSession(id, { principal: principal(id, { username }) })
    return {
      shared: new SharedState((server, session) => (server === 'a' ? session.user : undefined)),
      anns: of('ann', '1'),
      annsToo: of('ann', '2'),
      bobs: of('bob', '3'),
    }
  }

  test('a subscription is told to sessions of the user, and ends at the user’s upstream with the last of these', () => {
    const { shared, anns, annsToo, bobs } = ofUsers()
    for (const session of [anns, annsToo, bobs]) shared.subscribe('a', 'x://1', session)
    expect([...shared.subscribers('a', 'x://1', anns.user)]).toEqual([anns, annsToo])
    expect([...shared.subscribers('a', 'x://1')]).toEqual([])
    expect(shared.unsubscribe('a', 'x://1', anns)).toBe(false)
    expect(shared.unsubscribe('a', 'x://1', annsToo)).toBe(true)
    expect(shared.drop(bobs).orphaned).toEqual([{ server: 'a', uri: 'x://1' }])
  })

  test('a user’s upstream has the level that the user’s sessions want, and these hear what it says by itself', () => {
    const { shared, anns, annsToo, bobs } = ofUsers()
    shared.setLevel('a', anns, 'error')
    shared.setLevel('a', annsToo, 'info')
    shared.setLevel('a', bobs, 'debug')
    expect([shared.level('a', anns.user), shared.level('a', bobs.user)]).toEqual(['info', 'debug'])
    expect(shared.level('a')).toBeUndefined()
    expect([...shared.listeners('a', anns.user)]).toEqual([anns, annsToo])
  })

  test('a user’s upstream that comes up is told what this user’s sessions want; one that is nobody’s is told nothing', () => {
    const { shared, anns, bobs } = ofUsers()
    shared.subscribe('a', 'x://ann', anns)
    shared.subscribe('a', 'x://bob', bobs)
    shared.setLevel('a', anns, 'error')
    shared.setLevel('a', bobs, 'debug')
    expect(told(shared, 'a', undefined, anns.user)).toEqual([
      ['logging/setLevel', { level: 'error' }],
      ['resources/subscribe', { uri: 'x://ann' }],
    ])
    expect(told(shared, 'a')).toEqual([])
  })
})
