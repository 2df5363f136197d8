import { describe, expect, test } from 'vitest'
import { FakeFactory } from '../../../tests/fakes/factory.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { Replica } from './replica.ts'
import { type ReplicaState, troubleOf } from './replica-state.ts'

const BACKOFF = { initialMs: 1_000, maxMs: 8_000, factor: 2, healthyAfterMs: 60_000 }
const BROKEN = new HubError('server.unavailable', 'It cannot be started.')
const CRASH = new HubError('upstream.lost', 'The process ended with exit code 1.')
const IDENTITY = { protocolVersion: '2025-11-25', clientInfo: { name: 'f', version: '1' }, capabilities: {} }

function make({ idleTimeoutMs = 0, gate = new Semaphore(8), random = 1, backoff = BACKOFF } = {}) {
  const clock = new FakeClock()
  const factory = new FakeFactory()
  const states: ReplicaState[] = []
  const replica = new Replica(
    {
      server: 'time',
      factory,
      identity: IDENTITY,
      inbound: () => ({ opened: () => undefined, request: () => undefined, notification: () => undefined }),
      backoff,
      startGate: gate,
      clock,
      random: fixedRandom(random),
      log: recordingLogger().logger,
      onState: (state) => states.push(state),
    },
    { idleTimeoutMs },
  )
  return { clock, factory, states, replica, kinds: () => states.map(({ kind }) => kind) }
}

/** One that runs. */
async function running(options: Parameters<typeof make>[0] = {}) {
  const made = make(options)
  made.factory.alwaysSucceed(() => made.clock.monotonic())
  made.replica.start()
  await settle()
  return made
}

/** What a caller who waits up to `waitMs` has got so far. */
function ask(replica: Replica, waitMs: number) {
  const seen: { upstream?: Upstream; error?: HubError } = {}
  replica.upstream(waitMs).then(
    (upstream) => {
      seen.upstream = upstream
    },
    (error: HubError) => {
      seen.error = error
    },
  )
  return seen
}

describe('the life of a replica', () => {
  test('begins pending; then it starts and runs', async () => {
    const { replica, factory, kinds, clock } = make()
    expect(replica.state).toEqual({ kind: 'pending' })
    replica.start()
    await settle()
    await clock.advance(500)
    expect(replica.state).toEqual({ kind: 'starting', since: 0 })
    expect(factory.lastOpening.identity).toBe(IDENTITY)
    const upstream = new FakeUpstream()
    factory.lastOpening.outcome.resolve(upstream)
    await settle()
    expect(replica.state).toEqual({ kind: 'running', since: 500, upstream })
    expect(kinds()).toEqual(['starting', 'running'])
  })

  test('goes on after a crash: the next one starts after the wait', async () => {
    const { replica, factory, clock, kinds } = await running()
    factory.lastUpstream.end(CRASH)
    await settle()
    expect(replica.state).toEqual({ kind: 'failed', error: CRASH, failures: 1, retryAt: 1_000 })
    await clock.advance(999)
    expect(factory.openings).toHaveLength(1)
    await clock.advance(1)
    expect(kinds()).toEqual(['starting', 'running', 'failed', 'starting', 'running'])
  })

  test('says while it is tried again why it is down, and forgets that once it runs', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    factory.onOpen = undefined
    await clock.advance(1_000)
    expect(replica.state).toEqual({ kind: 'starting', since: 1_000, after: BROKEN })
    expect(troubleOf(replica.state)).toBe(BROKEN)
    const asked = ask(replica, 10)
    await clock.advance(10)
    expect(asked.error?.message).toBe(
      'Server "time" is being started again after a failure: It cannot be started.',
    )
    factory.lastOpening.outcome.resolve(new FakeUpstream())
    await settle()
    expect(troubleOf(replica.state)).toBeUndefined()
  })

  test('leaves nothing of a crashed upstream before the next one starts', async () => {
    const { factory, clock } = await running()
    const [first] = factory.upstreams
    first?.end(CRASH)
    await settle()
    expect(first?.closeCalls).toBeGreaterThan(0)
    await clock.advance(1_000)
    expect(factory.upstreams).toHaveLength(2)
  })

  test('keeps the reason when something inside the hub went wrong', async () => {
    const { replica, factory } = make()
    factory.alwaysFail(new TypeError('oops'))
    replica.start()
    await settle()
    expect(replica.state).toMatchObject({ kind: 'failed', error: { code: 'internal' } })
  })
})

describe('[R128] the wait after a failure', () => {
  test('doubles from failure to failure, up to the cap', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    const waits: number[] = []
    await settle()
    for (let round = 0; round < 6; round += 1) {
      const { state } = replica
      if (state.kind !== 'failed') throw new Error(`It is ${state.kind}.`)
      waits.push(state.retryAt - clock.monotonic())
      await clock.advance(state.retryAt - clock.monotonic())
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
    expect(factory.openings).toHaveLength(7)
  })

  test('is half of that when the dice are low', async () => {
    const { replica, factory } = make({ random: 0 })
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    expect(replica.state).toMatchObject({ retryAt: 500 })
  })

  test('grows on when each run was short', async () => {
    const { replica, factory, clock } = await running()
    for (const retryIn of [1_000, 2_000, 4_000]) {
      await clock.advance(BACKOFF.healthyAfterMs - 1)
      factory.lastUpstream.end(CRASH)
      await settle()
      expect(replica.state).toMatchObject({ kind: 'failed', retryAt: clock.monotonic() + retryIn })
      await clock.advance(retryIn)
    }
  })

  test('begins anew after a healthy run', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    await clock.advance(1_000 + 2_000)
    expect(replica.state).toMatchObject({ failures: 3 })
    factory.alwaysSucceed()
    await clock.advance(4_000 + BACKOFF.healthyAfterMs)
    factory.lastUpstream.end(CRASH)
    await settle()
    expect(replica.state).toMatchObject({ kind: 'failed', failures: 1, retryAt: clock.monotonic() + 1_000 })
  })
})

describe('who asks for the upstream', () => {
  test('of a running replica has it at once', async () => {
    const { replica, factory } = await running()
    expect(await replica.upstream(0)).toBe(factory.lastUpstream)
  })

  test('of a starting replica waits for it, with all others', async () => {
    const { replica, factory, clock } = make()
    const early = ask(replica, 5_000)
    replica.start()
    await clock.advance(3_000)
    const late = ask(replica, 5_000)
    const upstream = new FakeUpstream()
    factory.lastOpening.outcome.resolve(upstream)
    await settle()
    expect([early.upstream, late.upstream]).toEqual([upstream, upstream])
    expect(clock.pending).toBe(0)
  })

  test('waits no longer than he said, and learns that it is still starting', async () => {
    const { replica, clock } = make()
    replica.start()
    const seen = ask(replica, 5_000)
    await clock.advance(4_999)
    expect(seen).toEqual({})
    await clock.advance(1)
    expect(seen.error).toMatchObject({
      code: 'server.unavailable',
      message: 'Server "time" is still starting.',
      data: { server: 'time', state: 'starting' },
      retryAfter: 1,
    })
    expect(replica.state.kind).toBe('starting')
  })

  test('waits through a first failure whose next try is near', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    const seen = ask(replica, 5_000)
    factory.alwaysSucceed()
    await clock.advance(1_000)
    expect(seen.upstream).toBe(factory.lastUpstream)
  })

  test('waits through a first failure whose next try lies well ahead, but within his time', async () => {
    const { replica, factory, clock } = make({ backoff: { ...BACKOFF, initialMs: 4_000 } })
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    const seen = ask(replica, 5_000)
    factory.alwaysSucceed()
    await clock.advance(4_000)
    expect(seen.upstream).toBe(factory.lastUpstream)
  })

  test('learns at once why, and when the next try is, if that lies too far ahead', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    await clock.advance(500)
    const seen = ask(replica, 499)
    await settle()
    expect(seen.error).toMatchObject({
      code: 'server.unavailable',
      message: 'Server "time" is down: It cannot be started.',
      cause: BROKEN,
      data: { server: 'time', state: 'failed', failures: 1 },
      retryAfter: 1,
      cure: 'The hub tries again in 1 s (failure 1 in a row).',
    })
  })

  test('does not wait for a server that keeps failing, unless its next try is due any moment', async () => {
    const { replica, factory, clock } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    await clock.advance(1_000)
    expect(replica.state).toMatchObject({ failures: 2, retryAt: 3_000 })
    const early = ask(replica, 60_000)
    await settle()
    expect(early.error).toMatchObject({ data: { failures: 2 }, retryAfter: 2 })
    await clock.advance(1_000)
    const late = ask(replica, 60_000)
    factory.alwaysSucceed()
    await clock.advance(1_000)
    expect(late.upstream).toBe(factory.lastUpstream)
  })

  test('has no upstream that has just ended', async () => {
    const { replica, factory, clock } = await running()
    factory.lastUpstream.end(CRASH)
    const seen = ask(replica, 5_000)
    await settle()
    await clock.advance(1_000)
    expect(factory.upstreams).toHaveLength(2)
    expect(seen.upstream).toBe(factory.lastUpstream)
  })
})

describe('a replica that may sleep', () => {
  const asleep = async () => {
    const made = await running({ idleTimeoutMs: 10_000 })
    await made.clock.advance(10_000)
    return made
  }

  test('does so after that long without a call', async () => {
    const { replica, factory, clock } = await running({ idleTimeoutMs: 10_000 })
    await clock.advance(9_999)
    expect(replica.state.kind).toBe('running')
    await clock.advance(1)
    expect(replica.state).toEqual({ kind: 'asleep' })
    expect(factory.lastUpstream.ended).toBeDefined()
    expect(clock.pending).toBe(0)
  })

  test('stays awake while a call is in flight', async () => {
    const { replica, factory, clock } = await running({ idleTimeoutMs: 10_000 })
    factory.lastUpstream.idleSince = undefined
    await clock.advance(100_000)
    expect(replica.state.kind).toBe('running')
  })

  test('wakes with the next call, which waits for it', async () => {
    const { replica, factory, clock, kinds } = await asleep()
    await clock.advance(1_000_000)
    expect(factory.openings).toHaveLength(1)
    const seen = ask(replica, 5_000)
    await settle()
    expect(seen.upstream).toBe(factory.lastUpstream)
    expect(kinds()).toEqual(['starting', 'running', 'asleep', 'starting', 'running'])
  })

  test('wakes once for many calls at once', async () => {
    const { replica, factory } = await asleep()
    const seen = [ask(replica, 5_000), ask(replica, 5_000), ask(replica, 5_000)]
    await settle()
    expect(factory.openings).toHaveLength(2)
    expect(seen.map(({ upstream }) => upstream)).toEqual(Array(3).fill(factory.lastUpstream))
  })

  test('counts no failure for having slept', async () => {
    const { replica, factory, clock } = await asleep()
    factory.alwaysFail(BROKEN)
    ask(replica, 100)
    await settle()
    expect(replica.state).toMatchObject({ kind: 'failed', failures: 1, retryAt: clock.monotonic() + 1_000 })
  })

  test('is failed and not asleep when it crashes before', async () => {
    const { replica, factory } = await running({ idleTimeoutMs: 10_000 })
    factory.lastUpstream.end(CRASH)
    await settle()
    expect(replica.state.kind).toBe('failed')
  })
})

describe('the start gate', () => {
  test('lets so many start at a time; the others are pending', async () => {
    const gate = new Semaphore(1)
    const [first, second] = [make({ gate }), make({ gate })]
    first.replica.start()
    second.replica.start()
    await settle()
    expect([first.replica.state.kind, second.replica.state.kind]).toEqual(['starting', 'pending'])
    first.factory.lastOpening.outcome.resolve(new FakeUpstream())
    await settle()
    expect([first.replica.state.kind, second.replica.state.kind]).toEqual(['running', 'starting'])
  })

  test('does not let one that takes long keep the others out: its place counts for 10 s', async () => {
    const gate = new Semaphore(1)
    const [slow, next, last] = [make({ gate }), make({ gate }), make({ gate })]
    for (const { replica } of [slow, next, last]) {
      replica.start()
      await settle()
    }
    await slow.clock.advance(9_999)
    expect(next.replica.state.kind).toBe('pending')
    await slow.clock.advance(1)
    expect(next.replica.state.kind).toBe('starting')
    slow.factory.lastOpening.outcome.resolve(new FakeUpstream())
    await settle()
    expect([slow.replica.state.kind, last.replica.state.kind]).toEqual(['running', 'pending'])
    expect(slow.clock.pending).toBe(0)
  })

  test('is given back after a failed start', async () => {
    const gate = new Semaphore(1)
    const [first, second] = [make({ gate }), make({ gate })]
    first.factory.alwaysFail(BROKEN)
    first.replica.start()
    second.replica.start()
    await settle()
    expect(second.replica.state.kind).toBe('starting')
  })
})

describe('retiring a replica', () => {
  test('that runs lets it go on, but not come back', async () => {
    const { replica, factory, clock } = await running()
    replica.retire()
    await clock.advance(100_000)
    expect(replica.state.kind).toBe('running')
    factory.lastUpstream.end(CRASH)
    await clock.advance(100_000)
    expect([replica.state.kind, factory.openings.length]).toEqual(['failed', 1])
    await replica.stop()
    expect(replica.state.kind).toBe('terminated')
  })

  test('that waits after a failure, or sleeps, ends the wait', async () => {
    const failed = make()
    failed.factory.alwaysFail(BROKEN)
    failed.replica.start()
    await settle()
    failed.replica.retire()
    const sleeping = await running({ idleTimeoutMs: 10_000 })
    await sleeping.clock.advance(10_000)
    sleeping.replica.retire()
    for (const { replica, factory, clock } of [failed, sleeping]) {
      await settle()
      expect(clock.pending).toBe(0)
      await clock.advance(100_000)
      expect([factory.openings.length, clock.pending]).toEqual([1, 0])
      await replica.stop()
    }
  })
})

describe('a retired replica that sleeps', () => {
  test('is not woken by a call', async () => {
    const { replica, factory, clock } = await running({ idleTimeoutMs: 10_000 })
    await clock.advance(10_000)
    replica.retire()
    const seen = ask(replica, 5_000)
    await clock.advance(5_000)
    expect(seen.error?.code).toBe('server.unavailable')
    expect(factory.openings).toHaveLength(1)
  })
})

describe('stopping a replica', () => {
  test('that was never started leaves it terminated', async () => {
    const { replica, factory } = make()
    await replica.stop()
    expect([replica.state.kind, factory.openings.length]).toEqual(['terminated', 0])
  })

  test('that starts takes the start back and waits for it', async () => {
    const { replica, factory } = make()
    replica.start()
    await settle()
    const seen = ask(replica, 5_000)
    const stopping = replica.stop()
    const { signal, outcome } = factory.lastOpening
    expect(signal.aborted).toBe(true)
    await settle()
    expect(replica.state.kind).toBe('starting')
    outcome.reject(new HubError('upstream.lost', 'Aborted.'))
    await stopping
    await settle()
    expect(replica.state.kind).toBe('terminated')
    expect(seen.error).toMatchObject({ data: { state: 'terminated' } })
  })

  test('whose start could not be taken back any more closes what came of it', async () => {
    const { replica, factory } = make()
    replica.start()
    await settle()
    const stopping = replica.stop()
    const upstream = new FakeUpstream()
    factory.lastOpening.outcome.resolve(upstream)
    await stopping
    expect(upstream.ended).toBeDefined()
    expect(replica.state.kind).toBe('terminated')
  })

  test('never shows as running what it started while it was being stopped', async () => {
    const { replica, factory, kinds } = make()
    replica.start()
    await settle()
    const stopping = replica.stop()
    factory.lastOpening.outcome.resolve(new FakeUpstream())
    await stopping
    expect(kinds()).toEqual(['starting', 'terminated'])
  })

  test('that runs closes its upstream and does not start another', async () => {
    const { replica, factory, clock, kinds } = await running()
    await replica.stop()
    expect(factory.lastUpstream.ended).toBeDefined()
    await clock.advance(1_000_000)
    expect(kinds()).toEqual(['starting', 'running', 'terminated'])
    expect(clock.pending).toBe(0)
  })

  test('that waits after a failure ends the wait', async () => {
    const { replica, factory, clock, kinds } = make()
    factory.alwaysFail(BROKEN)
    replica.start()
    await settle()
    await replica.stop()
    expect(clock.pending).toBe(0)
    await clock.advance(1_000_000)
    expect(kinds()).toEqual(['starting', 'failed', 'terminated'])
  })

  test('that sleeps leaves it terminated; calls are refused', async () => {
    const { replica, clock } = await running({ idleTimeoutMs: 10_000 })
    await clock.advance(10_000)
    await replica.stop()
    const seen = ask(replica, 5_000)
    await settle()
    expect(seen.error?.message).toBe('Server "time" was stopped or removed.')
    expect(clock.pending).toBe(0)
  })

  test('that waits at the start gate never starts it', async () => {
    const gate = new Semaphore(1)
    const release = await gate.acquire()
    const { replica, factory, kinds } = make({ gate })
    replica.start()
    await settle()
    const stopping = replica.stop()
    release()
    await stopping
    expect([factory.openings.length, kinds()]).toEqual([0, ['terminated']])
    // The slot is free again.
    await gate.acquire()
  })

  test('that waits at the start gate does not wait for those before it', async () => {
    const gate = new Semaphore(1)
    await gate.acquire()
    const { replica } = make({ gate })
    replica.start()
    await settle()
    let stopped = false
    void replica.stop().then(() => {
      stopped = true
    })
    await settle()
    expect(stopped).toBe(true)
  })

  test('may be done twice', async () => {
    const { replica, factory } = await running()
    await Promise.all([replica.stop(), replica.stop()])
    expect([replica.state.kind, factory.lastUpstream.ended !== undefined]).toEqual(['terminated', true])
  })
})
