import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { group, listing, overrides, serverSpec } from '../../../tests/fakes/domain.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Listing, ListKind } from './listing.ts'
import { type EndpointScope, type ScopeMember, wholeServer } from './scope.ts'
import { announces, buildView, chosen, ownerOfUri, type View } from './view.ts'

type Offers = Record<string, Listing>

function aggregate(...members: ScopeMember[]): EndpointScope {
  return { kind: 'aggregate', title: 'flotilla', members }
}

function wholes(...specs: ServerSpec[]): EndpointScope {
  return aggregate(...specs.map(wholeServer))
}

/** A server's own endpoint. */
function alone(spec: ServerSpec): EndpointScope {
  return { kind: 'server', spec, member: wholeServer(spec) }
}

/** A view over whole servers of these names. */
function viewOf(offers: Offers, separator = '-'): View {
  const specs = Object.keys(offers).map((name) => serverSpec(name))
  return buildView(wholes(...specs), (server) => offers[server], separator)
}

/** A view over one group, whose members are said as in the settings. */
function groupView(offers: Offers, ...members: Parameters<typeof group>[1][]): View {
  const scope = group('g', ...members).members.map((member) => ({
    ...member,
    spec: serverSpec(member.server),
  }))
  return buildView(aggregate(...scope), (server) => offers[server], '-')
}

function names(view: View, kind: ListKind): unknown[] {
  const key = { tools: 'name', prompts: 'name', resources: 'uri', templates: 'uriTemplate' }[kind]
  return view.lists[kind].map((item) => item[key])
}

/** Where each exposed name leads, as `server:original`. */
function targets(map: View['tools']): Record<string, string> {
  return Object.fromEntries([...map].map(([name, { spec, original }]) => [name, `${spec.name}:${original}`]))
}

describe('the endpoint of one server', () => {
  test('shows what the server has under its own names', () => {
    const spec = serverSpec('time')
    const offers = listing({
      tools: ['now', 'odd name!'],
      prompts: ['p'],
      resources: ['a://1'],
      templates: ['a://{x}'],
    })
    const view = buildView(alone(spec), () => offers, '-')
    expect(targets(view.tools)).toEqual({ now: 'time:now', 'odd name!': 'time:odd name!' })
    expect(targets(view.prompts)).toEqual({ p: 'time:p' })
    expect(names(view, 'resources')).toEqual(['a://1'])
    expect(names(view, 'templates')).toEqual(['a://{x}'])
    expect([...view.servers.keys()]).toEqual(['time'])
    expect(view.warnings).toEqual([])
  })

  test('is empty as long as nothing is known of the server, but knows whose it is', () => {
    const view = buildView(alone(serverSpec('time')), () => undefined, '-')
    expect(view.lists).toEqual({ tools: [], prompts: [], resources: [], templates: [] })
    expect([...view.servers.keys()]).toEqual(['time'])
  })
})

describe('an endpoint over several servers', () => {
  test('shows tools and prompts under prefixed names, resources and templates under their own', () => {
    const view = viewOf({
      a: listing({ tools: ['x', 'y'], prompts: ['p'], resources: ['a://1'] }),
      b: listing({ tools: ['x'], prompts: ['p'], templates: ['b://{x}'] }),
    })
    expect(targets(view.tools)).toEqual({ 'a-x': 'a:x', 'a-y': 'a:y', 'b-x': 'b:x' })
    expect(names(view, 'tools')).toEqual(['a-x', 'a-y', 'b-x'])
    expect(targets(view.prompts)).toEqual({ 'a-p': 'a:p', 'b-p': 'b:p' })
    expect(names(view, 'resources')).toEqual(['a://1'])
    expect(names(view, 'templates')).toEqual(['b://{x}'])
    expect(view.warnings).toEqual([])
  })

  test('passes on all that a server says of an item, and what only its name is in', () => {
    const tool = { name: 'x', title: 'X', inputSchema: { $schema: 's', type: 'object' }, _meta: { a: 1 } }
    const view = viewOf({ a: listing({ tools: [tool] }) })
    expect(view.lists.tools).toEqual([{ ...tool, name: 'a-x' }])
    expect(tool.name).toBe('x')
  })

  test('uses the separator of the settings', () => {
    expect(targets(viewOf({ a: listing({ tools: ['x'] }) }, '__').tools)).toEqual({ a__x: 'a:x' })
  })

  test('leaves out servers whose lists are not known yet, but counts them among its servers', () => {
    const view = buildView(wholes(serverSpec('a'), serverSpec('b')), () => undefined, '-')
    expect(view.lists.tools).toEqual([])
    expect([...view.servers.keys()]).toEqual(['a', 'b'])
  })
})

describe('two items with one name', () => {
  const clash = { a: listing({ tools: ['b-c'] }), 'a-b': listing({ tools: ['c'] }) }

  test('are both reached: the later one under a second name, and that is reported', () => {
    const view = viewOf(clash)
    const [first, second = ''] = names(view, 'tools').map(String)
    expect(first).toBe('a-b-c')
    expect(second).toMatch(/^a-b-c_[0-9a-f]{8}$/)
    expect(targets(view.tools)).toEqual({ 'a-b-c': 'a:b-c', [second]: 'a-b:c' })
    expect(view.warnings).toHaveLength(1)
    for (const part of ['"a-b-c"', '"b-c" of server "a"', '"c" of server "a-b"', `"${second}"`])
      expect(view.warnings[0]).toContain(part)
  })

  test('keep their second name from start to start', () => {
    expect(names(viewOf(clash), 'tools')).toEqual(names(viewOf(clash), 'tools'))
  })

  test('clash for prompts as for tools, but not with each other', () => {
    const view = viewOf({
      a: listing({ prompts: ['b-c'], tools: ['x'] }),
      'a-b': listing({ prompts: ['c'] }),
    })
    expect(view.prompts.size).toBe(2)
    expect(view.warnings).toHaveLength(1)
    const apart = viewOf({ a: listing({ prompts: ['x'], tools: ['x'] }) })
    expect(apart.warnings).toEqual([])
  })

  test('of one server are one: the first is kept, and that is reported', () => {
    const twice = listing({
      tools: [
        { name: 'x', title: 'first' },
        { name: 'x', title: 'second' },
      ],
    })
    const view = viewOf({ a: twice })
    expect(view.lists.tools).toEqual([{ name: 'a-x', title: 'first' }])
    expect(view.warnings).toEqual(['Server "a" lists tools "x" twice; the first is kept.'])
  })

  test('which clients could not tell apart once cleaned are both reached', () => {
    const view = viewOf({ a: listing({ tools: ['x y', 'x/y', 'x_y'] }) })
    expect(new Set(Object.values(targets(view.tools)))).toEqual(new Set(['a:x y', 'a:x/y', 'a:x_y']))
  })

  test('never have one name in the end: each exposed name leads to one item, for any servers', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '!'), minLength: 1, maxLength: 5 })
    const servers = fc.dictionary(name, fc.uniqueArray(name, { maxLength: 6 }), { maxKeys: 5 })
    fc.assert(
      fc.property(servers, fc.constantFrom('-', '_', '--'), (input, separator) => {
        const offers = Object.fromEntries(
          Object.entries(input).map(([server, tools]) => [server, listing({ tools })]),
        )
        const view = viewOf(offers, separator)
        const all = Object.entries(input).flatMap(([server, tools]) =>
          tools.map((tool) => `${server}:${tool}`),
        )
        expect(Object.values(targets(view.tools)).sort()).toEqual(all.sort())
        expect(names(view, 'tools')).toEqual([...view.tools.keys()])
        expect(names(view, 'tools').every((each) => /^[A-Za-z0-9_.-]{1,64}$/.test(String(each)))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('are both reached even when somebody took the second name on purpose', () => {
    const second = names(viewOf(clash), 'tools').at(-1)
    const taken = String(second).slice('a-'.length)
    const view = viewOf({ ...clash, a: listing({ tools: ['b-c', taken] }) })
    expect(Object.values(targets(view.tools)).sort()).toEqual(['a-b:c', 'a:b-c', `a:${taken}`])
  })

  test.fails('keep their names while one of their servers is not known yet', () => {
    // A known limit: names can only be given to what is known, and whoever is known first gets the plain one. Until the lists of "a" are read, "a-b-c" calls the tool of "a-b", and
    // afterwards the one of "a". A client that still has the older list then calls another tool than it means.
    const specs = wholes(serverSpec('a'), serverSpec('a-b'))
    const early = buildView(specs, (server) => (server === 'a' ? undefined : clash['a-b']), '-')
    const late = viewOf(clash)
    for (const [name, target] of Object.entries(targets(early.tools)))
      expect(targets(late.tools)[name]).toBe(target)
  })
})

describe('a resource that two servers list', () => {
  test('is the one of the first server; the other one is told where it can be read', () => {
    const view = viewOf({
      a: listing({ resources: ['x://1'] }),
      b: listing({ resources: ['x://1', 'x://2'] }),
    })
    expect(targets(view.resources)).toEqual({ 'x://1': 'a:x://1', 'x://2': 'b:x://2' })
    expect(names(view, 'resources')).toEqual(['x://1', 'x://2'])
    expect(view.warnings).toHaveLength(1)
    expect(view.warnings[0]).toContain('/mcp/b')
  })

  test('and that is one server which lists it twice is reported as such', () => {
    const view = viewOf({ a: listing({ resources: ['x://1', 'x://1'] }) })
    expect(view.warnings[0]).toContain('twice')
  })
})

describe('a group', () => {
  const offers = {
    a: listing({
      tools: ['x', 'y'],
      prompts: ['p', 'q'],
      resources: ['a://1', 'a://2'],
      templates: ['a://{n}', 'b://{n}'],
    }),
    b: listing({ tools: ['x'], prompts: ['p'] }),
  }

  test("may give a server's items another prefix", () => {
    const view = groupView(offers, { server: 'a', alias: 'first' }, 'b')
    expect(targets(view.tools)).toEqual({ 'first-x': 'a:x', 'first-y': 'a:y', 'b-x': 'b:x' })
    expect(targets(view.prompts)).toEqual({ 'first-p': 'a:p', 'first-q': 'a:q', 'b-p': 'b:p' })
  })

  test('may choose which tools, prompts and resources of a server it shows', () => {
    const view = groupView(offers, {
      server: 'a',
      tools: new Set(['y', 'unknown']),
      prompts: new Set(),
      resources: new Set(['a://2', 'b://{n}']),
    })
    expect(names(view, 'tools')).toEqual(['a-y'])
    expect(names(view, 'prompts')).toEqual([])
    expect(names(view, 'resources')).toEqual(['a://2'])
    expect(names(view, 'templates')).toEqual(['b://{n}'])
  })

  test('may give two servers one prefix: what clashes is reached under a second name', () => {
    const view = groupView(offers, { server: 'a', alias: 's' }, { server: 'b', alias: 's' })
    expect(Object.values(targets(view.tools)).sort()).toEqual(['a:x', 'a:y', 'b:x'])
    expect(view.tools.get('s-x')?.spec.name).toBe('a')
    expect(view.warnings).toHaveLength(2)
  })

  test('may have one server under two prefixes', () => {
    const view = groupView(offers, { server: 'b', alias: 'one' }, { server: 'b', alias: 'two' })
    expect(targets(view.tools)).toEqual({ 'one-x': 'b:x', 'two-x': 'b:x' })
  })
})

describe("the operator's overrides", () => {
  const spec = serverSpec('a', {
    overrides: overrides({
      tools: { x: { enabled: false }, y: { description: 'Mine.' } },
      prompts: { p: { enabled: false } },
      resources: { 'a://1': { enabled: false }, 'a://{n}': { enabled: false } },
    }),
  })
  const offers = listing({
    tools: ['x', { name: 'y', description: 'Theirs.' }, { name: 'z', description: 'Theirs.' }],
    prompts: ['p', 'q'],
    resources: ['a://1', 'a://2'],
    templates: ['a://{n}', 'b://{n}'],
  })

  test.each(['server', 'aggregate'])('hide items and describe them anew (endpoint: %s)', (kind) => {
    const scope: EndpointScope = kind === 'server' ? alone(spec) : wholes(spec)
    const prefix = kind === 'server' ? '' : 'a-'
    const view = buildView(scope, () => offers, '-')
    expect(view.lists).toEqual({
      tools: [
        { name: `${prefix}y`, description: 'Mine.' },
        { name: `${prefix}z`, description: 'Theirs.' },
      ],
      prompts: [{ name: `${prefix}q` }],
      resources: [{ uri: 'a://2' }],
      templates: [{ uriTemplate: 'b://{n}' }],
    })
    expect([...view.tools.keys()]).toEqual([`${prefix}y`, `${prefix}z`])
    expect([...view.resources.keys()]).toEqual(['a://2'])
  })

  test('do not change what was read from the server', () => {
    chosen('tools', wholeServer(spec), offers.tools)
    expect(offers.tools[1]).toEqual({ name: 'y', description: 'Theirs.' })
  })
})

describe('the server that owns a URI', () => {
  const owner = (view: View, uri: string) => {
    const target = ownerOfUri(view, uri)
    return target && `${target.spec.name}:${target.original}`
  }

  const view = viewOf({
    scheme: listing({ resources: ['file:///root'] }),
    wide: listing({ templates: ['file:///{path}'] }),
    close: listing({ templates: ['file:///etc/{name}', '{anything}'] }),
    listed: listing({ resources: ['file:///etc/hosts', 'http://x/'] }),
  })

  test('is first of all the one that lists it', () => {
    expect(owner(view, 'file:///etc/hosts')).toBe('listed:file:///etc/hosts')
  })

  test('is else the one whose template fits most closely', () => {
    expect(owner(view, 'file:///etc/passwd')).toBe('close:file:///etc/passwd')
    expect(owner(view, 'file:///home/x')).toBe('wide:file:///home/x')
    expect(owner(view, 'other:thing')).toBe('close:other:thing')
  })

  test('is the first of two whose templates fit equally closely', () => {
    const plain = viewOf({ a: listing({ templates: ['x:{a}'] }), b: listing({ templates: ['x:{b}'] }) })
    expect(owner(plain, 'x:1')).toBe('a:x:1')
  })

  test('is else the one that lists something of the same scheme', () => {
    const plain = viewOf({ a: listing({ resources: ['a:1'] }), b: listing({ resources: ['b:1', 'a:2'] }) })
    expect(owner(plain, 'b:9')).toBe('b:b:9')
    expect(owner(plain, 'a:9')).toBe('a:a:9')
    expect(owner(plain, 'c:9')).toBeUndefined()
    expect(owner(plain, 'ab:9')).toBeUndefined()
    expect(owner(plain, 'no scheme')).toBeUndefined()
  })

  test('is nobody where nothing is listed', () => {
    expect(owner(viewOf({}), 'a:1')).toBeUndefined()
  })

  test('is nobody for a resource that the operator has disabled', () => {
    const spec = serverSpec('a', { overrides: overrides({ resources: { 'a://1': { enabled: false } } }) })
    const lists = listing({ resources: ['a://1', 'a://2'], templates: ['a://{n}'] })
    for (const scope of [alone(spec), wholes(spec)]) {
      const hidden = buildView(scope, () => lists, '-')
      expect(owner(hidden, 'a://1')).toBeUndefined()
      expect(owner(hidden, 'a://3')).toBe('a:a://3')
    }
  })

  test('is another one, for a resource that is disabled at the first', () => {
    const closed = serverSpec('closed', {
      overrides: overrides({ resources: { 'a://1': { enabled: false } } }),
    })
    const offers: Offers = {
      closed: listing({ resources: ['a://0'], templates: ['a://{n}'] }),
      open: listing({ resources: ['a://9'] }),
    }
    const both = buildView(wholes(closed, serverSpec('open')), (server) => offers[server], '-')
    expect(owner(both, 'a://1')).toBe('open:a://1')
  })

  test('is nobody for a resource that a group has not chosen', () => {
    const offers = { a: listing({ resources: ['a://public', 'a://secret'], templates: ['a://t/{n}'] }) }
    const some = groupView(offers, { server: 'a', resources: new Set(['a://public', 'a://t/{n}']) })
    expect(owner(some, 'a://secret')).toBeUndefined()
    expect(owner(some, 'a://public')).toBe('a:a://public')
    expect(owner(some, 'a://t/1')).toBe('a:a://t/1')
  })

  test('is nobody for what only a template gives that the operator has disabled', () => {
    const spec = serverSpec('a', {
      overrides: overrides({ resources: { 'db://t/{table}': { enabled: false } } }),
    })
    const lists = listing({ resources: ['db://help'], templates: ['db://t/{table}'] })
    const hidden = buildView(wholes(spec), () => lists, '-')
    expect(owner(hidden, 'db://t/users')).toBeUndefined()
    expect(owner(hidden, 'db://other')).toBe('a:db://other')
  })
})

describe('what a server announces', () => {
  const seen = listing({
    capabilities: { tools: {}, resources: { subscribe: true, listChanged: false }, odd: true },
  })

  test.each([
    ['tools', undefined, true],
    ['prompts', undefined, false],
    ['odd', undefined, false],
    ['resources', 'subscribe', true],
    ['resources', 'listChanged', false],
    ['tools', 'listChanged', false],
    ['prompts', 'listChanged', false],
  ])('%s %s: %s', (capability, flag, expected) => {
    expect(announces(seen, capability, flag)).toBe(expected)
  })
})
