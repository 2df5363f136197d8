import { describe, expect, test } from 'vitest'
import { linkedReplica, settle } from '../../../tests/harness/remote-replica.ts'
import { HubError } from '../../domain/errors.ts'
import type { RpcAnswer, RpcNotification } from '../../mcp/json-rpc.ts'
import type { CallTimes, PendingCall, UpstreamCall } from '../../upstream/upstream.ts'
import { SHORT_BYTES } from './packets.ts'

const LIMITS: CallTimes = { timeoutMs: 1_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 }

function call(parts: Partial<UpstreamCall> = {}): UpstreamCall {
  return { method: 'tools/call', params: Buffer.from('{"name":"now"}'), limits: LIMITS, ...parts }
}

/** What has become of a call so far: its result, its error's code, or "open". */
function outcome(pending: PendingCall): { readonly now: unknown } {
  const seen: { now: unknown } = { now: 'open' }
  const read = (answer: RpcAnswer) => (answer.kind === 'result' ? answer.result : answer.error)
  pending.answer.then(
    (answer) => {
      seen.now = read(answer)
    },
    (error: HubError) => {
      seen.now = error.code
    },
  )
  return seen
}

async function linked() {
  const all = await linkedReplica()
  return { ...all, upstream: all.coordinator.upstream, process: all.worker.process() }
}

describe('a call over a link', () => {
  test('reaches the server byte for byte, and the answer comes back so', async () => {
    const { upstream, process } = await linked()
    const pending = upstream.request(call({ params: Buffer.from('{"n": 1.0, "big": 12345678901234567890}') }))
    await settle()
    expect(process.channel.outgoing[0]?.bytes.toString()).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n": 1.0, "big": 12345678901234567890}}',
    )
    process.say('{"jsonrpc":"2.0","id":1,"result":{"n": 1.0, "big": 12345678901234567890}}')
    expect((await pending.answer).body.toString()).toBe('{"n": 1.0, "big": 12345678901234567890}')
  })

  test('gets its own answer, in whatever order they come; errors come as the server made them', async () => {
    const { upstream, process, clock } = await linked()
    const first = outcome(upstream.request(call({ limits: { ...LIMITS, maxTotalTimeoutMs: 5_000 } })))
    const second = outcome(upstream.request(call({ params: undefined })))
    await settle()
    expect([upstream.load, upstream.idleSince]).toEqual([2, undefined])
    process.say({ id: 2, error: { code: -5, message: 'no', data: { why: 1 } } })
    process.say({ id: 1, result: { isError: false } })
    await settle()
    expect(second.now).toEqual({ code: -5, message: 'no', data: { why: 1 } })
    expect(first.now).toEqual({ isError: false })
    expect([upstream.load, upstream.idleSince, clock.pending]).toEqual([0, clock.monotonic(), 0])
  })

  test('tells whether the result is an error without parsing it', async () => {
    const { upstream, process } = await linked()
    const pending = [upstream.request(call()), upstream.request(call()), upstream.request(call())]
    await settle()
    process.say({ id: 1, result: { isError: true } })
    process.say({ id: 2, result: { isError: 'true' } })
    process.say({ id: 3, result: { content: [] } })
    const answers = await Promise.all(pending.map(({ answer }) => answer))
    expect(answers.map((answer) => answer.kind === 'result' && answer.isError)).toEqual([true, false, false])
  })

  test('may have an answer of 20 MB, which passes byte for byte and holds nobody up', async () => {
    const { upstream, process, coordinator } = await linked()
    const text = `{"n": 1.00, "big": 12345678901234567890, "text": "ä\\u00e4${'x'.repeat(20_000_000)}"}`
    const long = upstream.request(call())
    const short = upstream.request(call())
    await settle()
    coordinator.workerLink.holds = (lane) => lane % 2 === 1
    process.say(`{"jsonrpc":"2.0","id":1,"result":${text}}`)
    process.say({ id: 2, result: 'short' })
    expect(await short.answer).toMatchObject({ kind: 'result' })
    coordinator.workerLink.letGo()
    const { body } = await long.answer
    expect(body.equals(Buffer.from(text))).toBe(true)
  })

  test('whose long answer is still under way gets it, though the server has ended meanwhile', async () => {
    const { upstream, process, coordinator } = await linked()
    const text = 'x'.repeat(SHORT_BYTES)
    const [answered, open] = [outcome(upstream.request(call())), outcome(upstream.request(call()))]
    await settle()
    coordinator.workerLink.holds = (lane) => lane % 2 === 1
    process.say({ id: 1, result: text })
    process.crash()
    await settle()
    expect(upstream.ended?.message).toBe('The process ended.')
    expect([answered.now, open.now]).toEqual(['open', 'upstream.lost'])
    coordinator.workerLink.letGo()
    await settle()
    expect(answered.now).toBe(text)
  })

  test('with long params keeps its cancellation behind them', async () => {
    const { upstream, process, coordinator } = await linked()
    const pending = upstream.request(
      call({ params: Buffer.from(JSON.stringify({ x: 'y'.repeat(SHORT_BYTES) })) }),
    )
    pending.answer.catch(() => undefined)
    pending.cancel('changed my mind')
    const [request, cancel] = coordinator.link.sent.slice(-2)
    expect(request?.lane).toBe(cancel?.lane)
    await settle()
    expect(process.last).toMatchObject({ method: 'notifications/cancelled' })
  })

  test('fails as the worker says', async () => {
    const { upstream, process } = await linked()
    const pending = upstream.request(call())
    await settle()
    process.connection.failed(
      1,
      new HubError('upstream.rejected', 'HTTP 500', { data: { status: 500 }, cure: 'Look.' }),
    )
    await expect(pending.answer).rejects.toMatchObject({
      code: 'upstream.rejected',
      message: 'HTTP 500',
      data: { status: 500 },
      cure: 'Look.',
    })
  })
})

describe('the time that a call may take over a link', () => {
  test('is watched by the coordinator; the server is told when it is over', async () => {
    const { upstream, process, clock } = await linked()
    const seen = outcome(upstream.request(call()))
    await settle()
    await clock.advance(1_000)
    expect(seen.now).toBe('upstream.timeout')
    await settle()
    expect(process.last).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: 1, reason: 'no answer within 1000 ms' },
    })
  })

  test('starts anew with progress, which comes to its call', async () => {
    const { upstream, process, clock } = await linked()
    const progress: RpcNotification[] = []
    const params = Buffer.from('{"_meta":{"progressToken":7},"n": 1.0}')
    const pending = upstream.request(
      call({ params, progressToken: 7, onProgress: (each) => progress.push(each) }),
    )
    const seen = outcome(pending)
    await settle()
    for (const done of [1, 2]) {
      await clock.advance(900)
      process.say({ method: 'notifications/progress', params: { progressToken: 1, progress: done } })
      await settle()
    }
    expect(progress.map(({ params: read }) => read?.['progress'])).toEqual([1, 2])
    await clock.advance(999)
    expect(seen.now).toBe('open')
    await clock.advance(1)
    expect(seen.now).toBe('upstream.timeout')
  })

  test('stands still while the call is held', async () => {
    const { upstream, clock } = await linked()
    const pending = upstream.request(call())
    const seen = outcome(pending)
    pending.hold()
    await clock.advance(100_000)
    expect(seen.now).toBe('open')
    pending.release()
    await clock.advance(1_000)
    expect(seen.now).toBe('upstream.timeout')
  })
})

describe('a call that is cancelled', () => {
  test('is over for its client at once, and really over once the server says something late', async () => {
    const { upstream, process } = await linked()
    const pending = upstream.request(call())
    const seen = outcome(pending)
    await settle()
    pending.cancel('enough')
    let over = 0
    pending.onceOver(() => {
      over += 1
    })
    await settle()
    expect([seen.now, over]).toEqual(['request.cancelled', 0])
    expect(process.last).toMatchObject({ params: { requestId: 1, reason: 'enough' } })
    process.say({ id: 1, result: 'late' })
    await settle()
    expect(over).toBe(1)
  })

  test('is over when the link ends; whoever stopped waiting is not told', async () => {
    const { upstream, coordinator } = await linked()
    const told: string[] = []
    for (const name of ['a', 'b']) {
      const pending = upstream.request(call())
      pending.answer.catch(() => undefined)
      pending.cancel(undefined)
      const stop = pending.onceOver(() => told.push(name))
      if (name === 'b') stop()
    }
    await coordinator.lose()
    expect(told).toEqual(['a'])
  })

  test('whose answer was already on its way is over with it', async () => {
    const { upstream, process } = await linked()
    const pending = upstream.request(call())
    pending.answer.catch(() => undefined)
    await settle()
    process.say({ id: 1, result: 'crossing' })
    pending.cancel(undefined)
    let over = 0
    pending.onceOver(() => {
      over += 1
    })
    await settle()
    expect(over).toBe(1)
  })
})

describe('what the server says unasked', () => {
  test('comes to the coordinator: questions are answered there, and the server gets the bytes', async () => {
    const { upstream, process, coordinator } = await linked()
    const pending = upstream.request(call())
    await settle()
    process.say({ id: 'q-1', method: 'roots/list', params: { a: 1 } })
    process.say({ id: 2, method: 'sampling/createMessage' }, 1)
    await settle()
    expect(
      coordinator.requests.map(({ request: { id, method, params }, related }) => [
        id,
        method,
        params,
        related,
      ]),
    ).toEqual([
      ['q-1', 'roots/list', { a: 1 }, undefined],
      [2, 'sampling/createMessage', undefined, pending],
    ])
    const body = Buffer.from('{"roots": [1.0]}')
    upstream.respond({ id: 'q-1', answer: { kind: 'result', id: 5, result: {}, body } })
    const no = { code: -1, message: 'no' }
    upstream.respond({
      id: 2,
      answer: { kind: 'error', id: 5, error: no, body: Buffer.from(JSON.stringify(no)) },
    })
    await settle()
    expect(process.channel.outgoing.at(-2)?.bytes.toString()).toBe(
      '{"jsonrpc":"2.0","id":"q-1","result":{"roots": [1.0]}}',
    )
    expect(process.last).toEqual({ jsonrpc: '2.0', id: 2, error: no })
  })

  test('is attributed: to a call, to one that is over, or not at all', async () => {
    const { upstream, process, coordinator } = await linked()
    const pending = upstream.request(call())
    await settle()
    process.say({ method: 'notifications/message', params: { data: 'a' } }, 1)
    process.say({ method: 'notifications/message', params: { data: 'b' } }, 99)
    process.say({ method: 'notifications/tools/list_changed' })
    await settle()
    expect(
      coordinator.notifications.map(({ notification, related }) => [notification.params, related]),
    ).toEqual([
      [{ data: 'a' }, pending],
      [{ data: 'b' }, 'gone'],
      [undefined, undefined],
    ])
    expect(coordinator.notifications[0]?.notification.body?.toString()).toBe('{"data":"a"}')
  })

  test('and that nobody can read does not end the link', async () => {
    const { process, coordinator, upstream } = await linked()
    coordinator.requests.push = () => {
      throw new TypeError('a bug')
    }
    process.say({ id: 1, method: 'roots/list' })
    await settle()
    expect([coordinator.link.ended, upstream.ended]).toEqual([undefined, undefined])
  })

  test('keeps its order with the answers', async () => {
    const { upstream, process, coordinator } = await linked()
    const order: string[] = []
    coordinator.notifications.push = () => order.push('log')
    const pending = upstream.request(call())
    await settle()
    process.say({ method: 'notifications/message', params: { level: 'info', data: 'x' } })
    process.say({ id: 1, result: {} })
    await pending.answer
    order.push('answer')
    expect(order).toEqual(['log', 'answer'])
  })
})

test('notifications reach the server', async () => {
  const { upstream, process } = await linked()
  upstream.notify('notifications/roots/list_changed', undefined)
  upstream.notify('notifications/progress', Buffer.from('{"progress": 1.0}'))
  await settle()
  expect(process.channel.outgoing.map(({ bytes }) => bytes.toString())).toEqual([
    '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress": 1.0}}',
  ])
})

describe('when the link ends', () => {
  test('calls in flight fail, and whether they took effect is not known', async () => {
    const { upstream, coordinator } = await linked()
    const pending = upstream.request(call())
    await settle()
    const failed = expect(pending.answer).rejects.toMatchObject({
      code: 'upstream.lost',
      message: 'Server "time" on node "name of w1" was lost during the call: The cable was cut.',
      data: { server: 'time', node: 'w1' },
    })
    await coordinator.lose()
    await failed
    const error: unknown = await pending.answer.catch((reason: unknown) => reason)
    expect(error).not.toHaveProperty('data.accepted')
    expect(await upstream.closed).toBe(upstream.ended)
  })

  test('later calls fail as certainly not accepted', async () => {
    const { upstream, coordinator } = await linked()
    coordinator.link.close(new HubError('link.lost', 'The cable was cut.'))
    await expect(upstream.request(call()).answer).rejects.toMatchObject({
      code: 'upstream.lost',
      data: { accepted: false },
    })
  })

  test('calls that cross with the end of the server were certainly not accepted', async () => {
    const { upstream, process, coordinator } = await linked()
    coordinator.workerLink.holds = () => true
    process.crash()
    await settle()
    const pending = upstream.request(call())
    await settle()
    coordinator.workerLink.letGo()
    await expect(pending.answer).rejects.toMatchObject({ code: 'upstream.lost', data: { accepted: false } })
  })

  test('a packet that cannot be read ends it', async () => {
    const { coordinator, upstream } = await linked()
    coordinator.workerLink.send(4, Buffer.of(34, 0))
    await settle()
    expect(coordinator.link.ended).toMatchObject({ code: 'link.violation' })
    expect(upstream.ended).toMatchObject({ code: 'link.violation' })
  })
})
