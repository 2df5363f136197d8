import { describe, expect, test } from 'vitest'
import { overrides, serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeFactory } from '../../../tests/fakes/factory.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { IDLE_LISTENER, runningParts } from '../../../tests/harness/running.ts'
import { defaultReplication } from '../../domain/replication.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { LocalFleet, sameProcess } from './local-fleet.ts'

const IDENTITY = {
  protocolVersion: '2025-11-25',
  clientInfo: { name: 'hub', version: '1' },
  capabilities: {},
}

function make() {
  const clock = new FakeClock()
  /** Each factory that was made, in its order. */
  const made: { spec: ServerSpec; factory: FakeFactory }[] = []
  const fleet = new LocalFleet({
    factory: (spec) => {
      const factory = new FakeFactory()
      factory.alwaysSucceed(() => clock.monotonic())
      made.push({ spec, factory })
      return factory
    },
    identity: IDENTITY,
    events: IDLE_LISTENER,
    ...runningParts(clock, recordingLogger().logger),
    waitMs: 5_000,
    drainMs: 10_000,
  })
  const apply = async (...specs: ServerSpec[]) => {
    fleet.apply(new Map(specs.map((spec) => [spec.name, spec])))
    await settle()
  }
  const started = () => made.map(({ spec }) => spec.name)
  const upstream = (index: number) => {
    const found = made[index]?.factory.lastUpstream
    if (!found) throw new Error('That server was never started.')
    return found
  }
  return { clock, fleet, apply, started, upstream, made }
}

function command(name: string, args: string[]): ServerSpec {
  return serverSpec(name, { transport: { kind: 'stdio', command: 'x', args, env: {}, cwd: undefined } })
}

const UNAVAILABLE = expect.objectContaining({ code: 'server.unavailable' })

describe('making the running servers equal to the settings', () => {
  test('starts what is new and enabled', async () => {
    const { apply, fleet, started, upstream } = make()
    await apply(serverSpec('a'), serverSpec('off', { enabled: false }), serverSpec('b'))
    expect(started()).toEqual(['a', 'b'])
    expect(fleet.upstream('a', undefined)).toBe(upstream(0))
    expect(fleet.report('a')?.state.kind).toBe('running')
    expect(() => fleet.upstream('off', undefined)).toThrow(UNAVAILABLE)
    expect(fleet.report('off')).toBeUndefined()
  })

  test('leaves alone what stays the same, and what only looks different to clients', async () => {
    const { apply, fleet, started, upstream } = make()
    await apply(serverSpec('a'))
    const described = serverSpec('a', {
      description: 'New.',
      overrides: overrides({ tools: { x: { enabled: false } } }),
      call: { timeoutMs: 1, resetTimeoutOnProgress: false, maxTotalTimeoutMs: 1 },
    })
    await apply(described)
    expect(started()).toEqual(['a'])
    expect(fleet.upstream('a', undefined)).toBe(upstream(0))
  })

  test('replaces what is started in another way, and stops what is gone or disabled', async () => {
    const { apply, started, upstream, clock } = make()
    await apply(command('a', ['1']), serverSpec('b'), serverSpec('c'))
    await apply(command('a', ['2']), serverSpec('b', { enabled: false }))
    expect(started()).toEqual(['a', 'b', 'c', 'a'])
    expect([0, 1, 2, 3].map((index) => upstream(index).ended !== undefined)).toEqual([
      true,
      true,
      true,
      false,
    ])
    expect(clock.pending).toBe(0)
  })

  test('lets calls in flight finish on what is replaced, while the new one takes new calls', async () => {
    const { apply, fleet, upstream, clock } = make()
    await apply(command('a', ['1']))
    const old = upstream(0)
    old.idleSince = undefined
    await apply(command('a', ['2']))
    await clock.advance(5_000)
    expect(old.ended).toBeUndefined()
    expect(fleet.upstream('a', undefined)).toBe(upstream(1))
    old.idleSince = clock.monotonic()
    await clock.advance(50)
    expect(old.ended).toBeDefined()
  })
})

describe('whether a process may go on under new settings', () => {
  const spec = command('a', ['1'])

  test.each<[string, Partial<ServerSpec>, boolean]>([
    ['a description', { description: 'x' }, true],
    ['overrides', { overrides: overrides({ tools: { x: {} } }) }, true],
    ['time limits', { call: { timeoutMs: 1, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 } }, true],
    [
      'a command',
      { transport: { kind: 'stdio', command: 'y', args: ['1'], env: {}, cwd: undefined } },
      false,
    ],
    [
      'arguments',
      { transport: { kind: 'stdio', command: 'x', args: ['2'], env: {}, cwd: undefined } },
      false,
    ],
    [
      'variables',
      { transport: { kind: 'stdio', command: 'x', args: ['1'], env: { A: '1' }, cwd: undefined } },
      false,
    ],
    ['a folder', { transport: { kind: 'stdio', command: 'x', args: ['1'], env: {}, cwd: '/' } }, false],
    ['a transport', { transport: { kind: 'sse', url: 'http://x', headers: {} } }, false],
    ['an isolation', { isolation: 'session' }, false],
    ['a start on demand', { startOnDemand: true }, false],
    ['an idle time', { idleTimeoutMs: 5 }, false],
    ['number of copies', { replication: { ...defaultReplication('shared'), replicas: 3 } }, true],
  ])('with another %s', (_what, parts, expected) => {
    expect(sameProcess(spec, { ...spec, ...parts })).toBe(expected)
  })
})

describe('a fleet', () => {
  test('releases what a session had for itself', async () => {
    const { apply, fleet } = make()
    await apply(serverSpec('a', { isolation: 'session' }), serverSpec('b'))
    const own = await fleet.upstream('a', { id: 'alice', identity: IDENTITY })
    expect(fleet.report('a')?.sessionUpstreams).toBe(1)
    fleet.release('alice')
    await settle()
    expect(own.ended).toBeDefined()
    expect(fleet.report('a')?.sessionUpstreams).toBe(0)
  })

  test('tells which upstream is open already; of unknown servers there is none', async () => {
    const { apply, fleet, upstream } = make()
    await apply(serverSpec('a'))
    expect(fleet.openUpstream('a', undefined)).toBe(upstream(0))
    expect(fleet.openUpstream('unknown', undefined)).toBeUndefined()
  })

  test('that is closed does not wait for calls in flight', async () => {
    const { apply, fleet, upstream } = make()
    await apply(serverSpec('a'))
    upstream(0).idleSince = undefined
    await fleet.close()
    expect(upstream(0).ended).toBeDefined()
  })

  test('reports the last words of a server', async () => {
    const { apply, fleet, made } = make()
    await apply(serverSpec('a'))
    made[0]?.factory.lines.push('panic')
    expect(fleet.report('a')?.stderr).toEqual(['panic'])
  })

  test('that is closed has ended everything, also what was being drained, and starts nothing more', async () => {
    const { apply, fleet, upstream, started, clock } = make()
    await apply(command('a', ['1']), serverSpec('b'))
    upstream(0).idleSince = undefined
    await apply(command('a', ['2']), serverSpec('b'))
    const closing = fleet.close()
    await clock.advance(10_050)
    await closing
    expect([0, 1, 2].map((index) => upstream(index).ended !== undefined)).toEqual([true, true, true])
    await apply(serverSpec('c'))
    expect(started()).toEqual(['a', 'b', 'a'])
    expect(() => fleet.upstream('a', undefined)).toThrow(UNAVAILABLE)
  })

  test('that is closed does not wait for what is still being drained', async () => {
    const { apply, fleet, upstream } = make()
    await apply(command('a', ['1']))
    upstream(0).idleSince = undefined
    await apply(command('a', ['2']))
    let closed = false
    void fleet.close().then(() => {
      closed = true
    })
    await settle()
    expect(closed).toBe(true)
  })
})
