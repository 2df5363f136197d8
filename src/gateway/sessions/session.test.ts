import { describe, expect, test } from 'vitest'
import { makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'

describe('a session', () => {
  test('is busy while a request is under way', () => {
    const session = makeSession('one')
    expect(session.busy).toBe(false)
    session.inFlight.set(1, makeCall(session))
    expect(session.busy).toBe(true)
    session.inFlight.delete(1)
    expect(session.busy).toBe(false)
  })

  test('numbers the questions that it puts to its client from 1, and keeps where they came from', () => {
    const session = makeSession('one')
    const upstream = new FakeUpstream()
    const ask = (upstreamId: string) => ({ upstream, upstreamId, progressToken: undefined, call: undefined })
    expect([session.openAsk(ask('a')), session.openAsk(ask('b'))]).toEqual([1, 2])
    session.asks.delete(1)
    expect(session.openAsk(ask('c'))).toBe(3)
    expect([...session.asks].map(([id, { upstreamId }]) => [id, upstreamId])).toEqual([
      [2, 'b'],
      [3, 'c'],
    ])
  })
})

describe('cancelling a call', () => {
  test('tells the server, if it has been sent', () => {
    const call = makeCall(makeSession('one'))
    const upstream = new FakeUpstream()
    const pending = upstream.request({
      method: 'tools/call',
      params: undefined,
      limits: { timeoutMs: 1, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 },
    })
    call.sent = { upstream, pending }
    call.cancel('enough')
    expect(call.cancelled).toBe(true)
    expect(pending.cancellations).toEqual(['enough'])
  })

  test('is remembered, if it has not', () => {
    const call = makeCall(makeSession('one'))
    call.cancel(undefined)
    expect(call.cancelled).toBe(true)
  })
})
