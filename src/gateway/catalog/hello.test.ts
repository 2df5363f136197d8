import { describe, expect, test } from 'vitest'
import { listing, serverSpec } from '../../../tests/fakes/domain.ts'
import { VERSION } from '../../kernel/version.ts'
import type { Capabilities } from '../../mcp/methods.ts'
import { endpointHello } from './hello.ts'
import type { Listing } from './listing.ts'
import { wholeServer } from './scope.ts'

const EVERYTHING = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
}

/** What an endpoint over these servers says of itself; undefined = nothing is known of the server yet. */
function aggregate(servers: Record<string, Listing | undefined>, aliases: Record<string, string> = {}) {
  const members = Object.keys(servers).map((name) => ({
    ...wholeServer(serverSpec(name)),
    alias: aliases[name],
  }))
  const scope = { kind: 'aggregate', title: 'flotilla/team', members } as const
  const hello = endpointHello(scope, (server) => servers[server], '2025-06-18')
  if (!hello) throw new Error('An aggregate always has a greeting.')
  return hello
}

function withCapabilities(capabilities: Capabilities): Listing {
  return listing({ capabilities })
}

describe("a server's own endpoint", () => {
  const spec = serverSpec('time')
  const scope = { kind: 'server', spec, member: wholeServer(spec) } as const

  test('says what the server says, in the revision that was agreed with the client', () => {
    const offers = listing({ capabilities: { tools: {}, experimental: { x: 1 } }, instructions: 'Use it.' })
    expect(endpointHello(scope, () => offers, '2025-03-26')).toEqual({
      protocolVersion: '2025-03-26',
      capabilities: { tools: {}, experimental: { x: 1 } },
      serverInfo: { name: 'test', version: '1.0.0' },
      instructions: 'Use it.',
    })
  })

  test('speaks of tools only to somebody to whom only some of them are open', () => {
    const offers = listing({ capabilities: EVERYTHING, instructions: 'Use it.' })
    const narrow = {
      ...scope,
      member: { ...scope.member, tools: new Set(['x']), prompts: new Set<string>() },
    }
    expect(endpointHello(narrow, () => offers, '2025-11-25')).toMatchObject({
      capabilities: expect.toSatisfy((found: object) => Object.keys(found).sort().join() === 'logging,tools'),
    })
  })

  test('says nothing as long as nothing is known of the server', () => {
    expect(endpointHello(scope, () => undefined, '2025-11-25')).toBeUndefined()
  })
})

describe('an endpoint over several servers', () => {
  test('has a name and a version of its own', () => {
    const hello = aggregate({ a: listing() })
    expect(hello.serverInfo).toEqual({ name: 'flotilla/team', version: VERSION })
    expect(hello.protocolVersion).toBe('2025-06-18')
  })

  test('can do what any of its servers can', () => {
    const { capabilities } = aggregate({
      a: withCapabilities({ tools: {}, logging: {} }),
      b: withCapabilities({ prompts: { listChanged: false }, completions: {} }),
    })
    expect(capabilities).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      logging: {},
      completions: {},
    })
  })

  test('announces subscriptions if one of its servers takes them', () => {
    const plain = withCapabilities({ resources: { subscribe: false } })
    const takes = withCapabilities({ resources: { subscribe: true } })
    expect(aggregate({ a: plain }).capabilities).toEqual({ resources: { listChanged: true } })
    expect(aggregate({ a: plain, b: takes }).capabilities).toEqual({
      resources: { listChanged: true, subscribe: true },
    })
  })

  test('announces nothing that no server has', () => {
    expect(aggregate({ a: withCapabilities({ tools: true, experimental: {} }) }).capabilities).toEqual({})
  })

  test('announces everything as long as one of its servers is not known: it may turn out to have it', () => {
    expect(aggregate({ a: withCapabilities({ tools: {} }), b: undefined }).capabilities).toEqual(EVERYTHING)
    expect(aggregate({}).capabilities).toEqual(EVERYTHING)
  })
})

describe('the instructions of several servers', () => {
  test('stand one below the other, each under the prefix of its tools', () => {
    const offers = {
      a: listing({ instructions: 'First.' }),
      b: listing(),
      c: listing({ instructions: 'Third.' }),
    }
    expect(aggregate(offers, { c: 'see' }).instructions).toBe('## a\n\nFirst.\n\n## see\n\nThird.')
  })

  test('are left out when there are none', () => {
    expect('instructions' in aggregate({ a: listing(), b: listing({ instructions: '' }) })).toBe(false)
  })

  test('are cut at 4000 characters for each server and 32000 for all', () => {
    const long = listing({ instructions: 'x'.repeat(5_000) })
    expect(aggregate({ a: long }).instructions).toHaveLength('## a\n\n'.length + 4_000)
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`s${index}`, long]))
    expect(aggregate(many).instructions).toHaveLength(32_000)
  })
})
