import { afterEach, describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { FakeReplica } from '../../../tests/fakes/replicas.ts'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import {
  type AffinityStrategy,
  type BalanceStrategy,
  type ClusterNews,
  defaultReplication,
  type StateLoss,
} from '../../domain/cluster.ts'
import { STANDALONE } from '../../domain/cluster-settings.ts'
import { HubError } from '../../domain/errors.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { ReplicatedServers } from './replicated-servers.ts'

interface Setup {
  readonly replicas?: number
  readonly stateLoss?: StateLoss
  readonly own?: boolean
  readonly sticky?: AffinityStrategy | 'off'
  readonly balance?: BalanceStrategy
}

const open: ReplicatedServers[] = []
afterEach(() => {
  for (const servers of open.splice(0)) servers.close()
})

function make({ replicas = 4, stateLoss = 'stateless', own = false, ...parts }: Setup = {}) {
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const lost: string[] = []
  const bound: [string, Upstream][] = []
  const news: ClusterNews[] = []
  const woken: string[] = []
  const { sticky = 'consistent-hash', balance = 'least-connections' } = parts
  const servers = new ReplicatedServers({
    clock,
    random: fixedRandom(0.5),
    log: logger,
    sticky: {
      ...STANDALONE.sticky,
      enabled: sticky !== 'off',
      ...(sticky !== 'off' && { strategy: sticky }),
    },
    balance,
    waitMs: 10_000,
    wake: (server) => woken.push(server),
    lost: (sessionId) => lost.push(sessionId),
    bound: (sessionId, _server, upstream) => bound.push([sessionId, upstream]),
    news: (each) => news.push(each),
  })
  open.push(servers)
  const isolation = own ? 'session' : 'shared'
  const spec = serverSpec('a', { isolation, replication: { ...defaultReplication(isolation), stateLoss } })
  const all = Array.from({ length: replicas }, (_, n) => new FakeReplica(`a-replica-${n + 1}`, { own }))
  servers.put(spec, all)
  const sessions = Array.from({ length: 500 }, (_, n) => makeSession(`session-${n}`))
  /** Where a session's next call goes. */
  const idOf = (upstream: Upstream) =>
    all.find((each) => each.shared === upstream || [...each.own.values()].some((one) => one === upstream))?.id
  const call = (session?: ReturnType<typeof makeSession>) => {
    const upstream = servers.upstream('a', session)
    if (upstream instanceof Promise) throw new Error('The call waits.')
    return idOf(upstream)
  }
  const places = () => sessions.map((session) => call(session))
  return { clock, lines, lost, bound, news, woken, servers, spec, all, sessions, call, places, idOf }
}

type Made = ReturnType<typeof make>

function first({ all }: Made): FakeReplica {
  const [replica] = all
  if (!replica) throw new Error('There is no replica.')
  return replica
}

/** The replica that the first session is bound to, and another. */
function bindOne(made: Made) {
  const session = made.sessions[0] ?? makeSession('x')
  const id = made.call(session)
  const mine = made.all.find((each) => each.id === id)
  const other = made.all.find((each) => each.id !== id)
  if (!mine || !other) throw new Error('There are no two replicas.')
  return { session, mine, other }
}

const LOSS = new HubError('upstream.lost', 'Gone.')
const STICKY = ['consistent-hash', 'cookie', 'header'] as const
const BALANCE = ['round-robin', 'least-connections', 'weighted', 'random'] as const
const ALL_STRATEGIES = STICKY.flatMap((sticky) => BALANCE.map((balance) => ({ sticky, balance })))

describe.each(ALL_STRATEGIES)(
  '[R46] five hundred sessions on four replicas, $sticky and $balance',
  (strategies) => {
    test('stay each on its replica, whatever the load', () => {
      const made = make(strategies)
      const before = made.places()
      expect(new Set(before).size).toBe(4)
      for (const [n, replica] of made.all.entries()) replica.load = 100 - n
      for (let round = 0; round < 5; round += 1) expect(made.places()).toEqual(before)
    })

    test('are not moved by a fifth replica', () => {
      const made = make(strategies)
      const before = made.places()
      made.all.push(new FakeReplica('a-replica-5'))
      made.servers.put(made.spec, made.all)
      expect(made.places()).toEqual(before)
    })

    test('move only from the replica that goes', () => {
      const made = make(strategies)
      const before = made.places()
      const gone = first(made)
      made.servers.put(made.spec, made.all.slice(1))
      const after = made.places()
      const moved = before.flatMap((id, n) => (id === after[n] ? [] : [id]))
      expect(moved).toEqual(before.filter((id) => id === gone.id))
      expect(moved.length).toBeGreaterThan(0)
      expect(after).not.toContain(gone.id)
    })
  },
)

describe.each(['off', 'none'] as const)('with stickiness %s', (sticky) => {
  test('[R44] each call of a stateless shared server goes where the policy says', () => {
    const made = make({ sticky, balance: 'round-robin' })
    const session = makeSession('s')
    const ids = Array.from({ length: 8 }, () => made.call(session))
    expect([new Set(ids).size, ids.slice(4)]).toEqual([4, ids.slice(0, 4)])
    expect(made.servers.routes()).toEqual([])
  })

  test('a session that would lose something stays all the same, where the policy has put it', () => {
    const made = make({ sticky, balance: 'round-robin', stateLoss: 'stateful' })
    const before = made.places()
    expect(made.places()).toEqual(before)
    for (const { id } of made.all) expect(before.filter((place) => place === id)).toHaveLength(125)
  })
})

describe('calls without a session', () => {
  test('go where the policy says, one-off sessions too, and leave nothing behind', () => {
    const made = make({ balance: 'round-robin' })
    const oneOff = Object.assign(makeSession('direct'), { oneOff: true })
    const ids = [made.call(), made.call(oneOff), made.call(), made.call(oneOff)]
    expect(new Set(ids).size).toBe(4)
    expect(made.servers.routes()).toEqual([])
  })

  test('avoid replicas that are busy', () => {
    const made = make()
    for (const [n, replica] of made.all.entries()) replica.load = n === 2 ? 0 : 5
    expect([made.call(), made.call()]).toEqual(['a-replica-3', 'a-replica-3'])
  })
})

describe('[R20] [R21] a session that asks for a node', () => {
  test.each(['cookie', 'header'] as const)('gets it (%s)', (sticky) => {
    const made = make({ sticky })
    for (const replica of made.all) {
      const session = makeSession(`for-${replica.id}`)
      session.preferredNode = replica.node
      expect(made.call(session)).toBe(replica.id)
    }
  })

  test('[R58] that takes no calls gets another, and the log says so', () => {
    const made = make({ sticky: 'header' })
    const [session = makeSession('x'), same = session] = made.sessions
    session.preferredNode = 'nowhere'
    const id = made.call(session)
    expect(made.lines.map(({ level, message }) => [level, message.startsWith('affinity:')])).toEqual([
      ['debug', true],
    ])
    expect([session.preferredNode, id]).toEqual(['nowhere', make().call(makeSession(session.id))])
    expect(made.call(same)).toBeDefined()
  })

  test('by cookie is told the node that it got, if it asked for none or for one that is gone', () => {
    const made = make({ sticky: 'cookie' })
    const [none = makeSession('x'), gone = none, kept = none] = made.sessions
    gone.preferredNode = 'gone'
    const [one, two] = made.all
    if (!one || !two) throw new Error('There are no two.')
    one.standing = 'draining'
    kept.preferredNode = one.node
    for (const session of [none, gone, kept]) made.call(session)
    expect(made.all.map(({ node }) => node)).toContain(none.preferredNode)
    expect(made.all.map(({ node }) => node)).toContain(gone.preferredNode)
    expect(kept.preferredNode).toBe(one.node)
  })
})

describe('[R45] a replica that cannot be used', () => {
  test.each(['away', 'failed', 'starting', 'draining'] as const)(
    'because it is %s gives its stateless sessions away at their next call, and takes no new ones',
    (standing) => {
      const made = make()
      const before = made.places()
      first(made).standing = standing
      const after = made.places()
      expect(after).not.toContain(first(made).id)
      expect(before.filter((id, n) => id !== after[n])).toEqual(before.filter((id) => id === first(made).id))
      expect(made.lost).toEqual([])
    },
  )

  test.each(['away', 'starting', 'draining'] as const)(
    'because it is %s keeps sessions that it has something of',
    (standing) => {
      const made = make({ stateLoss: 'resumable' })
      const before = made.places()
      first(made).standing = standing
      expect([made.places(), made.lost]).toEqual([before, []])
      const after = make({ stateLoss: 'resumable' })
      first(after).standing = standing
      expect(after.places()).not.toContain(first(after).id)
    },
  )

  test('because it does not come up loses its sessions, but not those whose own process is well', () => {
    const made = make({ stateLoss: 'resumable', own: true })
    const { session, mine } = bindOne(made)
    mine.standing = 'failed'
    expect([made.call(session), made.lost]).toEqual([mine.id, []])
    mine.own.get(session.id)?.end()
    expect([made.call(session) === mine.id, made.lost]).toEqual([false, [session.id]])
  })

  test('ends stateful sessions, whose calls then say so', () => {
    const made = make({ stateLoss: 'stateful' })
    const { session, mine } = bindOne(made)
    mine.standing = 'failed'
    mine.shared.end()
    expect(() => made.call(session)).toThrow(expect.objectContaining({ code: 'session.unknown' }))
    expect([made.lost, made.servers.route(session.id)]).toEqual([[session.id], []])
  })

  test('is used when there is no other', () => {
    const made = make({ replicas: 1 })
    const { all, call, sessions } = made
    const [session] = sessions
    expect(call(session)).toBe('a-replica-1')
    for (const standing of ['draining', 'away', 'failed', 'starting'] as const) {
      first(made).standing = standing
      expect([standing, call(session)]).toEqual([standing, all[0]?.id])
    }
  })

  test('because it has lost a call is passed over until it is up again', async () => {
    const made = make()
    const { session, mine } = bindOne(made)
    mine.shared.end()
    made.servers.observed(mine.shared, 'lost')
    expect(made.call(session)).not.toBe(mine.id)
    const others = Array.from({ length: 40 }, (_, n) => makeSession(`new-${n}`))
    expect(others.map((each) => made.call(each))).not.toContain(mine.id)
    mine.shared = new FakeUpstream()
    const more = Array.from({ length: 40 }, (_, n) => makeSession(`newer-${n}`))
    expect(more.map((each) => made.call(each))).toContain(mine.id)
  })

  test('because it cannot be opened leaves the call to another', async () => {
    const made = make()
    const { mine } = bindOne(made)
    mine.give = () => Promise.reject(new HubError('server.unavailable', 'No.'))
    const given = await Promise.all(made.sessions.map((session) => made.servers.upstream('a', session)))
    expect(given).not.toContain(mine.shared)
    expect(given.every((upstream) => made.idOf(upstream))).toBe(true)
  })

  test('is not opened elsewhere for a session that has ended meanwhile', async () => {
    const made = make({ own: true, stateLoss: 'resumable' })
    const opening = Promise.withResolvers<Upstream>()
    for (const replica of made.all) replica.give = () => opening.promise
    const [session = makeSession('x')] = made.sessions
    const call = made.servers.upstream('a', session)
    made.servers.release(session.id)
    opening.reject(LOSS)
    await expect(call).rejects.toMatchObject({ code: 'upstream.lost' })
    expect(made.servers.routes()).toEqual([])
  })
})

describe('a replica that is gone', () => {
  test.each(['stateless', 'resumable', 'stateful'] as const)(
    'is told to the hub once for each session (%s)',
    (stateLoss) => {
      const made = make({ stateLoss })
      const before = made.places()
      const mine = made.sessions.filter((_, n) => before[n] === first(made).id).map(({ id }) => id)
      made.servers.put(made.spec, made.all.slice(1))
      expect(made.lost).toEqual(mine)
      made.servers.put(made.spec, made.all.slice(1))
      expect(made.lost).toEqual(mine)
    },
  )

  test('is so too when it is placed anew: with another epoch its sessions have lost it', () => {
    const made = make({ stateLoss: 'resumable' })
    const { session, mine } = bindOne(made)
    mine.epoch += 1
    made.servers.put(made.spec, made.all)
    expect(made.lost).toEqual([session.id])
    expect(made.call(session)).toBe(mine.id)
  })

  test('is not when only its handle is another', () => {
    const made = make({ stateLoss: 'stateful' })
    const before = made.places()
    const handles = made.all.map((replica) =>
      Object.assign(new FakeReplica(replica.id), { shared: replica.shared }),
    )
    made.servers.put(made.spec, handles)
    expect([made.places(), made.lost]).toEqual([before, []])
  })
})

describe('[R46] draining', () => {
  test.each(['stateless', 'resumable', 'stateful'] as const)(
    'fails no call, one replica after another (%s)',
    (stateLoss) => {
      const made = make({ stateLoss })
      for (let round = 0; round < 8; round += 1) {
        made.places()
        const [oldest, ...others] = made.all
        if (!oldest) throw new Error('There is no replica.')
        oldest.standing = 'draining'
        made.places()
        made.all.splice(0, made.all.length, ...others, new FakeReplica(`a-new-${round}`))
        // It ends when nothing needs it any more.
        if (made.servers.isIdle(oldest.id)) made.servers.put(made.spec, made.all)
        else made.all.push(oldest)
        made.places()
      }
      expect(made.lost).toEqual([])
    },
  )

  test('ends when a replica is idle: without calls and, unless it keeps nothing, without sessions', () => {
    const made = make({ stateLoss: 'resumable' })
    const { session, mine } = bindOne(made)
    expect(made.servers.isIdle(mine.id)).toBe(false)
    made.servers.release(session.id)
    expect(made.servers.isIdle(mine.id)).toBe(true)
    mine.load = 1
    expect(made.servers.isIdle(mine.id)).toBe(false)
    const stateless = make()
    expect(stateless.servers.isIdle(bindOne(stateless).mine.id)).toBe(true)
  })

  test('replicas serve stateless sessions while no other has come up', () => {
    const made = make({ replicas: 1 })
    first(made).standing = 'draining'
    expect(made.call(made.sessions[0])).toBe('a-replica-1')
    expect(made.servers.routes()).toEqual([])
  })
})

describe('upstreams of sessions of their own', () => {
  test('end where the session was, when it is released or moved', () => {
    const made = make({ own: true, stateLoss: 'stateless' })
    const { session, mine } = bindOne(made)
    mine.standing = 'draining'
    const other = made.all.find(({ id }) => id === made.call(session))
    expect(mine.released).toEqual([session.id])
    made.servers.release(session.id)
    expect(other?.released).toEqual([session.id])
  })
})

describe('users with upstreams of their own', () => {
  test('keep each to one replica, even where nothing is sticky, and lose what they had in it as one', () => {
    const made = make({ own: true, stateLoss: 'stateless', sticky: 'off', balance: 'round-robin' })
    const spec = { ...made.spec, isolation: 'user' as const }
    made.servers.put(spec, made.all)
    const ann = { id: 'user:ann', identity: makeSession('x').identity }
    const upstream = made.servers.upstream('a', ann)
    expect(made.servers.upstream('a', { ...ann })).toBe(upstream)
    const [route] = made.servers.routes()
    expect(made.servers.routes()).toHaveLength(1)
    expect(made.servers.isIdle(route?.replicaId ?? '')).toBe(false)
    made.servers.put(
      spec,
      made.all.filter(({ id }) => id !== route?.replicaId),
    )
    expect(made.lost).toEqual(['user:ann'])
    expect(made.servers.upstream('a', ann)).not.toBe(upstream)
  })
})

describe('a call when no replica takes any', () => {
  test('wakes a server that has none, and goes on when there is one', async () => {
    const made = make({ replicas: 0 })
    const call = made.servers.upstream('a', made.sessions[0])
    expect(made.woken).toEqual(['a'])
    await made.clock.advance(5_000)
    const replica = new FakeReplica('a-replica-1')
    made.servers.put(made.spec, [replica])
    expect(await call).toBe(replica.shared)
    expect(made.servers.routes()).toMatchObject([{ sessionId: 'session-0', replicaId: 'a-replica-1' }])
  })

  test('goes on when one that was starting or away is open, told or not', async () => {
    const made = make({ replicas: 2 })
    const [one, two] = made.all
    if (!one || !two) throw new Error('There are no two.')
    one.standing = 'starting'
    two.standing = 'away'
    const told = made.servers.upstream('a', undefined)
    one.standing = 'open'
    made.servers.changed('a')
    expect(await told).toBe(one.shared)
    one.standing = 'starting'
    const untold = made.servers.upstream('a', undefined)
    two.standing = 'open'
    await made.clock.advance(1_000)
    expect(await untold).toBe(two.shared)
  })

  test('fails after a while, and says what is configured and why nothing runs', async () => {
    const made = make({ replicas: 2 })
    const [one, two] = made.all
    if (!one || !two) throw new Error('There are no two.')
    one.standing = 'starting'
    two.standing = 'away'
    const call = made.servers.upstream('a', made.sessions[0])
    const failed = expect(call).rejects.toMatchObject({
      code: 'server.unavailable',
      message:
        'No replica of server "a" takes calls: a-replica-1 on node node-of-a-replica-1 is still starting, ' +
        'a-replica-2 on node node-of-a-replica-2 is out of reach.',
      retryAfter: 2,
    })
    await made.clock.advance(10_000)
    await failed
  })

  test('fails likewise when none is placed', async () => {
    const made = make({ replicas: 0 })
    const call = made.servers.upstream('a', undefined)
    const failed = expect(call).rejects.toMatchObject({
      code: 'server.unavailable',
      cure: expect.stringContaining('Its settings ask for 1'),
    })
    await made.clock.advance(10_000)
    await failed
  })

  test('leaves it to a replica that is down to say why', () => {
    const made = make({ replicas: 1 })
    first(made).standing = 'failed'
    expect(made.call(made.sessions[0])).toBe('a-replica-1')
    expect(made.servers.routes()).toEqual([])
  })

  test('ends when the session ends or the server is removed', async () => {
    const made = make({ replicas: 0 })
    const released = expect(made.servers.upstream('a', made.sessions[0])).rejects.toMatchObject({
      code: 'client.gone',
    })
    const removed = expect(made.servers.upstream('a', made.sessions[1])).rejects.toMatchObject({
      code: 'server.unavailable',
    })
    made.servers.release('session-0')
    await made.clock.advance(500)
    await released
    made.servers.remove('a')
    await removed
    expect(() => made.servers.upstream('a', undefined)).toThrow('does not run in this cluster')
  })
})

describe('bonds', () => {
  test('[R62] are forgotten when nobody has used them for the timeout', async () => {
    const made = make({ stateLoss: 'resumable', own: true })
    const { session, mine } = bindOne(made)
    await made.clock.advance(3_000_000)
    expect(made.servers.routes()).toHaveLength(1)
    made.call(session)
    await made.clock.advance(3_540_000)
    expect(made.servers.routes()).toHaveLength(1)
    await made.clock.advance(120_000)
    expect([made.servers.routes(), mine.released, made.lost]).toEqual([[], [session.id], []])
  })

  test('are kept while a call of the session takes its time', async () => {
    const made = make({ stateLoss: 'resumable', own: true })
    const { session, mine } = bindOne(made)
    const own = mine.own.get(session.id)
    if (own) own.idleSince = undefined
    await made.clock.advance(10_000_000)
    expect(made.servers.routes()).toHaveLength(1)
  })

  test('[R79] [R88] are shown with their times', async () => {
    const made = make()
    const { session, mine } = bindOne(made)
    const createdAt = made.clock.now()
    await made.clock.advance(1_000)
    made.call(session)
    await made.clock.advance(500)
    const route = {
      sessionId: session.id,
      serverName: 'a',
      nodeId: mine.node,
      replicaId: mine.id,
      createdAt,
      lastActivity: createdAt + 1_000,
    }
    expect([made.servers.routes(), made.servers.route(session.id)]).toEqual([[route], [route]])
    expect(made.servers.route('nobody')).toEqual([])
    expect([made.servers.unbind(session.id), made.servers.unbind(session.id)]).toEqual([true, false])
    expect(made.servers.routes()).toEqual([])
  })

  test('are told once, with the upstream that must know what the session has set', async () => {
    const made = make()
    const { session, mine } = bindOne(made)
    made.call(session)
    expect(made.bound).toEqual([[session.id, mine.shared]])
    mine.standing = 'away'
    made.call(session)
    await settle()
    expect(made.bound).toHaveLength(2)
    expect(made.bound[1]?.[1]).not.toBe(mine.shared)
  })
})

describe('the open upstream of a session', () => {
  test('is that of its replica; whoever is bound to none has that of the only one', () => {
    const made = make()
    const { session, mine } = bindOne(made)
    expect(made.servers.openUpstream('a', session)).toBe(mine.shared)
    expect(made.servers.openUpstream('a', makeSession('other'))).toBeUndefined()
    const single = make({ replicas: 1 })
    expect(single.servers.openUpstream('a', makeSession('other'))).toBe(first(single).shared)
    expect(single.servers.openUpstream('b', makeSession('other'))).toBeUndefined()
  })

  test('is one of the shared ones, of which all that are open are told', () => {
    const made = make()
    first(made).shared.end()
    expect(made.servers.sharedUpstreams('a')).toEqual(made.all.slice(1).map(({ shared }) => shared))
    expect(made.servers.sharedUpstreams('b')).toEqual([])
  })
})

describe('a replica that fails much more than its peers', () => {
  function fail(made: Made, replica: FakeReplica): void {
    for (let call = 0; call < 6; call += 1) {
      made.servers.observed(replica.shared, 'sent')
      made.servers.observed(replica.shared, 'timeout')
    }
  }

  test('gives its stateless sessions away for a time, and the cluster hears of it', async () => {
    const made = make()
    made.places()
    fail(made, first(made))
    expect(made.places()).not.toContain(first(made).id)
    expect(made.news).toMatchObject([{ kind: 'ejected', server: 'a', replica: 'a-replica-1' }])
    await made.clock.advance(10_000)
    const newcomers = Array.from({ length: 40 }, (_, n) => made.call(makeSession(`new-${n}`)))
    expect(newcomers).toContain(first(made).id)
  })

  test('is never ejected as the last', () => {
    const made = make({ replicas: 3 })
    made.places()
    const [one, two, three] = made.all
    if (!one || !two || !three) throw new Error('There are no three.')
    two.standing = 'away'
    fail(made, one)
    fail(made, three)
    expect(made.news).toHaveLength(1)
    expect(new Set(made.places())).toEqual(new Set([three.id]))
  })

  test('loses no session that it has something of', () => {
    const made = make({ stateLoss: 'stateful' })
    const before = made.places()
    fail(made, first(made))
    expect([made.places(), made.lost]).toEqual([before, []])
  })
})
