import { describe, expect, test } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { type FakeInFlight, type FakeSession, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

function make() {
  const clock = new FakeClock()
  const traffic = new Traffic(clock)
  const turns = new Turns(traffic, clock)
  const upstream = new FakeUpstream()
  const started: string[] = []
  /** A call that notes under `name` when it is sent. */
  const take = (name: string, session: FakeSession, what = 'x', server = 'pipe'): FakeInFlight => {
    const call = makeCall(session, { what, server })
    turns.take(call, upstream, () => {
      started.push(name)
      const pending = upstream.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
      call.sent = { upstream, pending }
      traffic.add(upstream, pending, call)
    })
    return call
  }
  /** The call has ended by itself. */
  const end = async (call: FakeInFlight) => {
    if (!call.sent) throw new Error('The call was not sent.')
    traffic.remove(upstream, call.sent.pending)
    turns.finished(call)
    await settle()
  }
  /** `what` has been called to its end once. */
  const prove = (what: string) => end(take('proof', person('prover'), what))
  return { clock, traffic, turns, upstream, started, take, end, prove }
}

/** A session whose client can be asked. */
function person(name: string, capabilities: object = { elicitation: {} }): FakeSession {
  return makeSession(name, { capabilities: { ...capabilities } })
}

const alice = person('alice')
const bob = person('bob')
const carol = person('carol')
const robot = makeSession('robot')

describe('a tool that nobody has called to its end yet', () => {
  test('is called at once when nothing runs', () => {
    const { take, started, clock } = make()
    take('a', alice)
    expect(started).toEqual(['a'])
    expect(clock.pending).toBe(0)
  })

  test('is called at once beside calls of the same session', () => {
    const { take, started } = make()
    take('a1', alice)
    take('a2', alice)
    expect(started).toEqual(['a1', 'a2'])
  })

  test('waits until calls of other sessions have ended', async () => {
    const { take, end, started, clock } = make()
    const first = take('a', alice)
    take('b', bob, 'y')
    await clock.advance(2_999)
    expect(started).toEqual(['a'])
    await end(first)
    expect(started).toEqual(['a', 'b'])
    expect(clock.pending).toBe(0)
  })

  test('waits for 3 s at the longest', async () => {
    const { take, started, clock } = make()
    take('a', alice)
    take('b', bob)
    await clock.advance(2_999)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'b'])
    expect(clock.pending).toBe(0)
  })

  test('is called alone: of two that wait one goes, and the other waits for it', async () => {
    const { take, end, started } = make()
    const first = take('a', alice)
    const second = take('b', bob, 'y')
    take('c', carol, 'z')
    await end(first)
    expect(started).toEqual(['a', 'b'])
    await end(second)
    expect(started).toEqual(['a', 'b', 'c'])
  })

  test('holds up nobody whose tool is known not to ask', async () => {
    const { take, prove, started } = make()
    await prove('known')
    take('a', alice, 'new')
    take('b', bob, 'known')
    expect(started).toEqual(['proof', 'a', 'b'])
  })

  test('holds up nobody once nobody waits for it any more', () => {
    const { take, started } = make()
    take('a', alice).cancel(undefined)
    take('b', bob)
    expect(started).toEqual(['a', 'b'])
  })
})

describe('a session whose client cannot be asked', () => {
  test('neither waits for others nor is waited for', () => {
    const { take, started } = make()
    take('a', alice)
    take('r1', robot)
    take('r2', makeSession('robot 2', { capabilities: { experimental: {} } }))
    expect(started).toEqual(['a', 'r1', 'r2'])
    const { take: takeAnew, started: anew } = make()
    takeAnew('r', robot)
    takeAnew('a', alice)
    expect(anew).toEqual(['r', 'a'])
  })

  test.each([{ sampling: {} }, { elicitation: {} }, { roots: {} }])(
    'is not one that declared %j',
    (declared) => {
      const { take, started } = make()
      take('a', alice)
      take('b', person('b', declared))
      expect(started).toEqual(['a'])
    },
  )
})

describe('a tool that has been called to its end without asking', () => {
  test('is let through from then on, beside calls of others', async () => {
    const { take, prove, started } = make()
    await prove('x')
    take('a', alice)
    take('b', bob)
    take('c', carol)
    expect(started).toEqual(['proof', 'a', 'b', 'c'])
  })

  test('lets others through that are known as well, and makes no others known', async () => {
    const { take, prove, started } = make()
    await prove('x')
    take('a', alice, 'x')
    take('b', bob, 'y')
    take('c', carol, 'z')
    expect(started).toEqual(['proof', 'a', 'b'])
  })

  test('is known of its own server only', async () => {
    const { take, prove, started } = make()
    await prove('x')
    take('a', alice, 'x', 'other')
    take('b', bob, 'x', 'other')
    expect(started).toEqual(['proof', 'a'])
  })

  test('is not known any more once its server was replaced', async () => {
    const { take, prove, turns, started } = make()
    await prove('x')
    turns.forget('pipe')
    take('a', alice)
    take('b', bob)
    expect(started).toEqual(['proof', 'a'])
  })

  test('is one of ten thousand at most: names that clients make up fill no memory', () => {
    const { turns, take, started } = make()
    for (let n = 0; n <= 10_000; n += 1) turns.finished(makeCall(robot, { what: `made-up-${n}` }))
    take('a', alice, 'made-up-10000')
    take('b', bob, 'made-up-10000')
    take('c', carol, 'made-up-5')
    take('d', person('d'), 'made-up-6')
    expect(started).toEqual(['a', 'b', 'c'])
  })
})

describe('a server that has shown that it asks', () => {
  test('is called by one session at a time, whatever is called', async () => {
    const { take, end, prove, turns, started } = make()
    await prove('x')
    turns.learned('pipe')
    const first = take('a', alice)
    take('b', bob)
    await settle()
    expect(started).toEqual(['proof', 'a'])
    await end(first)
    expect(started).toEqual(['proof', 'a', 'b'])
    take('c', carol)
    expect(started).toEqual(['proof', 'a', 'b'])
  })

  test('lets a call wait for 30 s at the longest', async () => {
    const { take, turns, started, clock } = make()
    turns.learned('pipe')
    take('a', alice)
    take('b', bob)
    await clock.advance(29_999)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'b'])
  })

  test('has to be learned anew, tool by tool, once it was taken for one that does not', async () => {
    const { take, turns, prove, started } = make()
    await prove('x')
    turns.learned('pipe')
    turns.forget('pipe')
    take('a', alice)
    take('b', bob)
    expect(started).toEqual(['proof', 'a'])
  })

  test('says nothing of other servers', async () => {
    const { take, turns, prove, started } = make()
    turns.learned('other')
    await prove('x')
    take('a', alice)
    take('b', bob)
    expect(started).toEqual(['proof', 'a', 'b'])
  })

  test('is taken for one that does not once it was replaced', async () => {
    const { take, turns, prove, started } = make()
    turns.learned('pipe')
    turns.forget('pipe')
    await prove('x')
    take('a', alice)
    take('b', bob)
    expect(started).toEqual(['proof', 'a', 'b'])
  })
})
