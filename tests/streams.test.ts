import { describe, expect, test } from 'vitest'
import { openEvents } from './harness/events.ts'
import { startHub } from './harness/hub.ts'
import { openSession, raw, rpc } from './harness/raw.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const honest = { mcpServers: { s: fixture('honest') } }
const progressCall = rpc(7, 'tools/call', {
  name: 's-progress',
  arguments: { steps: 20, delayMs: 30 },
  _meta: { progressToken: 'tok' },
})

describe('the answer to a POST', () => {
  test('is JSON when there is one message, and an event stream when there are more', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    // It is a stream as well when it takes long, which a machine that stands still can make of one, but not of each.
    const types: unknown[] = []
    while (types.length < 5 && !types.includes('application/json')) {
      const plain = await raw(`${hub.url}/mcp`, {
        headers,
        body: rpc(1, 'tools/call', { name: 's-echo', arguments: { text: 'x' } }),
      })
      types.push(plain.headers['content-type'])
    }
    expect(types).toContain('application/json')
    const stream = await raw(`${hub.url}/mcp`, { headers, body: progressCall })
    expect(stream.headers['content-type']).toBe('text/event-stream')
    expect(stream.body).toMatch(/^id: \d+-0\nretry: \d+\ndata: \n\n/)
    expect(stream.body.match(/"progressToken":"tok"/g)).toHaveLength(20)
    expect(stream.body.trimEnd().split('\n').at(-1)).toContain('"id":7')
  })

  test('has no event without data for clients before 2025-11-25', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`, '2025-06-18')
    const stream = await raw(`${hub.url}/mcp`, { headers, body: progressCall })
    expect(stream.body).not.toContain('data: \n')
    expect(stream.body.match(/"progressToken":"tok"/g)).toHaveLength(20)
  })

  test('becomes a stream when it takes long, so that it can be resumed and kept alive', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const answer = await raw(`${hub.url}/mcp`, {
      headers,
      body: rpc(1, 'tools/call', { name: 's-wait', arguments: { ms: 5_000 } }),
      timeoutMs: 20_000,
    })
    expect(answer.headers['content-type']).toBe('text/event-stream')
    expect(answer.body).toContain('waited 5000 ms')
  })

  test('a notification and an answer get 202 without a body', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    for (const body of [
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      '{"jsonrpc":"2.0","id":99,"result":{}}',
    ])
      expect(await raw(`${hub.url}/mcp`, { headers, body })).toMatchObject({ status: 202, body: '' })
  })

  test('a cancelled call ends its response without an answer', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const call = raw(`${hub.url}/mcp`, {
      headers,
      body: rpc(5, 'tools/call', { name: 's-wait', arguments: { ms: 30_000 } }),
    })
    await new Promise((resolve) => setTimeout(resolve, 400))
    await raw(`${hub.url}/mcp`, {
      headers,
      body: '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}',
    })
    expect((await call).body).not.toContain('"id":5')
  })
})

describe('a stream that breaks off', () => {
  test('is resumed by Last-Event-ID: nothing is lost, nothing comes twice, the call runs once', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const first = await openEvents(`${hub.url}/mcp`, { method: 'POST', headers, body: progressCall })
    await until('some events have come', () => first.events.length >= 6)
    first.cut()
    const lastId = first.events.at(-1)?.id ?? ''
    await new Promise((resolve) => setTimeout(resolve, 200))
    const second = await openEvents(`${hub.url}/mcp`, {
      method: 'GET',
      headers: { ...headers, 'last-event-id': lastId },
    })
    await second.ended
    const data = [...first.events, ...second.events].map(({ data: text }) => text).filter(Boolean)
    const steps = data.flatMap(
      (text) => (JSON.parse(text) as { params?: { progress: number } }).params?.progress ?? [],
    )
    expect(steps).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    expect(data.at(-1)).toContain('"id":7')
  })

  test('also when it is resumed from its first event, before anything has come', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const first = await openEvents(`${hub.url}/mcp`, {
      method: 'POST',
      headers,
      body: rpc(3, 'tools/call', { name: 's-wait', arguments: { ms: 6_000 } }),
    })
    await until('the first event has come', () => first.events.length >= 1)
    expect(first.events[0]?.data).toBe('')
    first.cut()
    const second = await openEvents(`${hub.url}/mcp`, {
      method: 'GET',
      headers: { ...headers, 'last-event-id': first.events[0]?.id ?? '' },
    })
    await second.ended
    expect(second.events.map(({ data }) => data).join()).toContain('waited 6000 ms')
  })

  test('an id that was never given is refused', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    for (const id of ['9-1', 'x', '-1', '0']) {
      const answer = await raw(`${hub.url}/mcp`, {
        method: 'GET',
        headers: { ...headers, 'last-event-id': id },
      })
      expect(answer).toMatchObject({ status: 400, json: { error: { code: -32600 } } })
    }
  })
})

describe('the standalone stream', () => {
  test('brings what belongs to no request, also what came while nobody listened', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const grow = (name: string) =>
      raw(`${hub.url}/mcp`, {
        headers,
        body: rpc(name, 'tools/call', { name: 's-grow', arguments: { name } }),
      })
    await grow('one')
    await until('the new tool is known', async () =>
      (await raw(`${hub.url}/mcp`, { headers, body: rpc(1, 'tools/list') })).body.includes('s-one'),
    )
    const stream = await openEvents(`${hub.url}/mcp`, { method: 'GET', headers })
    await until('the change is told', () =>
      stream.events.some(({ data }) => data.includes('tools/list_changed')),
    )
    await grow('two')
    await until(
      'the next one too',
      () => stream.events.filter(({ data }) => data.includes('tools/list_changed')).length === 2,
    )
    stream.cut()
  })

  test('a newer one takes over: the older may be half dead', async () => {
    await using hub = await startHub(honest)
    const headers = await openSession(`${hub.url}/mcp`)
    const first = await openEvents(`${hub.url}/mcp`, { method: 'GET', headers })
    const second = await openEvents(`${hub.url}/mcp`, { method: 'GET', headers })
    await first.ended
    await raw(`${hub.url}/mcp`, {
      headers,
      body: rpc(1, 'tools/call', { name: 's-grow', arguments: { name: 'x' } }),
    })
    await until('the change is told', () =>
      second.events.some(({ data }) => data.includes('tools/list_changed')),
    )
    second.cut()
  })
})

describe('a session without traffic', () => {
  test('[R14] ends after sessionTimeout, and its memory is freed', async () => {
    await using hub = await startHub({ ...honest, systemConfig: { sessionTimeout: 3_000 } })
    const headers = await openSession(`${hub.url}/mcp`)
    expect((await raw(`${hub.url}/mcp`, { headers, body: rpc(1, 'ping') })).status).toBe(200)
    await until('it has ended', () => hub.standalone.hub.sessionCount === 0, 15_000)
    expect((await raw(`${hub.url}/mcp`, { headers, body: rpc(1, 'ping') })).status).toBe(404)
  })
})
