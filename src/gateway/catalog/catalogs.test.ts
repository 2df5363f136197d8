import { describe, expect, test } from 'vitest'
import {
  group,
  hubSettings,
  listing,
  overrides,
  serverHello,
  serverSpec,
} from '../../../tests/fakes/domain.ts'
import { EVERYTHING, keyRights, userRights } from '../../../tests/fakes/principals.ts'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { ALL } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { Catalogs } from './catalogs.ts'
import type { Listing, ListKind } from './listing.ts'
import { wholeServer } from './scope.ts'

interface Kept {
  readonly saved: [string, Listing][]
  readonly changes: [string, readonly ListKind[]][]
  readonly reads: string[]
  /** How the store finds what an earlier run left; replaced by tests. */
  load: (server: string) => Promise<Listing | undefined>
}

/** Catalogs of these settings, over a store that holds what an earlier run left. */
async function start(settings: HubSettings, left: Record<string, Listing> = {}) {
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const kept: Kept = { saved: [], changes: [], reads: [], load: async (server) => left[server] }
  const catalogs = new Catalogs(settings, {
    store: {
      load: (spec) => kept.load(spec.name),
      save: (spec, saved) => kept.saved.push([spec.name, saved]),
    },
    clock,
    log: logger,
    tasks: new TaskGroup(logger),
    onChange: (server, kinds) => kept.changes.push([server, kinds]),
    onRead: (server) => kept.reads.push(server),
    firstLookMs: 5_000,
  })
  await catalogs.apply(settings)
  /** What `/mcp` (or another endpoint) lists. */
  const list = (kind: ListKind = 'tools', rights = EVERYTHING, name?: string): Record<string, unknown> =>
    JSON.parse(
      catalogs
        .endpoint(name === undefined ? ALL : { kind: 'named', name }, rights)
        .list(kind)
        .toString(),
    )
  const tools = (rights = EVERYTHING, name?: string) =>
    (list('tools', rights, name)['tools'] as { name: string }[]).map((tool) => tool.name)
  return { catalogs, clock, lines, kept, list, tools }
}

/** A server that answers tools/list with whatever `tools` holds at the moment. */
function toolServer(tools: string[]): FakeUpstream {
  const upstream = new FakeUpstream(serverHello('t', { tools: {} }))
  upstream.onRequest = (call) => call.succeed({ tools: tools.map((name) => ({ name })) })
  return upstream
}

const one = hubSettings([serverSpec('a')])

describe('the lists of a server', () => {
  test('are read when it comes up, shown, and kept for the next start', async () => {
    const { catalogs, kept, tools } = await start(one)
    expect([catalogs.freshness('a'), tools()]).toEqual(['unknown', []])
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    expect([catalogs.freshness('a'), tools()]).toEqual(['fresh', ['a-x']])
    expect(kept.saved.map(([name, { tools: saved }]) => [name, saved])).toEqual([['a', [{ name: 'x' }]]])
    expect(kept.changes).toEqual([['a', ['tools']]])
  })

  test('of an earlier run are shown at once, marked stale, until they are read anew', async () => {
    const { catalogs, list, tools } = await start(one, { a: listing({ tools: ['old'] }) })
    expect([catalogs.freshness('a'), tools()]).toEqual(['stale', ['a-old']])
    expect(list()['_meta']).toEqual({ 'flotilla/stale': ['a'] })
    catalogs.serverUp('a', toolServer(['new']))
    await settle()
    expect([catalogs.freshness('a'), tools()]).toEqual(['fresh', ['a-new']])
    expect('_meta' in list()).toBe(false)
  })

  test('that are as they were before are no change, and nothing is written', async () => {
    const upstream = toolServer(['x'])
    const { catalogs, kept, list } = await start(one, {
      a: { ...listing({ tools: ['x'] }), hello: upstream.hello },
    })
    catalogs.serverUp('a', upstream)
    await settle()
    expect([kept.saved, kept.changes]).toEqual([[], []])
    expect(kept.reads).toEqual(['a'])
    expect('_meta' in list()).toBe(false)
  })

  test('that are read again without a change leave what was put together for clients as it is', async () => {
    const { catalogs } = await start(one)
    const upstream = toolServer(['x'])
    catalogs.serverUp('a', upstream)
    await settle()
    const before = catalogs.endpoint(ALL, EVERYTHING)
    catalogs.listChanged('a', upstream, ['tools'])
    await settle()
    expect(catalogs.endpoint(ALL, EVERYTHING)).toBe(before)
  })

  test('that stay the same while the server says something else of itself are kept anew', async () => {
    const { catalogs, kept } = await start(one, { a: listing({ tools: ['x'] }) })
    const before = catalogs.endpoint({ kind: 'named', name: 'a' }, EVERYTHING)
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    expect([kept.saved.length, kept.changes]).toEqual([1, []])
    expect(catalogs.endpoint({ kind: 'named', name: 'a' }, EVERYTHING)).not.toBe(before)
    expect(catalogs.hello(before.scope, '2025-11-25')?.capabilities).toEqual({ tools: {} })
  })

  test('and what the server says of itself are put together anew when a restart changes either', async () => {
    const { catalogs } = await start(one)
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    const before = catalogs.endpoint(ALL, EVERYTHING)
    const updated = new FakeUpstream(serverHello('t', { tools: {}, logging: {} }))
    updated.onRequest = (call) => call.succeed({ tools: [{ name: 'x' }] })
    catalogs.serverUp('a', updated)
    await settle()
    expect(catalogs.endpoint(ALL, EVERYTHING)).not.toBe(before)
  })

  test('are stale once the server is to be started in another way, until that one has shown its own', async () => {
    const { catalogs } = await start(one)
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    await catalogs.apply(hubSettings([serverSpec('a', { description: 'New.' })]))
    expect(catalogs.freshness('a')).toBe('fresh')
    const transport = { kind: 'sse', url: 'http://x', headers: {} } as const
    await catalogs.apply(hubSettings([serverSpec('a', { transport })]))
    expect(catalogs.freshness('a')).toBe('stale')
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    expect(catalogs.freshness('a')).toBe('fresh')
  })

  test('that nobody has seen stay unknown when the server is to be started in another way', async () => {
    const { catalogs } = await start(one)
    await catalogs.apply(
      hubSettings([serverSpec('a', { transport: { kind: 'sse', url: 'http://x', headers: {} } })]),
    )
    expect(catalogs.freshness('a')).toBe('unknown')
  })

  test('are not read because a process says so that has been replaced', async () => {
    const { catalogs } = await start(one)
    const [older, newer] = [toolServer(['old']), toolServer(['new'])]
    catalogs.serverUp('a', older)
    await settle()
    catalogs.serverUp('a', newer)
    await settle()
    catalogs.listChanged('a', older, ['tools'])
    await settle()
    expect([older.calls.length, newer.calls.length]).toEqual([1, 1])
    expect(catalogs.listing('a')?.tools).toEqual([{ name: 'new' }])
  })

  test('are read because another replica says so, once the one that was read is gone', async () => {
    const { catalogs } = await start(one)
    const [other, read] = [toolServer(['other']), toolServer(['read'])]
    catalogs.serverUp('a', other)
    await settle()
    catalogs.serverUp('a', read)
    await settle()
    read.end()
    catalogs.listChanged('a', other, ['tools'])
    await settle()
    expect(catalogs.listing('a')?.tools).toEqual([{ name: 'other' }])
  })

  test('of a new process are read though the older one went away while it was read', async () => {
    const { catalogs, clock, tools } = await start(one)
    const older = new FakeUpstream(serverHello('t', { tools: {} }))
    catalogs.serverUp('a', older)
    catalogs.serverUp('a', toolServer(['new']))
    older.lastCall.fail(new HubError('upstream.lost', 'Gone.'))
    await settle()
    await clock.advance(50)
    expect(tools()).toEqual(['a-new'])
  })

  test('are read again, and only those, when the server announces a change', async () => {
    const offers = ['x']
    const upstream = toolServer(offers)
    const { catalogs, kept, tools } = await start(one)
    catalogs.serverUp('a', upstream)
    await settle()
    expect(tools()).toEqual(['a-x'])
    offers.push('y')
    catalogs.listChanged('a', upstream, ['tools'])
    await settle()
    expect(tools()).toEqual(['a-x', 'a-y'])
    expect(kept.changes).toEqual([
      ['a', ['tools']],
      ['a', ['tools']],
    ])
    catalogs.listChanged('a', upstream, ['prompts'])
    await settle()
    expect(kept.changes).toHaveLength(2)
  })

  test('are read twice, not more often, for a burst of announcements', async () => {
    const { catalogs, clock } = await start(one)
    const upstream = new FakeUpstream(serverHello('t', { tools: {} }))
    catalogs.serverUp('a', upstream)
    for (let round = 0; round < 10; round += 1) catalogs.listChanged('a', upstream, ['tools'])
    upstream.lastCall.succeed({ tools: [{ name: 'early' }] })
    await settle()
    expect(upstream.calls).toHaveLength(1)
    await clock.advance(50)
    expect(upstream.calls).toHaveLength(2)
    upstream.lastCall.succeed({ tools: [{ name: 'late' }] })
    await clock.advance(1_000)
    expect(upstream.calls).toHaveLength(2)
    expect(catalogs.listing('a')?.tools).toEqual([{ name: 'late' }])
    expect(clock.pending).toBe(0)
  })

  test('stay, marked stale, when it goes down', async () => {
    const { catalogs, list, tools } = await start(one)
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    tools()
    catalogs.serverDown('a')
    expect([catalogs.freshness('a'), tools()]).toEqual(['stale', ['a-x']])
    expect(list()['_meta']).toEqual({ 'flotilla/stale': ['a'] })
    catalogs.serverDown('unknown')
  })

  test('that cannot be read because it goes away leave everything as it was; it is read when it is back', async () => {
    const { catalogs, lines, tools } = await start(one, { a: listing({ tools: ['old'] }) })
    const broken = new FakeUpstream(serverHello('t', { tools: {} }))
    catalogs.serverUp('a', broken)
    broken.lastCall.fail(new HubError('upstream.lost', 'Gone.'))
    await settle()
    expect([catalogs.freshness('a'), tools()]).toEqual(['stale', ['a-old']])
    expect(lines.map(({ level }) => level)).toEqual(['debug'])
    catalogs.serverUp('a', toolServer(['new']))
    await settle()
    expect(tools()).toEqual(['a-new'])
  })

  test('are complained about in the log and to the operator', async () => {
    const { catalogs, lines } = await start(one)
    const upstream = new FakeUpstream(serverHello('t', { tools: {} }))
    upstream.onRequest = (call) => call.succeed({ tools: [{ title: 'no name' }] })
    catalogs.serverUp('a', upstream)
    await settle()
    expect(catalogs.complaints('a')).toHaveLength(1)
    expect(lines).toMatchObject([{ level: 'warn', fields: { server: 'a' } }])
    expect(catalogs.complaints('unknown')).toEqual([])
  })
})

describe('an endpoint', () => {
  const two = hubSettings([serverSpec('a'), serverSpec('b')], { groups: [group('g', 'b')] })
  const left = { a: listing({ tools: ['x'] }), b: listing({ tools: ['y'] }) }

  test('is put together once for everybody with the same rights', async () => {
    const { catalogs } = await start(two, left)
    const key = () => keyRights({ servers: ['b', 'a'] })
    expect(catalogs.endpoint(ALL, EVERYTHING)).toBe(catalogs.endpoint(ALL, EVERYTHING))
    expect(catalogs.endpoint(ALL, key())).toBe(catalogs.endpoint(ALL, key()))
    expect(catalogs.endpoint(ALL, EVERYTHING).list('tools')).toBe(
      catalogs.endpoint(ALL, EVERYTHING).list('tools'),
    )
    expect(catalogs.endpoint(ALL, key())).not.toBe(catalogs.endpoint(ALL, EVERYTHING))
  })

  test('shows each key what it may see', async () => {
    const { tools } = await start(two, left)
    const key = keyRights({ groups: ['g'], servers: ['a'] })
    expect(tools()).toEqual(['a-x', 'b-y'])
    expect(tools(key)).toEqual(['a-x'])
    expect(tools(key, 'g')).toEqual(['b-y'])
    expect(() => tools(key, 'b')).toThrow(expect.objectContaining({ code: 'access.denied' }))
    expect(tools(EVERYTHING, 'a')).toEqual(['x'])
  })

  test('is never given to anybody for whom it was not made', async () => {
    const own = { owner: 'alice', visibility: 'private', sharedWithUsers: [] } as const
    const settings = hubSettings([serverSpec('a', own), serverSpec('b')])
    const { tools } = await start(settings, left)
    for (let round = 0; round < 2; round += 1) {
      expect(tools(userRights('alice'))).toEqual(['a-x', 'b-y'])
      expect(tools(userRights('bob'))).toEqual(['b-y'])
      expect(tools()).toEqual(['a-x', 'b-y'])
      expect(tools({ ...keyRights({ tools: { b: ['z'] } }), viewer: 'alice' })).toEqual([])
      expect(tools({ ...keyRights({ tools: { b: ['y'] } }), viewer: 'alice' })).toEqual(['b-y'])
    }
  })

  test('warns of clashes once, not with each request', async () => {
    const clash = hubSettings([serverSpec('a'), serverSpec('a-b')])
    const { lines, tools } = await start(clash, {
      a: listing({ tools: ['b-c'] }),
      'a-b': listing({ tools: ['c'] }),
    })
    tools()
    tools()
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  test('follows the settings: servers come and go, and are described anew', async () => {
    const { catalogs, tools, list } = await start(two, left)
    expect(tools()).toEqual(['a-x', 'b-y'])
    const described = serverSpec('a', { overrides: overrides({ tools: { x: { description: 'Mine.' } } }) })
    await catalogs.apply(hubSettings([described, serverSpec('b', { enabled: false }), serverSpec('c')]))
    expect(list()['tools']).toEqual([{ name: 'a-x', description: 'Mine.' }])
    expect(catalogs.listing('b')).toBeUndefined()
    expect(catalogs.freshness('c')).toBe('unknown')
  })

  test('is known once each of its servers has shown its lists', async () => {
    const { catalogs } = await start(two, { a: listing() })
    const known = (name: string) =>
      catalogs.isKnown(catalogs.endpoint({ kind: 'named', name }, EVERYTHING).scope)
    expect([known('a'), known('b'), known('g')]).toEqual([true, false, false])
    expect(catalogs.isKnown(catalogs.endpoint(ALL, EVERYTHING).scope)).toBe(false)
  })
})

describe('the first look', () => {
  const two = hubSettings([serverSpec('a'), serverSpec('b')])

  async function look(left: Record<string, Listing> = {}) {
    const started = await start(two, left)
    const { catalogs } = started
    let done = false
    const looking = catalogs.firstLook(catalogs.endpoint(ALL, EVERYTHING).scope).then(() => {
      done = true
    })
    await settle()
    return { ...started, looking, isDone: () => done }
  }

  test('waits until every server has shown its lists or has failed', async () => {
    const { catalogs, isDone, clock } = await look()
    catalogs.serverUp('a', toolServer(['x']))
    await settle()
    expect(isDone()).toBe(false)
    catalogs.serverDown('b')
    await settle()
    expect(isDone()).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('ends when the lists of an earlier run have been found meanwhile', async () => {
    const left = Promise.withResolvers<Listing>()
    const { catalogs, kept, clock } = await start(hubSettings([]))
    kept.load = () => left.promise
    const applying = catalogs.apply(one)
    const spec = serverSpec('a')
    const scope = { kind: 'server', spec, member: wholeServer(spec) } as const
    let done = false
    void catalogs.firstLook(scope).then(() => {
      done = true
    })
    await settle()
    expect(done).toBe(false)
    left.resolve(listing())
    await applying
    await settle()
    expect([done, clock.pending]).toEqual([true, 0])
  })

  test('waits no longer than it was told', async () => {
    const { isDone, clock } = await look()
    await clock.advance(4_999)
    expect(isDone()).toBe(false)
    await clock.advance(1)
    expect(isDone()).toBe(true)
  })

  test('does not wait for servers that an earlier run has seen', async () => {
    const { isDone } = await look({ a: listing(), b: listing() })
    expect(isDone()).toBe(true)
  })

  test('does not wait for a server that was removed meanwhile', async () => {
    const { catalogs, isDone } = await look({ a: listing() })
    await catalogs.apply(hubSettings([serverSpec('a')]))
    await settle()
    expect(isDone()).toBe(true)
  })
})

describe('a server that was removed', () => {
  test('while its lists are being read is not written to the store and announces no change', async () => {
    const { catalogs, kept } = await start(one)
    const upstream = new FakeUpstream(serverHello('t', { tools: {} }))
    catalogs.serverUp('a', upstream)
    await catalogs.apply(hubSettings([]))
    upstream.lastCall.succeed({ tools: [{ name: 'x' }] })
    await settle()
    expect([kept.saved, kept.changes]).toEqual([[], []])
  })
})
