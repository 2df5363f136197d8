import { describe, expect, test, vi } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import type { InFlight } from '../sessions/session.ts'
import { Traffic } from './traffic.ts'

function make() {
  const clock = new FakeClock()
  const traffic = new Traffic(clock)
  const upstream = new FakeUpstream()
  /** Sends `call`. */
  const send = (call: InFlight, on = upstream) => {
    const pending = on.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
    call.sent = { upstream: on, pending }
    traffic.add(on, pending, call)
    return pending
  }
  return { clock, traffic, upstream, send }
}

const session = makeSession('one')

describe('the calls at work', () => {
  test('are known for each upstream, oldest first', () => {
    const { traffic, upstream, send } = make()
    const other = new FakeUpstream()
    const calls = [makeCall(session), makeCall(session)]
    for (const call of calls) send(call)
    const third = makeCall(session)
    send(third, other)
    expect([...traffic.of(upstream)]).toEqual(calls)
    expect([...traffic.of(other)]).toEqual([third])
    expect([...traffic.of(new FakeUpstream())]).toEqual([])
  })

  test('are found by what was sent', () => {
    const { traffic, upstream, send } = make()
    const call = makeCall(session)
    expect(traffic.has(upstream, call)).toBe(false)
    const pending = send(call)
    expect(traffic.find(upstream, pending)).toBe(call)
    expect(traffic.has(upstream, call)).toBe(true)
    expect(traffic.has(new FakeUpstream(), call)).toBe(false)
    traffic.remove(upstream, pending)
    expect(traffic.find(upstream, pending)).toBeUndefined()
    expect(traffic.has(upstream, call)).toBe(false)
    expect([...traffic.of(upstream)]).toEqual([])
  })
})

describe('a call that nobody waits for any more', () => {
  test('counts as at work until its late answer comes', () => {
    const { traffic, upstream, send, clock } = make()
    const call = makeCall(session)
    const pending = send(call)
    traffic.linger(upstream, pending)
    expect([...traffic.of(upstream)]).toEqual([call])
    pending.endLate()
    expect([...traffic.of(upstream)]).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test('counts for 30 s at the longest', async () => {
    const { traffic, upstream, send, clock } = make()
    const pending = send(makeCall(session))
    traffic.linger(upstream, pending)
    await clock.advance(29_999)
    expect([...traffic.of(upstream)]).toHaveLength(1)
    await clock.advance(1)
    expect([...traffic.of(upstream)]).toEqual([])
    pending.endLate()
    expect(clock.pending).toBe(0)
  })
})

describe('whoever waits for a change', () => {
  test('is woken by the next one on that upstream, once, with all who wait', async () => {
    const { traffic, upstream, send } = make()
    const other = new FakeUpstream()
    const [first, second] = [send(makeCall(session)), send(makeCall(session))]
    const elsewhere = send(makeCall(session), other)
    const woken = [vi.fn(), vi.fn()]
    for (const wake of woken) void traffic.nextChange(upstream).then(wake)
    traffic.remove(other, elsewhere)
    await settle()
    expect(woken.map((wake) => wake.mock.calls.length)).toEqual([0, 0])
    traffic.remove(upstream, first)
    traffic.remove(upstream, second)
    await settle()
    expect(woken.map((wake) => wake.mock.calls.length)).toEqual([1, 1])
  })

  test('is not woken by a call that had ended before', async () => {
    const { traffic, upstream, send } = make()
    const pending = send(makeCall(session))
    traffic.remove(upstream, pending)
    const woken = vi.fn()
    void traffic.nextChange(upstream).then(woken)
    traffic.remove(upstream, pending)
    await settle()
    expect(woken).not.toHaveBeenCalled()
  })

  test('is woken when a call that nobody waited for has ended', async () => {
    const { traffic, upstream, send } = make()
    const pending = send(makeCall(session))
    const woken = vi.fn()
    void traffic.nextChange(upstream).then(woken)
    traffic.linger(upstream, pending)
    await settle()
    expect(woken).not.toHaveBeenCalled()
    pending.endLate()
    await settle()
    expect(woken).toHaveBeenCalledOnce()
  })
})
