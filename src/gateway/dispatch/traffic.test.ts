import { describe, expect, test, vi } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { settle } from '../../../tests/harness/fake-clock.ts'
import type { InFlight } from '../sessions/session.ts'
import { Traffic } from './traffic.ts'

/** Sends `call` on `upstream`. */
function send(traffic: Traffic, upstream: FakeUpstream, call: InFlight) {
  const pending = upstream.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
  call.sent = { upstream, pending }
  traffic.add(upstream, pending, call)
  return pending
}

describe('the calls in flight', () => {
  const session = makeSession('one')

  test('are known for each upstream, oldest first', () => {
    const traffic = new Traffic()
    const [one, two] = [new FakeUpstream(), new FakeUpstream()]
    const calls = [makeCall(session), makeCall(session), makeCall(session)]
    send(traffic, one, calls[0] ?? makeCall(session))
    send(traffic, one, calls[1] ?? makeCall(session))
    send(traffic, two, calls[2] ?? makeCall(session))
    expect([...traffic.of(one)]).toEqual(calls.slice(0, 2))
    expect([...traffic.of(two)]).toEqual(calls.slice(2))
    expect([...traffic.of(new FakeUpstream())]).toEqual([])
  })

  test('are found by what was sent', () => {
    const traffic = new Traffic()
    const upstream = new FakeUpstream()
    const call = makeCall(session)
    expect(traffic.has(upstream, call)).toBe(false)
    const pending = send(traffic, upstream, call)
    expect(traffic.find(upstream, pending)).toBe(call)
    expect(traffic.has(upstream, call)).toBe(true)
    expect(traffic.has(new FakeUpstream(), call)).toBe(false)
    traffic.remove(upstream, pending)
    expect(traffic.find(upstream, pending)).toBeUndefined()
    expect(traffic.has(upstream, call)).toBe(false)
    expect([...traffic.of(upstream)]).toEqual([])
  })
})

describe('whoever waits for a change', () => {
  test('is woken by the next one on that upstream, once, with all who wait', async () => {
    const traffic = new Traffic()
    const [one, two] = [new FakeUpstream(), new FakeUpstream()]
    const woken = [vi.fn(), vi.fn()]
    for (const wake of woken) void traffic.nextChange(one).then(wake)
    traffic.changed(two)
    await settle()
    expect(woken.map((wake) => wake.mock.calls.length)).toEqual([0, 0])
    traffic.changed(one)
    traffic.changed(one)
    await settle()
    expect(woken.map((wake) => wake.mock.calls.length)).toEqual([1, 1])
  })

  test('is woken when a call ends', async () => {
    const traffic = new Traffic()
    const upstream = new FakeUpstream()
    const pending = send(traffic, upstream, makeCall(makeSession('one')))
    const woken = vi.fn()
    void traffic.nextChange(upstream).then(woken)
    traffic.remove(upstream, pending)
    await settle()
    expect(woken).toHaveBeenCalledOnce()
  })
})
