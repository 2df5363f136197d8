import { describe, expect, test } from 'vitest'
import {
  GRACE_MS,
  holderOf,
  linkedReplica,
  PlayedCoordinator,
  PlayedWorker,
  settle,
  WAIT_MS,
} from '../../../tests/harness/remote-replica.ts'
import { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { readFromCoordinator } from './packets.ts'

const CALL = {
  method: 'tools/call',
  params: undefined,
  limits: { timeoutMs: 60_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 },
}

/** What has become of waiting for an upstream: it, its error, or "waiting". */
function waiting(upstream: Upstream | Promise<Upstream>): { now: unknown } {
  const seen: { now: unknown } = { now: 'waiting' }
  Promise.resolve(upstream).then(
    (ready) => {
      seen.now = ready
    },
    (error: unknown) => {
      seen.now = error
    },
  )
  return seen
}

describe('a shared replica on a worker', () => {
  test('is opened as soon as its node says that it runs, and is then there at once for everybody', async () => {
    const { coordinator, worker } = await linkedReplica()
    const { server, events } = coordinator
    expect(events).toEqual(['starting', 'up', 'running'])
    expect(server.upstream(undefined)).toBe(coordinator.upstream)
    expect(server.upstream(holderOf('alice'))).toBe(coordinator.upstream)
    expect(coordinator.upstream.hello).toEqual(worker.process().connection.hello)
    expect([server.sessionUpstreams, worker.processes.length, server.isLinked]).toEqual([0, 1, true])
  })

  test('counts the calls that are in flight', async () => {
    const { coordinator } = await linkedReplica()
    coordinator.upstream.request(CALL).answer.catch(() => undefined)
    coordinator.upstream.request(CALL).answer.catch(() => undefined)
    expect(coordinator.server.load).toBe(2)
    await coordinator.lose()
    expect(coordinator.server.load).toBe(0)
  })

  test('shows the state that its node reports', async () => {
    const worker = new PlayedWorker()
    const { server } = new PlayedCoordinator(worker)
    expect(server.state.kind).toBe('pending')
    const { upstreams, link } = worker.link()
    server.linked(upstreams)
    const seen = (['pending', 'starting', 'error', 'stopped', 'terminated'] as const).map((phase) => {
      server.update(worker.report(phase, { error: 'exit code 1' }))
      return server.state.kind
    })
    expect(seen).toEqual(['pending', 'starting', 'failed', 'terminated', 'terminated'])
    expect(link.sent).toEqual([])
  })

  test('shows what its process wrote before it failed, until it runs', () => {
    const worker = new PlayedWorker()
    const { server } = new PlayedCoordinator(worker)
    server.linked(worker.link().upstreams)
    expect(server.stderr()).toEqual([])
    server.update(worker.report('error', { error: 'exit code 1', stderr: ['no such file', 'bye'] }))
    expect(server.stderr()).toEqual(['no such file', 'bye'])
    server.update(worker.report('starting'))
    expect(server.stderr()).toEqual(['no such file', 'bye'])
    server.update(worker.report('running'))
    expect(server.stderr()).toEqual([])
  })

  test('takes no word on another replica or epoch for its own', async () => {
    const worker = new PlayedWorker()
    const { server, events } = new PlayedCoordinator(worker)
    server.linked(worker.link().upstreams)
    events.length = 0
    server.update(worker.report('error', { epoch: 2 }))
    server.update(worker.report('error', { id: 'r2' }))
    expect(events).toEqual([])
  })

  test('is opened again after a crash, once it runs again', async () => {
    const { coordinator, worker, clock } = await linkedReplica()
    const before = coordinator.upstream
    coordinator.events.length = 0
    worker.process().crash()
    await settle()
    expect(coordinator.server.openUpstream(undefined)).toBeUndefined()
    await clock.advance(1_000)
    coordinator.server.update(worker.report('running'))
    await settle()
    expect(coordinator.upstream).not.toBe(before)
    expect(coordinator.events).toEqual(['down: upstream.lost', 'starting', 'up', 'running'])
    expect(worker.processes).toHaveLength(2)
  })

  test('is waited for while it starts, and the call is not lost', async () => {
    const { coordinator, worker, clock } = await linkedReplica()
    worker.process().crash()
    await settle()
    const seen = waiting(coordinator.server.upstream(undefined))
    await settle()
    expect(seen.now).toBe('waiting')
    await clock.advance(1_000)
    await settle()
    expect(seen.now).toBe(coordinator.upstream)
  })

  test('that cannot be started fails with the reason of its node, certainly not accepted', async () => {
    const worker = new PlayedWorker()
    worker.failure = new HubError('server.unavailable', 'No such program.')
    await worker.start()
    const coordinator = new PlayedCoordinator(worker)
    coordinator.server.linked(worker.link().upstreams)
    coordinator.server.update(worker.report('error', { error: 'No such program.' }))
    const seen = waiting(coordinator.server.upstream(undefined))
    await worker.clock.advance(WAIT_MS)
    await settle()
    expect(seen.now).toMatchObject({
      code: 'server.unavailable',
      message: 'Server "time" is down: No such program.',
      data: { server: 'time', state: 'failed', accepted: false },
    })
  })

  test('that its node no longer has is refused at once', async () => {
    const { coordinator, worker } = await linkedReplica()
    worker.epoch = 2
    worker.process().crash()
    await settle()
    const seen = waiting(coordinator.server.upstream(undefined))
    await settle()
    expect(seen.now).toMatchObject({
      message: 'Replica "r1" does not run on this node.',
      data: { accepted: false },
    })
  })
})

describe('a replica that sleeps', () => {
  const onDemand = (): Promise<Awaited<ReturnType<typeof linkedReplica>>> =>
    linkedReplica({ startOnDemand: true, idleTimeoutMs: 60_000 })

  test('is not woken by being watched, and wakes with the next call', async () => {
    const { coordinator, worker, clock } = await onDemand()
    await clock.advance(60_000)
    await settle()
    coordinator.server.update(worker.report('running'))
    await settle()
    expect([worker.server.state.kind, coordinator.server.state.kind]).toEqual(['asleep', 'asleep'])
    const seen = waiting(coordinator.server.upstream(undefined))
    await settle()
    expect(seen.now).toBe(coordinator.upstream)
    expect([worker.processes.length, coordinator.server.state.kind]).toEqual([2, 'running'])
  })

  test('is woken once by a coordinator that has never seen it: nobody knows its lists yet', async () => {
    const { worker, clock } = await onDemand()
    await clock.advance(60_000)
    const another = await new PlayedCoordinator(worker).join()
    expect(another.events).toEqual(['starting', 'up', 'running'])
    expect(worker.processes).toHaveLength(2)
  })
})

describe('a replica whose link is down', () => {
  test('says so, and is open again when the link is back', async () => {
    const { coordinator, worker } = await linkedReplica()
    coordinator.events.length = 0
    await coordinator.lose()
    expect(coordinator.server.isLinked).toBe(false)
    expect(coordinator.server.state).toMatchObject({
      kind: 'failed',
      error: { message: 'Node "w1" cannot be reached: The cable was cut.' },
    })
    await coordinator.join()
    expect(coordinator.events).toEqual(['failed', 'down: link.lost', 'starting', 'up', 'running'])
    expect(worker.processes).toHaveLength(1)
  })

  test('lets calls wait for its return', async () => {
    const { coordinator, clock } = await linkedReplica()
    await coordinator.lose()
    const seen = waiting(coordinator.server.upstream(undefined))
    await clock.advance(WAIT_MS - 1)
    expect(seen.now).toBe('waiting')
    await coordinator.join()
    expect(seen.now).toBe(coordinator.upstream)
    expect(clock.pending).toBe(0)
  })

  test('and does not come back fails them, certainly not accepted', async () => {
    const { coordinator, clock } = await linkedReplica()
    await coordinator.lose()
    const seen = waiting(coordinator.server.upstream(undefined))
    await clock.advance(WAIT_MS)
    expect(seen.now).toMatchObject({
      code: 'server.unavailable',
      message: expect.stringContaining('Node "w1" cannot be reached'),
      data: { node: 'w1', replica: 'r1', accepted: false },
    })
  })

  test('lets a call go on to wait that was just opening it', async () => {
    const { coordinator, worker } = await linkedReplica()
    worker.process().crash()
    await settle()
    const seen = waiting(coordinator.server.upstream(undefined))
    await coordinator.lose()
    expect(seen.now).toBe('waiting')
    await worker.clock.advance(1_000)
    await coordinator.join()
    expect(seen.now).toBe(coordinator.upstream)
  })

  test('goes over to a newer link, and the end of the older one changes nothing', async () => {
    const { coordinator, worker } = await linkedReplica()
    const old = coordinator.link
    await coordinator.join()
    old.close(new HubError('link.replaced', 'A newer link is there.'))
    await settle()
    expect([coordinator.server.isLinked, coordinator.server.state.kind]).toEqual([true, 'running'])
    expect(coordinator.upstream.ended).toBeUndefined()
    expect(worker.processes).toHaveLength(1)
  })
})

describe('under isolation "session"', () => {
  const isolated = (parts: Partial<ServerSpec> = {}) => linkedReplica({ isolation: 'session', ...parts })

  test('each session has a process of its own, which introduces the client itself', async () => {
    const { coordinator, worker } = await isolated()
    const { server, events } = coordinator
    const [alice, bob] = await Promise.all([
      server.upstream(holderOf('alice')),
      server.upstream(holderOf('bob')),
    ])
    expect(alice).not.toBe(bob)
    expect(server.upstream(holderOf('alice'))).toBe(alice)
    expect(worker.processes.map(({ identity }) => identity.clientInfo.name)).toEqual([
      'worker',
      'alice',
      'bob',
    ])
    expect([server.sessionUpstreams, worker.server.sessionUpstreams]).toEqual([2, 2])
    expect(events.slice(3)).toEqual(['own up: alice', 'own up: bob'])
  })

  test('so has each user under isolation "user"', async () => {
    const { coordinator, worker } = await linkedReplica({ isolation: 'user' })
    const { server } = coordinator
    const [ann, bob] = await Promise.all([
      server.upstream(holderOf('user:ann')),
      server.upstream(holderOf('user:bob')),
    ])
    expect(ann).not.toBe(bob)
    expect(server.upstream(holderOf('user:ann'))).toBe(ann)
    expect([server.sessionUpstreams, worker.server.sessionUpstreams]).toEqual([2, 2])
  })

  test('two calls at once start one process', async () => {
    const { coordinator, worker } = await isolated()
    const [one, two] = await Promise.all([
      coordinator.server.upstream(holderOf('alice')),
      coordinator.server.upstream(holderOf('alice')),
    ])
    expect(one).toBe(two)
    expect(worker.processes).toHaveLength(2)
  })

  test('a session keeps its process over the loss of the link, and hears it again by itself', async () => {
    const { coordinator, worker, clock } = await isolated()
    await coordinator.server.upstream(holderOf('alice'))
    coordinator.events.length = 0
    await coordinator.lose()
    expect(coordinator.server.openUpstream(holderOf('alice'))).toBeUndefined()
    await clock.advance(GRACE_MS - 1)
    await coordinator.join()
    expect(coordinator.events).toContain('own up: alice')
    const again = coordinator.server.openUpstream(holderOf('alice'))
    again?.notify('hello', undefined)
    await settle()
    expect(worker.process(1).last).toMatchObject({ method: 'hello' })
    await clock.advance(GRACE_MS * 2)
    expect(worker.process(1).connection.ended).toBeUndefined()
  })

  test('a session that stays away too long loses its process, and gets a new one with its next call', async () => {
    const { coordinator, worker, clock } = await isolated()
    await coordinator.server.upstream(holderOf('alice'))
    await coordinator.lose()
    await clock.advance(GRACE_MS)
    expect(worker.process(1).connection.ended).toBeDefined()
    await coordinator.join()
    expect([coordinator.server.sessionUpstreams, worker.server.sessionUpstreams]).toEqual([0, 0])
    const seen = waiting(coordinator.server.upstream(holderOf('alice')))
    await settle()
    expect(seen.now).toBe(coordinator.server.openUpstream(holderOf('alice')))
  })

  test('a session whose process has crashed gets a new one with its next call, and not before', async () => {
    const { coordinator, worker } = await isolated()
    await coordinator.server.upstream(holderOf('alice'))
    worker.process(1).crash()
    await settle()
    expect([coordinator.server.sessionUpstreams, worker.processes.length]).toEqual([0, 2])
    await coordinator.server.upstream(holderOf('alice'))
    expect(worker.processes).toHaveLength(3)
  })

  test('the end of a session ends its process, also one that is just being opened', async () => {
    const { coordinator, worker } = await isolated()
    const { server } = coordinator
    await server.upstream(holderOf('alice'))
    const bob = waiting(server.upstream(holderOf('bob')))
    server.release('alice')
    server.release('bob')
    await settle()
    expect(worker.processes.slice(1).map(({ connection }) => connection.ended?.code)).toEqual([
      'upstream.lost',
      ...worker.processes.slice(2).map(() => 'upstream.lost'),
    ])
    expect(bob.now).toBeInstanceOf(HubError)
    expect([server.sessionUpstreams, worker.server.sessionUpstreams]).toEqual([0, 0])
  })

  test('a call that waits for the link does not bring back a session that has ended', async () => {
    const { coordinator, worker } = await isolated()
    await coordinator.lose()
    const seen = waiting(coordinator.server.upstream(holderOf('alice')))
    coordinator.server.release('alice')
    await settle()
    expect(seen.now).toMatchObject({ code: 'server.unavailable' })
    await coordinator.join()
    expect([coordinator.server.sessionUpstreams, worker.server.sessionUpstreams]).toEqual([0, 0])
  })
})

test('closing lets calls in flight end as their node ends them', async () => {
  const { coordinator, worker } = await linkedReplica()
  const answered = coordinator.upstream.request(CALL)
  const lost = coordinator.upstream.request(CALL)
  const failed = expect(lost.answer).rejects.toMatchObject({ code: 'upstream.lost' })
  await settle()
  coordinator.server.close()
  expect(coordinator.server.openUpstream(undefined)).toBeUndefined()
  worker.process().say({ id: 1, result: { late: true } })
  expect(await answered.answer).toMatchObject({ result: { late: true } })
  worker.process().crash()
  await failed
})

test('closing tells the worker when the last call in flight has ended', async () => {
  const { coordinator, worker } = await linkedReplica()
  const pending = coordinator.upstream.request(CALL)
  await settle()
  coordinator.server.close()
  await settle()
  const before = coordinator.link.sent.length
  worker.process().say({ id: 1, result: {} })
  await pending.answer
  await settle()
  expect(coordinator.link.sent.slice(before).map(({ packet }) => readFromCoordinator(packet).kind)).toEqual([
    'close',
  ])
})

test('closing lets go of everything: nothing is opened again', async () => {
  const { coordinator, worker } = await linkedReplica({ isolation: 'session' })
  await coordinator.server.upstream(holderOf('alice'))
  coordinator.server.close()
  coordinator.server.close()
  await settle()
  expect(coordinator.server.state.kind).toBe('terminated')
  expect([coordinator.server.load, coordinator.server.sessionUpstreams, worker.server.load]).toEqual([
    0, 0, 0,
  ])
  expect(worker.process(1).connection.ended).toBeDefined()
  await coordinator.join()
  expect(coordinator.server.openUpstream(undefined)).toBeUndefined()
  await expect(coordinator.server.upstream(undefined)).rejects.toMatchObject({
    message: 'Server "time" was stopped or removed.',
  })
})
