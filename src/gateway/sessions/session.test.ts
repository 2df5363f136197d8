import { describe, expect, test } from 'vitest'
import { CALL_LIMITS } from '../../../tests/fakes/domain.ts'
import { ANSWERED, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
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

  test('numbers the questions that it puts to its client from 1', () => {
    const session = makeSession('one')
    expect([session.nextAskId(), session.nextAskId(), session.nextAskId()]).toEqual([1, 2, 3])
  })

  test('knows whether its client was ever asked', () => {
    const session = makeSession('one')
    expect(session.asked).toBe(false)
    expect(session.asks.size).toBe(0)
    expect(session.asked).toBe(true)
  })
})

describe('a call', () => {
  const start = () => {
    const session = makeSession('one')
    const call = makeCall(session)
    session.inFlight.set(call.id, call)
    const upstream = new FakeUpstream()
    const pending = upstream.request({ method: 'tools/call', params: undefined, limits: CALL_LIMITS })
    return { session, call, upstream, pending }
  }

  test('is answered once; then it is over, and its id is free', () => {
    const { session, call } = start()
    expect([call.over, call.reachable]).toEqual([false, true])
    call.message(Buffer.from('progress'))
    call.answer(Buffer.from('answer'), ANSWERED)
    call.answer(Buffer.from('again'), ANSWERED)
    call.message(Buffer.from('late'))
    call.cancel('late')
    expect([call.reply.messages, call.reply.answers, call.reply.abandoned]).toEqual([
      ['progress'],
      ['answer'],
      false,
    ])
    expect([call.over, call.reachable, session.busy]).toEqual([true, false, false])
  })

  test('that is cancelled gets no answer, and the server is told if it has been sent', () => {
    const { session, call, upstream, pending } = start()
    call.sent = { upstream, pending }
    call.cancel('enough')
    call.cancel('again')
    call.answer(Buffer.from('late'), ANSWERED)
    expect(pending.cancellations).toEqual(['enough'])
    expect([call.over, call.reply.abandoned, call.reply.answers, session.busy]).toEqual([
      true,
      true,
      [],
      false,
    ])
  })

  test('that is cancelled before it was sent is over all the same', () => {
    const { call, pending } = start()
    call.cancel(undefined)
    expect([call.over, pending.cancellations]).toEqual([true, []])
  })

  test('is not reachable when its client has gone', () => {
    const { call } = start()
    call.reply.reachable = false
    expect(call.reachable).toBe(false)
  })
})
