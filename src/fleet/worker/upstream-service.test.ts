import { describe, expect, test } from 'vitest'
import {
  GRACE_MS,
  holderOf,
  linkedReplica,
  PlayedCoordinator,
  PlayedWorker,
  settle,
} from '../../../tests/harness/remote-replica.ts'
import { HubError } from '../../domain/errors.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { encodePacket } from '../link/packets.ts'

const LIMITS = { timeoutMs: 600_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 }

/** A call that nobody looks at. */
function callOn(upstream: Upstream, params?: string) {
  const pending = upstream.request({
    method: 'tools/call',
    params: params === undefined ? undefined : Buffer.from(params),
    limits: LIMITS,
  })
  pending.answer.catch(() => undefined)
  return pending
}

async function twoCoordinators() {
  const { worker, coordinator: first, clock } = await linkedReplica()
  const second = await new PlayedCoordinator(worker).join()
  return { worker, first, second, clock, process: worker.process() }
}

function told({ notifications }: PlayedCoordinator): unknown[] {
  return notifications.map(({ notification: { method } }) => method.replace('notifications/', ''))
}

describe('a replica that several coordinators use', () => {
  test('is one process, and each gets its own answers', async () => {
    const { first, second, process, worker } = await twoCoordinators()
    const [one, two] = [callOn(first.upstream), callOn(second.upstream)]
    await settle()
    process.say({ id: 2, result: 'two' })
    process.say({ id: 1, result: 'one' })
    expect([(await one.answer).body.toString(), (await two.answer).body.toString()]).toEqual([
      '"one"',
      '"two"',
    ])
    expect(worker.processes).toHaveLength(1)
  })

  test('keeps their progress apart, though they chose the same token', async () => {
    const { first, second, process } = await twoCoordinators()
    const seen: string[] = []
    for (const [name, { upstream }] of Object.entries({ first, second }))
      upstream
        .request({
          method: 'tools/call',
          params: Buffer.from('{"name":"x","_meta":{"a": 1.0,"progressToken": 5},"b": 2.0}'),
          progressToken: 5,
          onProgress: ({ params }) => seen.push(`${name}: ${params?.['progress']}`),
          limits: LIMITS,
        })
        .answer.catch(() => undefined)
    await settle()
    expect(
      process.channel.outgoing.map(({ bytes }) => /"params":(.*)}$/.exec(bytes.toString())?.[1]),
    ).toEqual([
      '{"name":"x","_meta":{"a": 1.0,"progressToken": 1},"b": 2.0}',
      '{"name":"x","_meta":{"a": 1.0,"progressToken": 2},"b": 2.0}',
    ])
    process.say({ method: 'notifications/progress', params: { progressToken: 2, progress: 20 } })
    process.say({ method: 'notifications/progress', params: { progressToken: 1, progress: 10 } })
    await settle()
    expect(seen).toEqual(['second: 20', 'first: 10'])
  })

  test('asks the only one that has a call at work', async () => {
    const { first, second, process } = await twoCoordinators()
    callOn(second.upstream)
    await settle()
    process.say({ id: 1, method: 'roots/list' })
    await settle()
    expect([first.requests.length, second.requests.length]).toEqual([0, 1])
  })

  test('asks the one on whose call a question came', async () => {
    const { first, second, process } = await twoCoordinators()
    const pending = callOn(first.upstream)
    callOn(second.upstream)
    await settle()
    process.say({ id: 1, method: 'roots/list' }, 1)
    await settle()
    expect([first.requests.length, second.requests.length]).toEqual([1, 0])
    expect(first.requests[0]?.related).toBe(pending)
  })

  test('may not ask while calls of both are at work, cancelled ones included, and the error names the cure', async () => {
    const { first, second, process, clock } = await twoCoordinators()
    callOn(first.upstream).cancel(undefined)
    callOn(second.upstream)
    await settle()
    process.say({ id: 'q', method: 'sampling/createMessage' })
    expect(process.last).toMatchObject({
      id: 'q',
      error: { code: -32016, message: expect.stringContaining('"isolation": "session"') },
    })
    // No late answer came: it cannot be at work for ever.
    await clock.advance(60_000)
    process.say({ id: 'r', method: 'sampling/createMessage' })
    await settle()
    expect([first.requests.length, second.requests.length]).toEqual([0, 1])
  })

  test('may not ask because of a call whose coordinator is gone', async () => {
    const { first, second, process } = await twoCoordinators()
    callOn(first.upstream)
    await settle()
    await first.lose()
    process.say({ id: 'q', method: 'sampling/createMessage' })
    await settle()
    expect(process.last).toMatchObject({ id: 'q', error: { data: { code: 'client.ambiguous' } } })
    expect(second.requests).toEqual([])
  })

  test('may not ask while nobody has a call at work', async () => {
    const { process } = await twoCoordinators()
    process.say({ id: 'q', method: 'sampling/createMessage' })
    expect(process.last).toMatchObject({ id: 'q', error: { data: { code: 'client.ambiguous' } } })
  })

  test('tells all what concerns all', async () => {
    const { first, second, process } = await twoCoordinators()
    callOn(first.upstream)
    callOn(second.upstream)
    await settle()
    process.say({ method: 'notifications/tools/list_changed' })
    process.say({ method: 'notifications/resources/updated', params: { uri: 'a:b' } })
    await settle()
    expect([told(first), told(second)]).toEqual([
      ['tools/list_changed', 'resources/updated'],
      ['tools/list_changed', 'resources/updated'],
    ])
  })

  test('shows a log message to the one whose call is at work, to nobody if that is unclear, to all if none is', async () => {
    const { first, second, process } = await twoCoordinators()
    const log = { method: 'notifications/message', params: { level: 'info', data: 'secret' } }
    process.say(log)
    await settle()
    expect([told(first).length, told(second).length]).toEqual([1, 1])
    callOn(first.upstream)
    await settle()
    process.say(log)
    await settle()
    expect([told(first).length, told(second).length]).toEqual([2, 1])
    callOn(second.upstream)
    await settle()
    process.say(log)
    await settle()
    expect([told(first).length, told(second).length]).toEqual([2, 1])
  })

  test('goes on for the others when one leaves', async () => {
    const { first, second, process } = await twoCoordinators()
    await first.upstream.close()
    const pending = callOn(second.upstream)
    await settle()
    process.say({ id: 1, result: 'still here' })
    expect((await pending.answer).body.toString()).toBe('"still here"')
    expect(process.connection.ended).toBeUndefined()
  })
})

describe('when a link is lost', () => {
  test('its calls are called off at the server, and its questions are answered', async () => {
    const { coordinator, worker } = await linkedReplica()
    const process = worker.process()
    callOn(coordinator.upstream)
    await settle()
    process.say({ id: 'q', method: 'roots/list' })
    await settle()
    await coordinator.lose()
    expect(process.got.slice(-2)).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: 1, reason: 'the coordinator is gone' } },
      { id: 'q', error: { data: { code: 'client.gone' } } },
    ])
    expect(worker.server.load).toBe(0)
  })

  test('and with it an opening, what comes about belongs to nobody and ends after a while', async () => {
    const worker = await new PlayedWorker({ isolation: 'session' }).start()
    const { upstreams, link } = worker.link()
    const inbound = { opened: () => undefined, request: () => undefined, notification: () => undefined }
    const opening = upstreams.open({
      server: 'time',
      replica: { id: 'r1', epoch: 1 },
      holder: holderOf('alice'),
      inbound,
      wake: true,
    })
    const failed = expect(opening).rejects.toMatchObject({ data: { accepted: false } })
    worker.server.upstream(holderOf('alice'))
    await new Promise<void>((resolve) => setImmediate(resolve))
    link.close(new HubError('link.lost', 'cut'))
    await failed
    await settle()
    expect(worker.server.sessionUpstreams).toBe(1)
    await worker.clock.advance(GRACE_MS)
    expect(worker.server.sessionUpstreams).toBe(0)
  })

  test('what a session’s own server says meanwhile is there when the link is back', async () => {
    const { coordinator, worker } = await linkedReplica({ isolation: 'session' })
    await coordinator.server.upstream(holderOf('alice'))
    await coordinator.lose()
    worker.process(1).say({ method: 'notifications/message', params: { data: 'meanwhile' } })
    worker.process(1).say({ id: 'q', method: 'roots/list' })
    await coordinator.join()
    expect(told(coordinator)).toEqual(['message'])
    expect(coordinator.requests.map(({ request: { id } }) => id)).toEqual(['q'])
  })
})

describe('a user’s own server that the user’s sessions use over two coordinators', () => {
  async function shared() {
    const { coordinator: first, worker } = await linkedReplica({ isolation: 'user' })
    const second = await new PlayedCoordinator(worker).join()
    const [one, two] = await Promise.all([
      first.server.upstream(holderOf('user:ann')),
      second.server.upstream(holderOf('user:ann')),
    ])
    return { first, second, one, two, worker, process: worker.process(1) }
  }

  test('is one process, whose questions go to the coordinator whose call is at work, or to nobody', async () => {
    const { first, second, one, two, worker, process } = await shared()
    expect(worker.processes).toHaveLength(2)
    callOn(one)
    await settle()
    process.say({ id: 'q1', method: 'roots/list' })
    await settle()
    expect([first.requests.length, second.requests.length]).toEqual([1, 0])
    callOn(two)
    await settle()
    process.say({ id: 'q2', method: 'roots/list' })
    await settle()
    expect([first.requests.length, second.requests.length]).toEqual([1, 0])
    expect(process.last).toMatchObject({ id: 'q2', error: { data: { code: 'client.ambiguous' } } })
  })

  test('goes on when one coordinator lets go of it, and ends with the last', async () => {
    const { first, second, two, worker } = await shared()
    first.server.release('user:ann')
    await settle()
    expect([two.ended, worker.server.sessionUpstreams]).toEqual([undefined, 1])
    second.server.release('user:ann')
    await settle()
    expect(worker.server.sessionUpstreams).toBe(0)
  })
})

describe('what a server says before anybody uses it', () => {
  test('waits for the first user', async () => {
    const worker = await new PlayedWorker().start()
    worker.process().say({ id: 'q', method: 'roots/list' })
    worker.process().say({ method: 'notifications/tools/list_changed' })
    const coordinator = await new PlayedCoordinator(worker).join()
    expect(coordinator.requests).toHaveLength(1)
    expect(told(coordinator)).toEqual(['tools/list_changed'])
    const second = await new PlayedCoordinator(worker).join()
    expect(second.requests).toEqual([])
  })

  test('is kept up to a limit; questions beyond it are refused', async () => {
    const worker = await new PlayedWorker().start()
    for (let number = 0; number < 100; number += 1)
      worker.process().say({ method: 'notifications/message', params: { data: number } })
    worker.process().say({ id: 'q', method: 'roots/list' })
    expect(worker.process().last).toMatchObject({ id: 'q', error: { code: -32016 } })
    const coordinator = await new PlayedCoordinator(worker).join()
    expect([told(coordinator).length, coordinator.requests.length]).toEqual([100, 0])
  })
})

describe('questions of a server', () => {
  test('that it has withdrawn are not answered', async () => {
    const { coordinator, worker } = await linkedReplica()
    const process = worker.process()
    callOn(coordinator.upstream)
    await settle()
    process.say({ id: 'q', method: 'roots/list' })
    process.say({ method: 'notifications/cancelled', params: { requestId: 'q' } })
    await settle()
    const count = process.got.length
    coordinator.upstream.respond({
      id: 'q',
      answer: { kind: 'result', id: 1, result: {}, body: Buffer.from('{}') },
    })
    await settle()
    expect(process.got).toHaveLength(count)
  })

  test('are refused beyond a thousand that are open', async () => {
    const { coordinator, worker } = await linkedReplica()
    const process = worker.process()
    callOn(coordinator.upstream)
    await settle()
    for (let id = 1; id <= 1_001; id += 1) process.say({ id, method: 'roots/list' })
    await settle()
    expect(coordinator.requests).toHaveLength(1_000)
    expect(process.last).toMatchObject({ id: 1_001, error: { data: { code: 'upstream.overloaded' } } })
  })
})

describe('a replica that is replaced while it works', () => {
  test('finishes what it has begun, takes nothing new, and the next call goes to the new one', async () => {
    const { coordinator, worker } = await linkedReplica()
    const old = coordinator.upstream
    const begun = callOn(old)
    const cancelled = callOn(old)
    await settle()
    worker.process().say({ id: 'q', method: 'roots/list' })
    await worker.replace()
    await expect(callOn(old).answer).rejects.toMatchObject({
      code: 'upstream.lost',
      data: { accepted: false },
    })
    await settle()
    expect(old.ended?.message).toContain('was restarted or taken away')
    expect(await coordinator.server.upstream(undefined)).not.toBe(old)
    callOn(coordinator.upstream)
    cancelled.cancel('enough')
    old.respond({ id: 'q', answer: { kind: 'result', id: 1, result: {}, body: Buffer.from('{}') } })
    await settle()
    expect(worker.process(1).last).toMatchObject({ id: 1, method: 'tools/call' })
    expect(worker.process().got.slice(2)).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: 2 } },
      { id: 'q', result: {} },
    ])
    worker.process().say({ id: 1, result: 'finished' })
    expect((await begun.answer).body.toString()).toBe('"finished"')
    expect(old.load).toBe(0)
  })

  test('and has nothing to do is exchanged at once', async () => {
    const { coordinator, worker, clock } = await linkedReplica()
    await worker.replace()
    await clock.advance(100)
    coordinator.server.update(worker.report('running'))
    await settle()
    expect(coordinator.events.slice(3)).toEqual(['down: upstream.lost', 'starting', 'up', 'running'])
    expect(worker.process().connection.ended).toBeDefined()
  })
})

describe('a worker that may not serve', () => {
  test('executes nothing: calls were certainly not accepted, and nothing is opened', async () => {
    const { coordinator, worker } = await linkedReplica({ isolation: 'session' })
    worker.mayServe = false
    const pending = coordinator.upstream.request({ method: 'tools/call', params: undefined, limits: LIMITS })
    coordinator.upstream.notify('hello', undefined)
    const failed = expect(pending.answer).rejects.toMatchObject({
      code: 'upstream.lost',
      data: { accepted: false },
    })
    await settle()
    await failed
    await expect(coordinator.server.upstream(holderOf('alice'))).rejects.toMatchObject({
      code: 'server.unavailable',
      data: { accepted: false },
    })
    expect([worker.process().got, worker.processes.length]).toEqual([[], 1])
  })

  test('still lets sessions end', async () => {
    const { coordinator, worker } = await linkedReplica({ isolation: 'session' })
    await coordinator.server.upstream(holderOf('alice'))
    worker.mayServe = false
    coordinator.server.release('alice')
    await settle()
    expect(worker.server.sessionUpstreams).toBe(0)
  })
})

describe('what a coordinator may not do ends its link', () => {
  const violations = {
    'open a number twice': {
      kind: 'open',
      upstream: 1,
      replica: { id: 'r1', epoch: 1 },
      holder: undefined,
      wake: true,
    },
    'introduce nobody': {
      kind: 'open',
      upstream: 9,
      replica: { id: 'r1', epoch: 1 },
      holder: { id: 'x', identity: Buffer.from('{"protocolVersion":1}') },
      wake: true,
    },
    'answer a question that has no id': {
      kind: 'respond',
      upstream: 1,
      id: '{}',
      isError: false,
      body: Buffer.alloc(0),
    },
  } as const

  test.each(Object.entries(violations))('%s', async (_what, packet) => {
    const { coordinator } = await linkedReplica()
    coordinator.link.send(1, encodePacket(packet))
    await settle()
    expect(coordinator.workerLink.ended).toMatchObject({ code: 'link.violation' })
  })

  test('use the number of a call that is under way', async () => {
    const { coordinator } = await linkedReplica()
    callOn(coordinator.upstream)
    const packet = coordinator.link.sent.at(-1)?.packet
    coordinator.link.send(1, packet ?? Buffer.alloc(0))
    await settle()
    expect(coordinator.workerLink.ended).toMatchObject({ code: 'link.violation' })
  })
})

test('params in which the progress token stands twice are refused, certainly not accepted', async () => {
  const { coordinator } = await linkedReplica()
  const pending = coordinator.upstream.request({
    method: 'tools/call',
    params: Buffer.from('{"_meta":{"progressToken":1,"progressToken":2}}'),
    progressToken: 1,
    limits: LIMITS,
  })
  await expect(pending.answer).rejects.toMatchObject({
    code: 'request.duplicate-member',
    data: { accepted: false },
  })
})
