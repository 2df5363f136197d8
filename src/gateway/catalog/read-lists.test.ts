import { describe, expect, test } from 'vitest'
import { CALL_LIMITS, listing, serverHello } from '../../../tests/fakes/domain.ts'
import { type FakeCall, FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { HubError } from '../../domain/errors.ts'
import { LIST_LIMITS, readLists } from './read-lists.ts'

const ALL = { tools: {}, prompts: {}, resources: {} }

/** A server that announces `capabilities` and answers each list method with what `answer` gives. */
function server(answer: (call: FakeCall, cursor: unknown) => void, capabilities: object = ALL): FakeUpstream {
  const upstream = new FakeUpstream(serverHello('time', { ...capabilities }))
  upstream.onRequest = (call) => {
    const params = call.params as { cursor?: unknown } | undefined
    answer(call, params?.cursor)
  }
  return upstream
}

function asked(upstream: FakeUpstream): string[] {
  return upstream.calls.map(({ call }) => call.method)
}

describe('reading the lists of a server', () => {
  test('asks for what it announced and keeps all of it', async () => {
    const upstream = server((call) => call.succeed({ tools: [{ name: 'a', extra: [1] }] }), { tools: {} })
    const { listing: read, complaints } = await readLists(upstream, CALL_LIMITS)
    expect(asked(upstream)).toEqual(['tools/list'])
    expect(read).toEqual({
      hello: upstream.hello,
      tools: [{ name: 'a', extra: [1] }],
      prompts: [],
      resources: [],
      templates: [],
    })
    expect(complaints).toEqual([])
  })

  test('asks for every page, and for each with the cursor of the one before', async () => {
    const upstream = server(
      (call, cursor) => {
        if (cursor === undefined) call.succeed({ tools: [{ name: 'a' }], nextCursor: 'two' })
        else if (cursor === 'two') call.succeed({ tools: [{ name: 'b' }], nextCursor: '' })
        else call.succeed({ tools: [{ name: 'c' }] })
      },
      { tools: {} },
    )
    const { listing: read } = await readLists(upstream, CALL_LIMITS)
    expect(read.tools.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(upstream.calls.map(({ params }) => params)).toEqual([undefined, { cursor: 'two' }, { cursor: '' }])
  })

  test('reads some kinds only and keeps the others as they were', async () => {
    const before = listing({ tools: ['old'], prompts: ['old'], resources: ['o:1'], templates: ['o:{n}'] })
    const upstream = server((call) => call.succeed({ prompts: [{ name: 'new' }] }))
    const { listing: read } = await readLists(upstream, CALL_LIMITS, ['prompts'], before)
    expect(asked(upstream)).toEqual(['prompts/list'])
    expect([read.tools, read.prompts]).toEqual([[{ name: 'old' }], [{ name: 'new' }]])
    expect([read.resources, read.templates]).toEqual([before.resources, before.templates])
  })

  test('forgets what the server no longer announces', async () => {
    const before = listing({ tools: ['old'] })
    const upstream = server((call) => call.succeed({}), {})
    const { listing: read } = await readLists(upstream, CALL_LIMITS, ['tools'], before)
    expect(read.tools).toEqual([])
    expect(upstream.calls).toEqual([])
  })

  test('takes a method that the server does not know for an empty list', async () => {
    const upstream = server((call) => {
      if (call.call.method === 'resources/templates/list') call.refuse(-32_601, 'Method not found')
      else call.succeed({ tools: [], prompts: [], resources: [{ uri: 'a:1' }] })
    })
    const { listing: read, complaints } = await readLists(upstream, CALL_LIMITS)
    expect([read.resources, read.templates, complaints]).toEqual([[{ uri: 'a:1' }], [], []])
  })

  test('keeps a list that cannot be read as it was, goes on with the others, and complains', async () => {
    const before = listing({ tools: ['old'], prompts: ['old'] })
    const upstream = server((call) => {
      if (call.call.method === 'tools/list') call.refuse(-32_000, 'database is down')
      else if (call.call.method === 'prompts/list') call.succeed({ tools: [] })
      else call.succeed({ resources: [{ uri: 'a:1' }], resourceTemplates: [] })
    })
    const { listing: read, complaints } = await readLists(upstream, CALL_LIMITS, undefined, before)
    expect([read.tools, read.prompts, read.resources]).toEqual([
      [{ name: 'old' }],
      [{ name: 'old' }],
      [{ uri: 'a:1' }],
    ])
    expect(complaints).toEqual([
      'tools/list was refused: database is down',
      'The answer to prompts/list holds no list "prompts".',
    ])
  })

  test('keeps a list that did not come in time as it was', async () => {
    const upstream = server((call) => call.fail(new HubError('upstream.timeout', 'Too slow.')), { tools: {} })
    const { listing: read, complaints } = await readLists(
      upstream,
      CALL_LIMITS,
      undefined,
      listing({ tools: ['a'] }),
    )
    expect([read.tools, complaints]).toEqual([[{ name: 'a' }], ['Too slow.']])
  })

  test('leaves out items that nobody can call, and complains', async () => {
    const upstream = server((call) => call.succeed({ tools: [{ name: 'a' }, { title: 'no name' }] }), {
      tools: {},
    })
    const { listing: read, complaints } = await readLists(upstream, CALL_LIMITS)
    expect(read.tools).toEqual([{ name: 'a' }])
    expect(complaints).toEqual(['tools/list: 1 items without a usable name were left out.'])
  })

  test('ends with a cursor that comes a second time', async () => {
    const upstream = server((call) => call.succeed({ tools: [{ name: 'a' }], nextCursor: 'same' }), {
      tools: {},
    })
    const { listing: read, complaints } = await readLists(upstream, CALL_LIMITS)
    expect(upstream.calls).toHaveLength(2)
    expect(read.tools).toHaveLength(2)
    expect(complaints).toEqual(['tools/list does not end; the first 2 items are kept.'])
  })

  test('ends after a number of pages that no real server has', async () => {
    let page = 0
    const upstream = server(
      (call) => {
        page += 1
        call.succeed({ tools: [{ name: `t${page}` }], nextCursor: `c${page}` })
      },
      { tools: {} },
    )
    const { listing: read } = await readLists(upstream, CALL_LIMITS)
    expect(read.tools).toHaveLength(LIST_LIMITS.pages)
  })

  test('ends after a number of items that no real server has', async () => {
    const items = Array.from({ length: LIST_LIMITS.items }, (_, index) => ({ name: `t${index}` }))
    let page = 0
    const upstream = server(
      (call) => {
        page += 1
        call.succeed({ tools: items, nextCursor: `c${page}` })
      },
      { tools: {} },
    )
    const { complaints } = await readLists(upstream, CALL_LIMITS)
    expect(upstream.calls).toHaveLength(2)
    expect(complaints).toHaveLength(1)
  })

  test('fails only when the server is lost meanwhile', async () => {
    const reason = new HubError('upstream.lost', 'Gone.')
    const upstream = server((call) => call.fail(reason))
    await expect(readLists(upstream, CALL_LIMITS)).rejects.toBe(reason)
  })
})
