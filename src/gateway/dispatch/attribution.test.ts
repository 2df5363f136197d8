import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ANSWERED, makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { attribute } from './attribution.ts'

const alice = makeSession('alice')
const bob = makeSession('bob')

describe('whose call is behind what a server says', () => {
  test("nobody's, when no call is in flight", () => {
    expect(attribute([])).toEqual({ kind: 'none' })
  })

  test("the only call's", () => {
    const call = makeCall(alice)
    expect(attribute([call])).toEqual({ kind: 'one', call })
  })

  test('of several calls of one session the newest: who is concerned is certain', () => {
    const calls = [makeCall(alice, { id: 1 }), makeCall(alice, { id: 2 }), makeCall(alice, { id: 3 })]
    expect(attribute(calls)).toEqual({ kind: 'one', call: calls[2] })
  })

  test('cannot be told as soon as two sessions are concerned', () => {
    expect(attribute([makeCall(alice), makeCall(bob)])).toEqual({ kind: 'ambiguous' })
    expect(attribute([makeCall(alice), makeCall(bob), makeCall(alice)])).toEqual({ kind: 'ambiguous' })
  })

  test('of calls of which the newest is over the newest that is not', () => {
    const calls = [makeCall(alice, { id: 1 }), makeCall(alice, { id: 2 })]
    calls[1]?.answer(Buffer.from('{}'), ANSWERED)
    expect(attribute(calls)).toEqual({ kind: 'one', call: calls[0] })
  })

  test('concerns nobody, when all calls are over: the server may still be at work on them', () => {
    const call = makeCall(alice)
    call.cancel(undefined)
    expect(attribute([call])).toEqual({ kind: 'over' })
  })

  test('cannot be told when one of the two is over: it may be that one', () => {
    const call = makeCall(alice)
    call.cancel(undefined)
    expect(attribute([call, makeCall(bob)])).toEqual({ kind: 'ambiguous' })
  })

  test('sessions are told apart by themselves and not by what they are called', () => {
    expect(attribute([makeCall(makeSession('x')), makeCall(makeSession('x'))])).toEqual({ kind: 'ambiguous' })
  })

  test('is certain exactly when all calls are of one session', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(alice, bob), { minLength: 1 }), (sessions) => {
        const calls = sessions.map((session, id) => makeCall(session, { id }))
        const expected =
          new Set(sessions).size > 1 ? { kind: 'ambiguous' } : { kind: 'one', call: calls.at(-1) }
        expect(attribute(calls)).toEqual(expected)
      }),
    )
  })
})
