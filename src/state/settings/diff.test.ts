import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { valueAt } from '../json/json-path.ts'
import { MASK } from '../secrets/secret-places.ts'
import { diffDocuments } from './diff.ts'

const document = fc.dictionary(
  fc.constantFrom('a', 'b', 'constructor', 'x/y', 'x~z'),
  fc.jsonValue({ maxDepth: 3 }),
  {
    noNullPrototype: true,
  },
)

describe('the difference of two documents', () => {
  test('names what was added, removed and changed', () => {
    const before = { mcpServers: { a: { command: 'x' }, 'b/c': { url: 'y' } }, n: 1 }
    const after = { mcpServers: { a: { command: 'z' }, d: { url: 'w' } }, n: 1 }
    expect(diffDocuments(before, after)).toEqual([
      { path: '/mcpServers/a/command', kind: 'changed', before: 'x', after: 'z' },
      { path: '/mcpServers/b~1c', kind: 'removed', before: { url: 'y' } },
      { path: '/mcpServers/d', kind: 'added', after: { url: 'w' } },
    ])
  })

  test('is empty exactly when their content is the same', () => {
    fc.assert(
      fc.property(document, document, (one, other) => {
        expect(diffDocuments(one, structuredClone(one))).toEqual([])
        const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
        expect(diffDocuments(one, other).length === 0).toBe(same)
      }),
    )
  })

  test('tells the values as they stand in the documents', () => {
    fc.assert(
      fc.property(document, document, (one, other) => {
        for (const { path, kind, after } of diffDocuments(one, other)) {
          const steps = path
            .slice(1)
            .split('/')
            .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
          if (kind !== 'removed' && !JSON.stringify(other).includes('['))
            expect(valueAt(other, steps)).toEqual(after)
        }
      }),
    )
  })

  test('never tells a secret, wherever it changes', () => {
    const make = (secret: string) => ({
      mcpServers: { a: { env: { KEY: secret }, url: `http://u:${secret}@h/?api_key=${secret}` } },
      bearerKeys: [{ id: '1', token: secret }],
    })
    const changes = diffDocuments(make('canary-one'), make('canary-two'))
    expect(changes.map(({ path }) => path)).toEqual([
      '/mcpServers/a/env/KEY',
      '/mcpServers/a/url',
      '/bearerKeys/0/token',
    ])
    expect(changes[0]).toEqual({ path: '/mcpServers/a/env/KEY', kind: 'changed', before: MASK, after: MASK })
    expect(JSON.stringify([changes, diffDocuments({}, make('canary-one'))])).not.toContain('canary')
  })

  test('knows groups by their names: one that is removed does not change those behind it', () => {
    const groups = [
      { id: '1', name: 'a' },
      { id: '2', name: 'b' },
      { id: '3', name: 'c' },
    ]
    expect(diffDocuments({ groups }, { groups: groups.slice(1) })).toEqual([
      { path: '/groups/0', kind: 'removed', before: { id: '1', name: 'a' } },
    ])
    expect(diffDocuments({ groups }, { groups: [{ id: '9', name: 'z' }, ...groups] })).toEqual([
      { path: '/groups/0', kind: 'added', after: { id: '9', name: 'z' } },
    ])
  })

  test('tells another order of groups too', () => {
    const groups = [{ name: 'a' }, { name: 'b' }]
    expect(diffDocuments({ groups }, { groups: groups.toReversed() })).toMatchObject([
      { path: '/groups', kind: 'changed' },
    ])
  })

  test('is bounded in number and size', () => {
    const make = (value: number) => ({
      mcpServers: Object.fromEntries(
        Array.from({ length: 150 }, (_, at) => [`s${at}`, { one: value, two: value }]),
      ),
      text: 'x'.repeat(5_000 + value),
    })
    const changes = diffDocuments(make(1), make(2))
    expect(changes).toHaveLength(151)
    expect(changes.at(-1)).toMatchObject({ path: '/text', before: '(5003 characters of JSON)' })
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`k${at}`, at]))
    expect(diffDocuments({}, many)).toHaveLength(200)
  })
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, member]: [string, unknown]) => [key, sorted(member)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
