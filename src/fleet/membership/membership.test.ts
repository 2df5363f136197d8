import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import type { NodeFacts } from '../../domain/cluster.ts'
import { EventLog } from './event-log.ts'
import { MAX_NODES, Membership, type NodeFlags } from './membership.ts'

const LOAD = { cpuPercent: 10, memoryPercent: 20, activeCalls: 3 }
const timings = { heartbeatIntervalMs: 5_000, heartbeatTimeoutMs: 15_000, cleanupIntervalMs: 30_000 }

/** A clock on which the process can be stopped for a while: time goes on, and timers do not. */
class PausingClock extends FakeClock {
  #pausedMs = 0

  override now(): number {
    return super.now() + this.#pausedMs
  }

  override monotonic(): number {
    return super.monotonic() + this.#pausedMs
  }

  jump(ms: number): void {
    this.#pausedMs += ms
  }
}

function facts(id: string, parts: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id,
    name: `Node of ${id}`,
    role: 'worker',
    version: '1.0.0',
    host: undefined,
    port: undefined,
    hostname: 'host',
    os: 'linux 6.1',
    labels: {},
    weight: 1,
    maxServers: undefined,
    runtimes: [],
    ...parts,
  }
}

function setup(flags?: ReadonlyMap<string, NodeFlags>) {
  const clock = new PausingClock()
  const { logger, lines } = recordingLogger()
  const events = new EventLog(clock)
  const changes: [string, string][] = []
  const membership = new Membership({
    clock,
    log: logger,
    events,
    timings,
    self: 'me',
    ...(flags ? { flags } : {}),
    replicasOn: (node) => (node === 'w1' ? 2 : 0),
    onChange: (node, state) => changes.push([node, state]),
  })
  membership.start()
  const said = () => lines.filter(({ level }) => level !== 'debug').map(({ message }) => message)
  return { clock, lines, events, changes, membership, said }
}

describe('membership', () => {
  test('[R55] says who has registered, word for word', () => {
    const { membership, said, events } = setup()
    membership.join(facts('node-1', { name: 'Worker Node 1' }), 2)
    expect(said()).toEqual(['Node registered: Worker Node 1 (node-1) with 2 servers'])
    expect(events.since(0, 9)).toMatchObject([{ kind: 'joined', node: 'node-1', text: said()[0] }])
  })

  test('[R56] says who has become unhealthy and when it was last heard, word for word', async () => {
    const { clock, membership, said } = setup()
    membership.join(facts('node-1'), 0)
    membership.linkUp('node-1')
    await clock.advance(2_000)
    membership.beat('node-1', LOAD)
    const heard = new Date(clock.now()).toISOString()
    await clock.advance(12_000)
    expect(said().slice(1)).toEqual([`Marking node node-1 as unhealthy (last heartbeat: ${heard})`])
  })

  test('[R57] shows heartbeats in the log at the level debug', () => {
    const { membership, lines } = setup()
    membership.join(facts('w1'), 0)
    membership.beat('w1', LOAD)
    expect(lines.at(-1)).toMatchObject({
      level: 'debug',
      message: 'heartbeat',
      fields: { node: 'w1', cpuPercent: 10 },
    })
  })

  test('[R133] marks a silent node unhealthy, then offline, and in the end takes it off the list', async () => {
    const { clock, membership, changes, said } = setup()
    membership.join(facts('w1'), 0)
    membership.linkUp('w1')
    await clock.advance(12_000)
    expect(membership.views().map(({ state }) => state)).toEqual(['unhealthy'])
    await clock.advance(3_600)
    expect(membership.views().map(({ state }) => state)).toEqual(['offline'])
    await clock.advance(30_000)
    expect(membership.views()).toEqual([])
    expect(changes).toEqual([
      ['w1', 'online'],
      ['w1', 'unhealthy'],
      ['w1', 'offline'],
      ['w1', 'removed'],
    ])
    expect(said()).toContain('Node w1 is offline')
  })

  test('keeps a node online that beats, through which the list shows its load', async () => {
    const { clock, membership, changes } = setup()
    membership.join(facts('w1'), 0)
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(5_000)
      expect(membership.beat('w1', LOAD)).toBe(true)
    }
    expect(membership.view('w1')).toMatchObject({
      state: 'online',
      load: LOAD,
      replicas: 2,
      lastHeartbeat: clock.now(),
    })
    expect(changes).toEqual([['w1', 'online']])
  })

  test('this node is never silent', async () => {
    const { clock, membership } = setup()
    membership.join(facts('me', { role: 'coordinator' }), 0)
    await clock.advance(100_000)
    expect(membership.view('me')?.state).toBe('online')
  })

  test('a link that goes down is seen at once, and one that comes back too', () => {
    const { membership, changes } = setup()
    membership.join(facts('w1'), 0)
    membership.linkUp('w1')
    membership.linkDown('w1')
    membership.linkUp('w1')
    expect(changes.map(([, state]) => state)).toEqual(['online', 'unhealthy', 'online'])
  })

  test('a node that leaves is offline at once, and its late heartbeats do not bring it back', () => {
    const { membership } = setup()
    membership.join(facts('w1'), 0)
    membership.leaving('w1')
    expect(membership.beat('w1', LOAD)).toBe(false)
    expect(membership.view('w1')?.state).toBe('offline')
    membership.join(facts('w1'), 1)
    expect(membership.view('w1')?.state).toBe('online')
  })

  test('a heartbeat of an unknown node asks it to join', () => {
    expect(setup().membership.beat('nobody', LOAD)).toBe(false)
  })

  test('joining twice registers once, and takes the newer facts', () => {
    const { membership, said } = setup()
    membership.join(facts('w1'), 0)
    membership.join(facts('w1', { weight: 3 }), 0)
    expect(said()).toHaveLength(1)
    expect(membership.view('w1')?.weight).toBe(3)
  })

  test('time in which this process itself was stopped counts for nobody as silence', async () => {
    const { clock, membership } = setup()
    membership.join(facts('w1'), 0)
    await clock.advance(1_000)
    clock.jump(60_000)
    await clock.advance(1_000)
    expect(membership.view('w1')?.state).toBe('online')
    await clock.advance(16_000)
    expect(membership.view('w1')?.state).toBe('offline')
  })
})

describe('the operator', () => {
  test('cordons, drains and uncordons; what he said outlives a restart of the node', () => {
    const { membership, events, said } = setup()
    membership.join(facts('w1'), 0)
    membership.cordon('w1')
    membership.cordon('w1')
    membership.drain('w1')
    expect(membership.view('w1')).toMatchObject({ cordoned: true, draining: true })
    membership.leaving('w1')
    membership.join(facts('w1'), 0)
    expect(membership.view('w1')).toMatchObject({ cordoned: true, draining: true })
    membership.uncordon('w1')
    expect(membership.view('w1')).toMatchObject({ cordoned: false, draining: false })
    const kinds = events.since(0, 99).map(({ kind }) => kind)
    expect(kinds).toEqual(['joined', 'cordoned', 'draining', 'offline', 'joined', 'uncordoned'])
    expect(said()).toContain('Node w1 is cordoned')
  })

  test('removes nodes that are offline, and is told why others stay', () => {
    const { membership } = setup()
    membership.join(facts('w1'), 0)
    expect(() => membership.remove('w1')).toThrow(expect.objectContaining({ code: 'resource.in-use' }))
    expect(() => membership.remove('w9')).toThrow(expect.objectContaining({ code: 'resource.missing' }))
    expect(() => membership.drain('w9')).toThrow(expect.objectContaining({ code: 'resource.missing' }))
    membership.leaving('w1')
    membership.remove('w1')
    expect(membership.views()).toEqual([])
  })
})

test('a cluster has as many nodes as it can count, and all of them need one timer', () => {
  const { clock, membership } = setup()
  for (let n = 0; n < MAX_NODES; n += 1) membership.join(facts(`w${n}`), 0)
  expect(clock.pending).toBe(1)
  expect(() => membership.join(facts('more'), 0)).toThrow(
    expect.objectContaining({ code: 'resource.in-use' }),
  )
  membership.close()
  expect(clock.pending).toBe(0)
})

test('only nodes with an address are doubtful, and only while something is wrong', async () => {
  const { clock, membership } = setup()
  membership.join(facts('w1', { host: '10.0.0.1', port: 3000 }), 0)
  membership.linkUp('w1')
  membership.join(facts('w2'), 0)
  expect(membership.doubtful()).toEqual([])
  membership.linkDown('w1')
  expect(membership.doubtful()).toEqual([{ id: 'w1', host: '10.0.0.1', port: 3000 }])
  await clock.advance(16_000)
  expect(membership.doubtful()).toEqual([])
})

test('what the operator said in an earlier run still holds for a node when it comes back', () => {
  const { membership } = setup(new Map([['w1', { cordoned: true, draining: true }]]))
  membership.join(facts('w1'), 0)
  membership.join(facts('w2'), 0)
  membership.cordon('w2')
  expect(membership.view('w1')).toMatchObject({ cordoned: true, draining: true })
  expect([...membership.flags]).toEqual([
    ['w1', { cordoned: true, draining: true }],
    ['w2', { cordoned: true, draining: false }],
  ])
  membership.uncordon('w1')
  expect([...membership.flags.keys()]).toEqual(['w2'])
})
