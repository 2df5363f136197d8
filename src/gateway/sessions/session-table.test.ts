import { describe, expect, test } from 'vitest'
import { principal } from '../../../tests/fakes/principals.ts'
import { makeCall, makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { HubError } from '../../domain/errors.ts'
import type { Session } from './session.ts'
import { SessionTable } from './session-table.ts'

const ALICE = principal('key:alice')
const BOB = principal('key:bob')
const UNKNOWN = expect.objectContaining({ code: 'session.unknown' })

function make({ maxSessions = 10, timeoutMs = (): number => 60_000 } = {}) {
  const clock = new FakeClock()
  const ended: Session[] = []
  const table = new SessionTable({ clock, timeoutMs, maxSessions, onEnd: (session) => ended.push(session) })
  const add = (id: string, who = ALICE) => {
    const session = makeSession(id, { principal: who, now: clock.monotonic() })
    table.add(session)
    return session
  }
  return { clock, table, ended, add }
}

describe('a session', () => {
  test('is found by its id and the principal that started it', () => {
    const { table, add } = make()
    const session = add('one')
    expect(table.require('one', ALICE.id)).toBe(session)
    expect(table.get('one')).toBe(session)
    expect([...table.all()]).toEqual([session])
    expect(table.size).toBe(1)
  })

  test.each([
    ['an id that nobody has', 'two', ALICE.id],
    ["somebody else's id", 'one', BOB.id],
    ['no id', '', ALICE.id],
  ])('is unknown under %s: there is no difference to be seen', (_what, id, principal) => {
    const { table, add } = make()
    add('one')
    expect(() => table.require(id, principal)).toThrow(UNKNOWN)
    expect(() => table.require(id, principal)).toThrow('This session is unknown or has expired.')
  })

  test('does not live longer because somebody else knocks', async () => {
    const { clock, table, add } = make()
    add('one')
    await clock.advance(59_000)
    expect(() => table.require('one', BOB.id)).toThrow(UNKNOWN)
    await clock.advance(1_000)
    expect(table.size).toBe(0)
  })
})

describe('[R62] silence', () => {
  test('ends a session after the timeout, and it is unknown from then on', async () => {
    const { clock, table, ended, add } = make()
    const session = add('one')
    await clock.advance(59_999)
    expect(table.size).toBe(1)
    await clock.advance(1)
    expect(ended).toEqual([session])
    expect(session.ended?.code).toBe('session.unknown')
    expect(session.stream.ended).toBe(true)
    expect(() => table.require('one', ALICE.id)).toThrow(UNKNOWN)
  })

  test('is broken by each request', async () => {
    const { clock, table, add } = make()
    add('one')
    for (let round = 0; round < 5; round += 1) {
      await clock.advance(50_000)
      table.require('one', ALICE.id)
    }
    await clock.advance(59_000)
    expect(table.size).toBe(1)
    await clock.advance(5_000)
    expect(table.size).toBe(0)
  })

  test('does not count while a request is under way, and begins with its end', async () => {
    const { clock, table, add } = make()
    const session = add('one')
    session.inFlight.set(1, makeCall(session))
    await clock.advance(600_000)
    expect(table.size).toBe(1)
    session.inFlight.delete(1)
    await clock.advance(55_000)
    expect(table.size).toBe(1)
    await clock.advance(5_000)
    expect(table.size).toBe(0)
  })

  test('does not count while the client holds a stream open', async () => {
    const { clock, table, add } = make()
    const session = add('one')
    session.stream.attached = true
    await clock.advance(600_000)
    expect(table.size).toBe(1)
    session.stream.attached = false
    await clock.advance(60_000)
    expect(table.size).toBe(0)
  })

  test('is measured by the settings of the moment', async () => {
    let timeout = 60_000
    const { clock, table, add } = make({ timeoutMs: () => timeout })
    add('one')
    timeout = 10_000
    await clock.advance(10_000)
    expect(table.size).toBe(0)
  })

  test('ends only the session that is silent; the others let go of what nobody will ask for', async () => {
    const { clock, table, ended, add } = make()
    const silent = add('one')
    await clock.advance(30_000)
    const lively = add('two')
    await clock.advance(30_000)
    expect(ended).toEqual([silent])
    expect([...table.all()]).toEqual([lively])
    expect(lively.stream.trims).toEqual([35_000, 40_000, 45_000, 50_000, 55_000, 60_000])
  })
})

describe('the table', () => {
  test('is full at its maximum: then a new session is refused until one ends', () => {
    const { table, add } = make({ maxSessions: 2 })
    const first = add('one')
    add('two')
    const full = expect.objectContaining({ code: 'session.limit', retryAfter: 30 })
    expect(() => table.ensureRoom()).toThrow(full)
    expect(() => add('three')).toThrow(full)
    table.end(first, new HubError('session.unknown', 'The client ended it.'))
    expect(() => add('three')).not.toThrow()
    expect(table.size).toBe(2)
  })

  test('ends a session once, with its reason', () => {
    const { table, ended, add } = make()
    const session = add('one')
    const reason = new HubError('session.unknown', 'The client ended it.')
    table.end(session, reason)
    table.end(session, new HubError('internal', 'Again.'))
    expect(ended).toEqual([session])
    expect(session.ended).toBe(reason)
  })

  test('tells why before the stream ends, so that there is somebody left to tell', () => {
    const seen: boolean[] = []
    const table = new SessionTable({
      clock: new FakeClock(),
      timeoutMs: () => 1,
      maxSessions: 1,
      onEnd: (session) => seen.push((session as ReturnType<typeof makeSession>).stream.ended),
    })
    const session = makeSession('one')
    table.add(session)
    table.end(session, new HubError('internal', 'x'))
    expect([seen, session.stream.ended]).toEqual([[false], true])
  })

  test('when it is closed ends every session and leaves no timer', () => {
    const { clock, table, ended, add } = make()
    const sessions = [add('one'), add('two')]
    table.close()
    expect(ended).toEqual(sessions)
    expect(sessions.map((session) => session.ended?.code)).toEqual(['hub.stopping', 'hub.stopping'])
    expect([table.size, clock.pending]).toEqual([0, 0])
  })
})
