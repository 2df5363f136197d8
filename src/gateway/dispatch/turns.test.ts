import { describe, expect, test } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { type FakeInFlight, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { Traffic } from './traffic.ts'
import { Turns } from './turns.ts'

function make() {
  const clock = new FakeClock()
  const traffic = new Traffic()
  const turns = new Turns(traffic, clock)
  const upstream = new FakeUpstream()
  const started: string[] = []
  /** A call that notes under `name` when it is sent. */
  const take = (
    name: string,
    session: ReturnType<typeof makeSession>,
    what = 'tools/call x',
  ): FakeInFlight => {
    const call = makeCall(session, { what, server: 'pipe' })
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
  const prove = (what: string) => end(take('proof', makeSession('prover'), what))
  return { clock, traffic, turns, upstream, started, take, end, prove }
}

const alice = makeSession('alice')
const bob = makeSession('bob')
const carol = makeSession('carol')

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
    take('b', bob, 'tools/call y')
    await clock.advance(4_999)
    expect(started).toEqual(['a'])
    await end(first)
    expect(started).toEqual(['a', 'b'])
    expect(clock.pending).toBe(0)
  })

  test('waits for 5 s at the longest', async () => {
    const { take, started, clock } = make()
    take('a', alice)
    take('b', bob)
    await clock.advance(4_999)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'b'])
    expect(clock.pending).toBe(0)
  })

  test('is called alone: of two that wait one goes, and the other waits for it', async () => {
    const { take, end, started } = make()
    const first = take('a', alice)
    const second = take('b', bob, 'tools/call y')
    take('c', carol, 'tools/call z')
    await end(first)
    expect(started).toEqual(['a', 'b'])
    await end(second)
    expect(started).toEqual(['a', 'b', 'c'])
  })

  test('holds up nobody whose tool is known not to ask', async () => {
    const { take, prove, started } = make()
    await prove('tools/call known')
    take('a', alice, 'tools/call new')
    take('b', bob, 'tools/call known')
    expect(started).toEqual(['proof', 'a', 'b'])
  })
})

describe('a tool that has been called to its end without asking', () => {
  test('is let through from then on, beside calls of others', async () => {
    const { take, prove, started } = make()
    await prove('tools/call x')
    take('a', alice)
    take('b', bob)
    take('c', carol)
    expect(started).toEqual(['proof', 'a', 'b', 'c'])
  })

  test('lets others through that are known as well, and makes no others known', async () => {
    const { take, prove, started } = make()
    await prove('tools/call x')
    take('a', alice, 'tools/call x')
    take('b', bob, 'tools/call y')
    take('c', carol, 'tools/call z')
    expect(started).toEqual(['proof', 'a', 'b'])
  })
})

describe('a server that has shown that it asks', () => {
  test('is called by one session at a time, whatever is called', async () => {
    const { take, end, prove, turns, started } = make()
    await prove('tools/call x')
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

  test('is not waited for while the other call waits for its client: people think slowly', async () => {
    const { take, turns, upstream, started } = make()
    turns.learned('pipe')
    const asking = take('a', alice)
    take('b', bob)
    await settle()
    expect(started).toEqual(['a'])
    turns.asked(asking, upstream)
    await settle()
    expect(started).toEqual(['a', 'b'])
  })

  test('is waited for again once every question of that call is answered', async () => {
    const { take, turns, upstream, started } = make()
    turns.learned('pipe')
    const asking = take('a', alice)
    turns.asked(asking, upstream)
    turns.asked(asking, upstream)
    turns.answered(asking)
    take('b', bob)
    expect(started).toEqual(['a', 'b'])
    turns.answered(asking)
    take('c', carol)
    expect(started).toEqual(['a', 'b'])
  })

  test('concerns its own calls only', async () => {
    const { turns, traffic, started } = make()
    turns.learned('other')
    const upstream = new FakeUpstream()
    for (const [name, session] of [
      ['a', alice],
      ['b', bob],
    ] as const) {
      const call = makeCall(session, { server: name })
      turns.take(call, upstream, () => {
        started.push(name)
        const pending = upstream.request({ method: 'ping', params: undefined, limits: CALL_LIMITS })
        call.sent = { upstream, pending }
        traffic.add(upstream, pending, call)
        turns.finished(call)
      })
    }
    expect(started).toEqual(['a', 'b'])
  })
})

describe('the calls that can have asked just now', () => {
  test('are those in flight', () => {
    const { take, turns, upstream } = make()
    const calls = [take('a', alice), take('b', alice)]
    expect(turns.suspects(upstream)).toEqual(calls)
    expect(turns.suspects(new FakeUpstream())).toEqual([])
  })

  test('are not those that wait for an answer, as long as any other runs', () => {
    const { take, turns, upstream } = make()
    const asking = take('a', alice)
    const running = take('b', alice)
    turns.asked(asking, upstream)
    expect(turns.suspects(upstream)).toEqual([running])
    turns.asked(running, upstream)
    expect(turns.suspects(upstream)).toEqual([asking, running])
    turns.answered(running)
    expect(turns.suspects(upstream)).toEqual([running])
  })
})
