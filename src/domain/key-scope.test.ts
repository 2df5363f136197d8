import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { someScope } from '../../tests/fakes/principals.ts'
import { opensServer, openTools, sameScope, scopeFromJson, scopeToJson } from './key-scope.ts'
import { hashOfDeclared, hashToken, withoutToken } from './tokens.ts'
import { mayView } from './visibility.ts'

const names = fc.uniqueArray(fc.string())
const scopes = fc.oneof(
  fc.constant({ kind: 'all' } as const),
  fc
    .record({ groups: names, servers: names, tools: fc.dictionary(fc.string(), names) })
    .map((parts) => someScope(parts)),
)

describe('a scope', () => {
  test('comes back from JSON as it was', () => {
    fc.assert(
      fc.property(scopes, (scope) => {
        const back = scopeFromJson(JSON.parse(JSON.stringify(scopeToJson(scope))))
        expect(sameScope(back, scope)).toBe(true)
        expect(JSON.stringify(scopeToJson(back))).toBe(JSON.stringify(scopeToJson(scope)))
      }),
    )
  })

  test.each([
    undefined,
    null,
    7,
    'all',
    [],
    {},
    { kind: 'every' },
    { kind: 'some' },
    { kind: 'some', servers: 'a', tools: 7 },
  ])('that is none (%j) opens nothing', (value) => {
    expect(scopeFromJson(value)).toEqual(someScope({}))
  })

  test('differs from another in anything that it opens', () => {
    const one = someScope({ groups: ['g'], servers: ['s'], tools: { t: ['x'] } })
    for (const parts of [
      {},
      { groups: ['g'], servers: ['s'] },
      { groups: ['g'], servers: ['s'], tools: { t: ['y'] } },
    ])
      expect([sameScope(one, someScope(parts)), sameScope(someScope(parts), one)]).toEqual([false, false])
    expect(sameScope({ kind: 'all' }, one)).toBe(false)
  })

  test('opens servers whole or in part', () => {
    const scope = someScope({ servers: ['a', 'b'], tools: { b: ['x'], c: [] } })
    expect(['a', 'b', 'c', 'd'].map((name) => opensServer(scope, name))).toEqual([true, true, true, false])
    expect(openTools(scope, 'a')).toBe('all')
    expect(openTools(scope, 'b')).toEqual(new Set(['x']))
    expect(openTools(scope, 'c')).toEqual(new Set())
    expect(openTools({ kind: 'all' }, 'b')).toBe('all')
  })
})

test('a token is the same key as its written hash, and a hash of a hash is another', () => {
  const hash = hashToken('token')
  expect(hash).toBe('3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0')
  expect(hashOfDeclared('token')).toBe(hash)
  expect(hashOfDeclared(withoutToken(hash))).toBe(hash)
  expect(hashOfDeclared(withoutToken(hash).toUpperCase().replace('SHA256', 'sha256'))).toBe(hash)
  expect(hashOfDeclared(hash)).not.toBe(hash)
})

test('sharing counts for things that are shared only', () => {
  const thing = { owner: 'alice', sharedWithUsers: ['bob'] }
  const seen = (['private', 'group', 'public'] as const).map((visibility) =>
    [undefined, 'alice', 'bob', 'carol'].map((viewer) => mayView(viewer, { ...thing, visibility })),
  )
  expect(seen).toEqual([
    [true, true, false, false],
    [true, true, true, false],
    [true, true, true, true],
  ])
})
