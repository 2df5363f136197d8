import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { listing, serverHello } from '../../../tests/fakes/domain.ts'
import { keyOf, LIST_KINDS, offers, readListing, usableItems } from './listing.ts'

describe('the items of a list result', () => {
  test('are those with a name, or a URI, or a URI template', () => {
    expect(usableItems('tools', { tools: [{ name: 'a', extra: 1 }] })).toEqual({
      items: [{ name: 'a', extra: 1 }],
      dropped: 0,
    })
    expect(usableItems('resources', { resources: [{ uri: 'a:1' }, { name: 'no uri' }] })).toEqual({
      items: [{ uri: 'a:1' }],
      dropped: 1,
    })
    expect(usableItems('templates', { resourceTemplates: [{ uriTemplate: 'a:{x}' }] })?.items).toHaveLength(1)
  })

  test('are counted when they cannot be used', () => {
    const tools = [{ name: '' }, { name: 7 }, {}, null, 'a', [], { name: 'ok' }]
    expect(usableItems('tools', { tools })).toEqual({ items: [{ name: 'ok' }], dropped: 6 })
  })

  test.each([undefined, null, 'x', [], {}, { tools: {} }, { tools: 'a' }, { prompts: [] }])(
    'are none at all in %j',
    (result) => {
      expect(usableItems('tools', result)).toBeUndefined()
    },
  )
})

test('an item is called by its key', () => {
  expect(keyOf('prompts', { name: 'p' })).toBe('p')
  expect(keyOf('resources', { uri: 'u', name: 'n' })).toBe('u')
  expect(keyOf('templates', { uriTemplate: 't', name: 'n' })).toBe('t')
})

test('a server offers what it announced; templates come with resources', () => {
  const hello = serverHello('x', { tools: {}, resources: {}, prompts: true })
  expect(LIST_KINDS.filter((kind) => offers(hello, kind))).toEqual(['tools', 'resources', 'templates'])
})

describe('a listing from a file', () => {
  const whole = listing({
    capabilities: { tools: {} },
    instructions: 'Use it.',
    tools: [{ name: 'a', inputSchema: { type: 'object' } }],
    prompts: ['p'],
    resources: ['a:1'],
    templates: ['a:{x}'],
  })

  test('is what was written', () => {
    expect(readListing(JSON.parse(JSON.stringify(whole)))).toEqual(whole)
  })

  test('loses items that cannot be used, and keeps the others', () => {
    expect(readListing({ ...whole, tools: [{ name: 'a' }, { name: 1 }, null] })?.tools).toEqual([
      { name: 'a' },
    ])
  })

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['an empty object', {}],
    ['no greeting', { ...whole, hello: undefined }],
    ['a greeting without revision', { ...whole, hello: { ...whole.hello, protocolVersion: 1 } }],
    ['a greeting without capabilities', { ...whole, hello: { ...whole.hello, capabilities: [] } }],
    ['a greeting without serverInfo', { ...whole, hello: { ...whole.hello, serverInfo: null } }],
    ['no tools', { ...whole, tools: undefined }],
    ['prompts that are no list', { ...whole, prompts: {} }],
    ['resources that are text', { ...whole, resources: 'x' }],
    ['no templates', { ...whole, templates: null }],
  ])('with %s is none', (_what, value) => {
    expect(readListing(value)).toBeUndefined()
  })

  test('has an empty version where there is none, and instructions only if they are text', () => {
    const value = { ...whole, hello: { ...whole.hello, serverInfo: { name: 'x' }, instructions: 7 } }
    expect(readListing(value)?.hello).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'x', version: '' },
    })
  })

  test('without a name of the server is none, as a greeting without one is refused', () => {
    expect(readListing({ ...whole, hello: { ...whole.hello, serverInfo: {} } })).toBeUndefined()
  })

  test('is read from any garbage without an error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (hello, tools, rest) => {
        const read = readListing({ hello, tools, prompts: rest, resources: [], templates: [] })
        if (read) expect(readListing(JSON.parse(JSON.stringify(read)))).toEqual(read)
      }),
    )
  })
})
