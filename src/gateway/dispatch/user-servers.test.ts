import { describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { principal } from '../../../tests/fakes/principals.ts'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { LATEST_2025 } from '../../mcp/eras.ts'
import type { Session } from '../sessions/session.ts'
import type { Holder } from './servers.ts'
import { UserServers } from './user-servers.ts'

const IDENTITY = { protocolVersion: LATEST_2025, clientInfo: { name: 'hub', version: '1' }, capabilities: {} }
const ISOLATIONS = { u: 'user', v: 'user', own: 'session', all: 'shared' } as const

function make() {
  const specs = Object.entries(ISOLATIONS).map(([name, isolation]) => serverSpec(name, { isolation }))
  const open = new Map<string, FakeUpstream>()
  const opened: Holder[] = []
  const released: string[] = []
  const live: Session[] = []
  const keyOf = (server: string, holder: Holder | undefined) => `${server} ${holder?.id}`
  const servers = new UserServers({
    servers: {
      upstream: (server, holder) => {
        if (holder) opened.push(holder)
        const upstream = open.get(keyOf(server, holder)) ?? new FakeUpstream()
        open.set(keyOf(server, holder), upstream)
        return upstream
      },
      openUpstream: (server, holder) => open.get(keyOf(server, holder)),
      sharedUpstreams: () => [...open.values()],
      release: (holderId) => released.push(holderId),
    },
    identity: IDENTITY,
    spec: (name) => specs.find((spec) => spec.name === name),
    anySessionOf: (user) => live.find((session) => session.user === user)?.id,
  })
  const enter = (id: string, username?: string) => {
    const session = makeSession(id, { principal: principal(`key:of-${id}`, { username }) })
    live.push(session)
    return session
  }
  /** As a session table does: it is gone from there first. */
  const leave = (session: Session) => {
    live.splice(live.indexOf(session), 1)
    servers.release(session.id)
  }
  return { servers, open, opened, released, enter, leave }
}

describe('under isolation "user"', () => {
  test('all sessions of a user have one upstream, and no other user has', () => {
    const { servers, opened, enter } = make()
    const [laptop, phone, bob] = [enter('1', 'ann'), enter('2', 'ann'), enter('3', 'bob')]
    const anns = servers.upstream('u', laptop)
    expect(servers.upstream('u', phone)).toBe(anns)
    expect(servers.upstream('u', bob)).not.toBe(anns)
    expect([laptop, phone, bob].map((session) => servers.openUpstream('u', session) === anns)).toEqual([
      true,
      true,
      false,
    ])
    expect(opened).toEqual([
      { id: 'user:ann', identity: IDENTITY },
      { id: 'user:ann', identity: IDENTITY },
      { id: 'user:bob', identity: IDENTITY },
    ])
  })

  test('who has no username shares with those of the same credential only', () => {
    const { servers, enter } = make()
    const [one, other] = [enter('1'), enter('2')]
    const again = makeSession('3', { principal: one.principal })
    expect(servers.upstream('u', again)).toBe(servers.upstream('u', one))
    expect(servers.upstream('u', other)).not.toBe(servers.upstream('u', one))
  })

  test('it goes with the last session of the user, even if that never used it', () => {
    const { servers, released, enter, leave } = make()
    const [first, idle, bob] = [enter('1', 'ann'), enter('2', 'ann'), enter('3', 'bob')]
    void servers.upstream('u', first)
    void servers.upstream('u', bob)
    leave(first)
    expect(released).toEqual(['1'])
    leave(idle)
    expect(released).toEqual(['1', '2', 'user:ann'])
    leave(bob)
    expect(released).toEqual(['1', '2', 'user:ann', '3', 'user:bob'])
  })

  test('a session that nobody lists keeps it as long as it calls', () => {
    const { servers, released, enter, leave } = make()
    const call = makeSession('call', { principal: principal('user:ann', { username: 'ann' }) })
    const session = enter('1', 'ann')
    void servers.upstream('u', session)
    void servers.upstream('u', call)
    leave(session)
    expect(released).toEqual(['1'])
    servers.release('call')
    expect(released).toEqual(['1', 'call', 'user:ann'])
  })

  test('what is told to all concerns the user’s own upstream only', () => {
    const { servers, enter } = make()
    const [ann, bob] = [enter('1', 'ann'), enter('2', 'bob')]
    const anns = servers.upstream('u', ann)
    void servers.upstream('u', undefined)
    expect(servers.sharedUpstreams('u', ann)).toEqual([anns])
    expect([servers.sharedUpstreams('u', bob), servers.sharedUpstreams('u')]).toEqual([[], []])
  })

  test('[R63] a loss concerns the sessions that have used the server, once', () => {
    const { servers, enter, leave } = make()
    const [one, two, other] = [enter('1', 'ann'), enter('2', 'ann'), enter('3', 'ann')]
    const gone = enter('4', 'ann')
    for (const session of [one, two, gone]) void servers.upstream('u', session)
    void servers.upstream('v', other)
    leave(gone)
    expect(servers.sessionsOf('user:ann', 'u')).toEqual(['1', '2'])
    expect(servers.lost('user:ann', 'u')).toEqual(['1', '2'])
    expect(servers.lost('user:ann', 'u')).toEqual([])
    void servers.upstream('u', two)
    expect([servers.lost('user:ann', 'u'), servers.lost('user:ann', 'v')]).toEqual([['2'], ['3']])
    expect(servers.holdersOf('1')).toEqual(['1', 'user:ann'])
  })
})

describe('servers that are not users’', () => {
  test.each(['own', 'all'])('%s is asked for the session itself', (server) => {
    const { servers, opened, released, open, enter, leave } = make()
    const session = enter('1', 'ann')
    const upstream = servers.upstream(server, session)
    expect(opened).toEqual([session])
    expect(servers.openUpstream(server, session)).toBe(upstream)
    expect(servers.sharedUpstreams(server, session)).toEqual([...open.values()])
    expect([servers.userOf(server, session), servers.sessionsOf('1', server)]).toEqual([undefined, ['1']])
    expect([servers.lost('1', server), servers.holdersOf('1')]).toEqual([['1'], ['1']])
    leave(session)
    expect(released).toEqual(['1'])
  })
})
