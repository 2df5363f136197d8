import { describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeFactory } from '../../../tests/fakes/factory.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import type { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { DEFAULT_BACKOFF } from '../../kernel/backoff.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import { type Holder, LocalServer } from './local-server.ts'

const NOBODY = { opened: () => undefined, request: () => undefined, notification: () => undefined }

function identity(name: string) {
  return { protocolVersion: '2025-11-25', clientInfo: { name, version: '1' }, capabilities: {} }
}

function holder(id: string): Holder {
  return { id, identity: identity(id) }
}

async function make(parts: Partial<ServerSpec> = {}) {
  const clock = new FakeClock()
  const factory = new FakeFactory()
  factory.alwaysSucceed(() => clock.monotonic())
  const events: string[] = []
  const inbounds: (string | undefined)[] = []
  const gate = new Semaphore(8)
  const server = new LocalServer(serverSpec('a', parts), {
    factory,
    identity: identity('hub'),
    events: {
      inbound: (_server, of) => {
        inbounds.push(of?.id)
        return NOBODY
      },
      up: () => events.push('up'),
      down: (_server, _upstream, reason) => events.push(`down: ${reason.message}`),
      stateChanged: () => events.push('state'),
    },
    startGate: gate,
    backoff: DEFAULT_BACKOFF,
    clock,
    random: fixedRandom(0),
    log: recordingLogger().logger,
    waitMs: 5_000,
    drainMs: 10_000,
  })
  server.start()
  await settle()
  return { clock, factory, events, inbounds, server, gate }
}

describe('a server that is shared', () => {
  test('is the same upstream for everybody, at once', async () => {
    const { server, factory } = await make()
    expect(server.upstream(undefined)).toBe(factory.lastUpstream)
    expect(server.upstream(holder('alice'))).toBe(factory.lastUpstream)
    expect([server.sessionUpstreams, factory.openings.length]).toEqual([0, 1])
    expect(factory.lastOpening.identity.clientInfo.name).toBe('hub')
  })

  test('tells when it comes up and goes down', async () => {
    const { events, factory } = await make()
    expect(events).toEqual(['state', 'up', 'state'])
    factory.lastUpstream.end(new HubError('upstream.lost', 'crash'))
    await settle()
    expect(events.slice(3).sort()).toEqual(['down: crash', 'state'])
  })

  test('is waited for while it is down', async () => {
    const { server, factory, clock } = await make()
    factory.lastUpstream.end()
    await settle()
    const waiting = server.upstream(undefined)
    await clock.advance(1_000)
    expect(await waiting).toBe(factory.lastUpstream)
    expect(factory.upstreams).toHaveLength(2)
  })

  test('does not sleep, unless it starts on demand', async () => {
    const always = await make({ idleTimeoutMs: 60_000 })
    await always.clock.advance(1_000_000)
    expect(always.server.state.kind).toBe('running')
    const onDemand = await make({ startOnDemand: true, idleTimeoutMs: 60_000 })
    await onDemand.clock.advance(59_999)
    expect(onDemand.server.state.kind).toBe('running')
    await onDemand.clock.advance(1)
    expect(onDemand.server.state.kind).toBe('asleep')
  })
})

describe('a server with isolation "session"', () => {
  const isolated = (parts: Partial<ServerSpec> = {}) => make({ isolation: 'session', ...parts })

  test('is an upstream of its own for each session, which introduces the client itself', async () => {
    const { server, factory, inbounds } = await isolated()
    const [alice, bob] = await Promise.all([server.upstream(holder('alice')), server.upstream(holder('bob'))])
    expect(alice).not.toBe(bob)
    expect(await server.upstream(holder('alice'))).toBe(alice)
    expect(factory.openings.map((opening) => opening.identity.clientInfo.name)).toEqual([
      'hub',
      'alice',
      'bob',
    ])
    expect(inbounds).toEqual([undefined, 'alice', 'bob'])
    expect(server.sessionUpstreams).toBe(2)
  })

  test('starts once for a session that calls twice at once', async () => {
    const { server, factory } = await isolated()
    const [one, two] = await Promise.all([server.upstream(holder('alice')), server.upstream(holder('alice'))])
    expect(one).toBe(two)
    expect(factory.openings).toHaveLength(2)
  })

  test('keeps the shared one only for as long as its lists are read', async () => {
    const { server, clock } = await isolated()
    await clock.advance(9_999)
    expect(server.state.kind).toBe('running')
    await clock.advance(1)
    expect(server.state.kind).toBe('asleep')
  })

  test('is closed with its session, and with no other', async () => {
    const { server, events } = await isolated()
    const alice = await server.upstream(holder('alice'))
    const bob = await server.upstream(holder('bob'))
    await server.release('alice')
    await settle()
    expect([alice.ended !== undefined, bob.ended]).toEqual([true, undefined])
    expect(server.sessionUpstreams).toBe(1)
    expect(events.at(-1)).toContain('down')
    await server.release('unknown')
  })

  test('starts anew for a session whose upstream has ended', async () => {
    const { server } = await isolated()
    const first = (await server.upstream(holder('alice'))) as FakeUpstream
    first.end()
    await settle()
    expect(server.sessionUpstreams).toBe(0)
    expect(await server.upstream(holder('alice'))).not.toBe(first)
  })

  test('that cannot start says why, and is tried again with the next call', async () => {
    const { server, factory, clock } = await isolated()
    factory.alwaysFail(new HubError('server.unavailable', 'no such program'))
    await expect(server.upstream(holder('alice'))).rejects.toMatchObject({
      code: 'server.unavailable',
      message: 'Server "a" cannot be started: no such program',
    })
    expect(server.sessionUpstreams).toBe(0)
    factory.alwaysSucceed(() => clock.monotonic())
    expect(await server.upstream(holder('alice'))).toBe(factory.lastUpstream)
  })

  test('gives its place at the start gate back, however the start went', async () => {
    const { server, factory, gate } = await isolated()
    const taken = await Promise.all(Array.from({ length: 7 }, () => gate.acquire()))
    factory.alwaysFail(new Error('x'))
    for (const id of ['a', 'b'])
      await expect(Promise.resolve(server.upstream(holder(id)))).rejects.toThrow('cannot be started')
    factory.alwaysSucceed()
    await server.upstream(holder('c'))
    await server.upstream(holder('d'))
    for (const release of taken) release()
  })

  test('goes when its session has not called for long, where the settings say so', async () => {
    const { server, clock } = await isolated({ idleTimeoutMs: 60_000 })
    const upstream = await server.upstream(holder('alice'))
    await clock.advance(59_999)
    expect(upstream.ended).toBeUndefined()
    await clock.advance(1)
    expect([upstream.ended !== undefined, server.sessionUpstreams]).toEqual([true, 0])
  })

  test('stays otherwise', async () => {
    const { server, clock } = await isolated()
    const upstream = await server.upstream(holder('alice'))
    await clock.advance(1_000_000)
    expect(upstream.ended).toBeUndefined()
  })
})

describe('stopping a server', () => {
  test('ends its shared upstream and those of all sessions', async () => {
    const { server, factory } = await make({ isolation: 'session' })
    await server.upstream(holder('alice'))
    await server.stop({ drain: false })
    expect(factory.upstreams.map(({ ended }) => ended !== undefined)).toEqual([true, true])
    expect([server.state.kind, server.sessionUpstreams]).toEqual(['terminated', 0])
  })

  test('lets calls in flight finish first, if asked to', async () => {
    const { server, factory, clock } = await make()
    const upstream = factory.lastUpstream
    upstream.idleSince = undefined
    let stopped = false
    void server.stop({ drain: true }).then(() => {
      stopped = true
    })
    await clock.advance(5_000)
    expect([upstream.ended, stopped]).toEqual([undefined, false])
    upstream.idleSince = clock.monotonic()
    await clock.advance(50)
    expect([upstream.ended !== undefined, stopped]).toEqual([true, true])
  })

  test("waits for calls on sessions' own upstreams too, and for none of them too long", async () => {
    const { server, clock } = await make({ isolation: 'session' })
    const own = (await server.upstream(holder('alice'))) as FakeUpstream
    own.idleSince = undefined
    void server.stop({ drain: true })
    await clock.advance(9_950)
    expect(own.ended).toBeUndefined()
    await clock.advance(100)
    expect(own.ended).toBeDefined()
  })

  test('takes back what is just starting', async () => {
    const { server, factory } = await make({ isolation: 'session' })
    factory.onOpen = undefined
    const opening = server.upstream(holder('alice'))
    await settle()
    const stopping = server.stop({ drain: false })
    await settle()
    const { signal, outcome } = factory.lastOpening
    expect(signal.aborted).toBe(true)
    outcome.reject(new HubError('upstream.lost', 'Aborted.'))
    await expect(opening).rejects.toMatchObject({ code: 'server.unavailable' })
    await stopping
  })
})

test('the last lines on stderr are those of its factory', async () => {
  const { server, factory } = await make()
  factory.lines.push('panic')
  expect(server.stderr()).toEqual(['panic'])
})
