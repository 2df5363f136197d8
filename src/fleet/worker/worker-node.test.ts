import { afterEach, describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeFactory } from '../../../tests/fakes/factory.ts'
import { type FakeLink, linkPair } from '../../../tests/fakes/links.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { clientIdentity } from '../../../tests/harness/remote-replica.ts'
import { IDLE_LISTENER, runningParts } from '../../../tests/harness/running.ts'
import { HubError } from '../../domain/errors.ts'
import { encodeControl, readToCoordinator, type ToCoordinator } from '../link/control.ts'
import { CONTROL_LANE } from '../link/link.ts'
import { toWire } from '../link/spec-wire.ts'
import { ReplicaHost } from './replica-host.ts'
import { WorkerNode } from './worker-node.ts'

const LEASE_MS = 10_000
type Beat = Extract<ToCoordinator, { type: 'beat' }>

/** A worker with a link to a coordinator, which the test plays. */
class World {
  readonly clock = new FakeClock()
  readonly factory = new FakeFactory()
  readonly host: ReplicaHost
  readonly node: WorkerNode
  readonly link: FakeLink
  readonly heard: ToCoordinator[] = []
  answers = true
  /** What the coordinator says of its own times. */
  times: { intervalMs?: number; leaseMs?: number } = {}

  constructor() {
    const { clock, factory } = this
    const { logger: log } = recordingLogger()
    this.host = new ReplicaHost({
      factory: () => factory,
      identity: clientIdentity('worker'),
      events: () => IDLE_LISTENER,
      ...runningParts(clock, log),
      waitMs: 1_000,
      drainMs: 1_000,
      onChange: () => this.node.changed(),
      specHash: () => 'x',
    })
    this.node = new WorkerNode({
      host: this.host,
      serve: () => ({ packet: () => undefined }),
      load: () => ({ cpuPercent: 0, memoryPercent: 0, activeCalls: 0 }),
      harmless: (text, longest) => text.replaceAll('canary', '***').slice(0, longest),
      heartbeatIntervalMs: 1_000,
      leaseMs: LEASE_MS,
      clock,
      log,
    })
    const { coordinator, worker } = linkPair()
    this.link = coordinator
    coordinator.handler = { packet: (packet) => this.#hear(readToCoordinator(packet)) }
    worker.handler = this.node.attach(worker)
  }

  #hear(message: ToCoordinator): void {
    this.heard.push(message)
    if (message.type === 'beat' && this.answers)
      this.link.send(CONTROL_LANE, encodeControl({ type: 'ack', seq: message.seq, ...this.times }))
  }

  place(): void {
    const spec = toWire(serverSpec('m'))
    const replicas = [{ id: 'm-replica-1', epoch: 7, specHash: 'x', spec }]
    this.link.send(CONTROL_LANE, encodeControl({ type: 'assign', term: 1, revision: 1, replicas }))
  }

  get lastBeat(): Beat {
    const beat = this.heard.findLast((message) => message.type === 'beat')
    if (!beat) throw new Error('There was no heartbeat.')
    return beat
  }

  async close(): Promise<void> {
    this.node.close()
    await this.host.close()
  }
}

let world: World | undefined

function open(): World {
  world = new World()
  return world
}

afterEach(() => world?.close())

describe('a coordinator that asks for a new start', () => {
  test('has a pinned replica replaced under its id, with a new epoch: what sessions had in it is gone', async () => {
    const { factory, node, link, host, clock } = open()
    factory.alwaysSucceed(() => clock.monotonic())
    node.pin(new Map([['p@w1', serverSpec('p')]]))
    await clock.advance(100)
    expect(factory.upstreams).toHaveLength(1)
    const before = host.reports()[0]?.epoch ?? Number.POSITIVE_INFINITY
    link.send(CONTROL_LANE, encodeControl({ type: 'reload', replica: 'p@w1' }))
    await clock.advance(2_000)
    expect(factory.upstreams).toHaveLength(2)
    expect(factory.upstreams[0]?.ended).toBeInstanceOf(HubError)
    expect(host.reports()).toMatchObject([{ id: 'p@w1', origin: 'pinned', phase: 'running' }])
    expect(host.reports()[0]?.epoch).toBeGreaterThan(before)
  })

  test('gets nothing restarted that it has placed itself, or that does not run here', async () => {
    const { factory, link, clock } = open()
    factory.alwaysSucceed(() => clock.monotonic())
    const spec = toWire(serverSpec('m'))
    const replicas = [{ id: 'm-replica-1', epoch: 7, specHash: 'x', spec }]
    link.send(CONTROL_LANE, encodeControl({ type: 'assign', term: 1, revision: 1, replicas }))
    await clock.advance(100)
    for (const replica of ['m-replica-1', 'nothing'])
      link.send(CONTROL_LANE, encodeControl({ type: 'reload', replica }))
    await clock.advance(2_000)
    expect(factory.upstreams).toHaveLength(1)
    expect(link.ended).toBeUndefined()
  })
})

describe('what a failed replica wrote last', () => {
  test('goes with the heartbeat: the last 20 lines, 300 characters of each, without secrets', async () => {
    const { factory, node, clock } = open()
    factory.alwaysFail(new HubError('upstream.lost', 'It ended at once.'))
    for (let n = 1; n <= 30; n += 1) factory.lines.push(`line ${n}`)
    factory.lines.push(`canary ${'x'.repeat(1_000)}`)
    node.pin(new Map([['p@w1', serverSpec('p')]]))
    await clock.advance(100)
    const [replica] = world?.lastBeat.replicas ?? []
    expect(replica?.phase).toBe('error')
    expect(replica?.stderr).toHaveLength(20)
    expect(replica?.stderr?.[0]).toBe('line 12')
    expect(replica?.stderr?.at(-1)).toBe(`*** ${'x'.repeat(296)}`)
  })

  test('is not told of one that runs', async () => {
    const { factory, node, clock } = open()
    factory.alwaysSucceed(() => clock.monotonic())
    factory.lines.push('all is well')
    node.pin(new Map([['p@w1', serverSpec('p')]]))
    await clock.advance(100)
    expect(world?.lastBeat.replicas).toMatchObject([{ phase: 'running' }])
    expect(world?.lastBeat.replicas[0]).not.toHaveProperty('stderr')
  })
})

describe('a link on which no heartbeat is answered', () => {
  test('is given up before the lease is over, so that a new one can keep what runs', async () => {
    const { link, clock } = open()
    await clock.advance(3_000)
    expect(link.ended).toBeUndefined()
    if (world) world.answers = false
    await clock.advance(LEASE_MS * 0.6)
    expect(link.ended).toBeUndefined()
    await clock.advance(LEASE_MS * 0.3)
    expect(link.ended?.message).toContain('does not answer')
    expect(world?.node.holdsLease).toBe(true)
  })

  test('stays while they are answered', async () => {
    const { link, clock } = open()
    await clock.advance(LEASE_MS * 5)
    expect(link.ended).toBeUndefined()
  })
})

describe('the lease', () => {
  test('ends what a coordinator has placed before that counts the node as gone', async () => {
    const world = open()
    const { factory, clock, host, link } = world
    factory.alwaysSucceed(() => clock.monotonic())
    world.place()
    await clock.advance(500)
    world.answers = false
    link.close(new HubError('link.lost', 'The cable was cut.'))
    // The last beat that was answered had been sent by now, and is younger than half a second.
    await clock.advance(LEASE_MS * 0.9)
    expect(host.reports()).toHaveLength(1)
    await clock.advance(LEASE_MS * 0.1)
    expect(host.reports()).toEqual([])
    expect(factory.upstreams[0]?.ended).toBeInstanceOf(HubError)
  })

  test('is as short as that of the coordinator, and so is the heartbeat', async () => {
    const world = open()
    const { factory, clock, host, heard } = world
    factory.alwaysSucceed(() => clock.monotonic())
    world.times = { intervalMs: 100, leaseMs: 300 }
    world.place()
    // The first heartbeat is answered at once.
    await clock.advance(0)
    await clock.advance(1_500)
    const before = heard.length
    await clock.advance(1_000)
    expect(heard.length - before).toBe(10)
    expect(host.reports()).toHaveLength(1)
    world.answers = false
    await clock.advance(300)
    expect(host.reports()).toEqual([])
  })

  test('is not longer for a coordinator that is more patient than this node', async () => {
    const world = open()
    const { clock, heard } = world
    world.times = { intervalMs: 60_000, leaseMs: 600_000 }
    await clock.advance(3_500)
    const before = heard.length
    await clock.advance(2_000)
    expect(heard.length - before).toBe(2)
  })
})

test('a node that leaves says so on each link, also one that is made after', async () => {
  const { node, heard, clock } = open()
  node.leave()
  const { coordinator, worker } = linkPair()
  const later: string[] = []
  coordinator.handler = { packet: (packet) => later.push(readToCoordinator(packet).type) }
  worker.handler = node.attach(worker)
  await clock.advance(100)
  expect(heard.map(({ type }) => type)).toContain('leaving')
  expect(later.slice(0, 3)).toEqual(['pinned', 'beat', 'leaving'])
})
