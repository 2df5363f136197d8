import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { someScope } from '../../../tests/fakes/principals.ts'
import { HubError } from '../../domain/errors.ts'
import { interpretSettings } from './interpret.ts'

type Variables = Record<string, string | undefined>

function read(document: unknown, variables: Variables = {}) {
  return interpretSettings(JSON.stringify(document, undefined, 2), 'f.json', variables)
}

function refusal(text: unknown, variables: Variables = {}): HubError {
  const source = typeof text === 'string' ? text : JSON.stringify(text, undefined, 2)
  try {
    interpretSettings(source, 'f.json', variables)
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('The settings were not refused.')
}

describe('keys', () => {
  const token = 'long-enough'

  test.each([
    [{}, { kind: 'all' }],
    [{ allowedGroups: null, allowedServers: null }, { kind: 'all' }],
    [{ allowedServers: ['a'] }, someScope({ servers: ['a'] })],
    [{ allowedGroups: ['g'] }, someScope({ groups: ['g'] })],
    [{ allowedServers: [] }, someScope({})],
    [{ accessType: 'all', allowedServers: ['a'] }, { kind: 'all' }],
    [{ accessType: 'groups', allowedGroups: ['g'], allowedServers: ['a'] }, someScope({ groups: ['g'] })],
    [{ accessType: 'servers', allowedGroups: ['g'], allowedServers: ['a'] }, someScope({ servers: ['a'] })],
    [
      { accessType: 'custom', allowedGroups: ['g'], allowedServers: ['a'] },
      someScope({ groups: ['g'], servers: ['a'] }),
    ],
    [{ accessType: 'custom', allowedGroups: null }, someScope({})],
  ])('%j open %j', (input, scope) => {
    expect(read({ bearerKeys: [{ token, ...input }] }).settings.keys[0]?.scope).toEqual(scope)
  })

  test.each([
    [{ allowedTools: { a: ['x'] } }, someScope({ tools: { a: ['x'] } })],
    [
      { accessType: 'tools', allowedTools: { a: ['x', 'y'] }, allowedServers: ['b'] },
      someScope({ tools: { a: ['x', 'y'] } }),
    ],
    [
      { accessType: 'servers', allowedTools: { a: ['x'] }, allowedServers: ['b'] },
      someScope({ servers: ['b'] }),
    ],
    [
      { allowedTools: { a: ['x'] }, allowedServers: ['b'] },
      someScope({ servers: ['b'], tools: { a: ['x'] } }),
    ],
    [{ accessType: 'tools' }, someScope({})],
  ])('%j may open single tools', (input, scope) => {
    expect(read({ bearerKeys: [{ token, ...input }] }).settings.keys[0]?.scope).toEqual(scope)
  })

  test.each([
    [{}, { owner: undefined, rest: 'read', grants: [] }],
    [{ allowedServers: ['a'] }, { rest: 'none' }],
    [{ owner: 'alice' }, { owner: 'alice', rest: 'none' }],
    [
      { owner: 'alice', kind: 'user' },
      { owner: 'alice', rest: 'none' },
    ],
    [
      { owner: 'alice', kind: 'system' },
      { owner: undefined, rest: 'read' },
    ],
    [
      { rest: 'admin', grants: ['servers:launch'] },
      { rest: 'admin', grants: ['servers:launch'] },
    ],
    [{ expiresAt: '2026-01-02T03:04:05Z' }, { expiresAt: Date.UTC(2026, 0, 2, 3, 4, 5) }],
    [
      { expiresAt: 1_800_000_000_000, requestsPerMinute: 60, maxConcurrent: 2 },
      { expiresAt: 1_800_000_000_000, requestsPerMinute: 60, maxConcurrent: 2 },
    ],
    [
      { expiresAt: null, requestsPerMinute: null },
      { expiresAt: undefined, requestsPerMinute: undefined },
    ],
  ])('%j are read as %j', (input, rights) => {
    expect(read({ bearerKeys: [{ token, ...input }] }).settings.keys[0]).toMatchObject(rights)
  })

  test('of a user who is not named open nothing, and that is said', () => {
    const { settings, warnings } = read({ bearerKeys: [{ token, kind: 'user' }] })
    expect(settings.keys).toEqual([])
    expect(warnings).toEqual([expect.stringContaining('bearerKeys.0: a key of kind "user" needs an "owner"')])
  })

  test('may be written as the hash of their token; the same token is the same key', () => {
    const hashed = `sha256:${createHash('sha256').update(token).digest('hex')}`
    expect(read({ bearerKeys: [{ token: hashed }] }).settings.keys).toMatchObject([{ token: hashed }])
    expect(refusal({ bearerKeys: [{ token }, { token: hashed }] }).message).toContain(
      'the token of the key "key-1" already',
    )
  })

  test('that are disabled are none', () => {
    expect(read({ bearerKeys: [{ token, enabled: false }] }).settings.keys).toEqual([])
  })

  test('need 8 characters', () => {
    const error = refusal({ bearerKeys: [{ token: 'short' }] })
    expect(error.message).toBe('f.json:4:16: bearerKeys.0.token: a key needs at least 8 characters.')
    expect(error.message).not.toContain('short')
  })

  test('without an id keep theirs when another key is disabled', () => {
    const second = { token: 'second-token' }
    const before = read({ bearerKeys: [{ token }, second] }).settings.keys.at(-1)
    const after = read({ bearerKeys: [{ token, enabled: false }, second] }).settings.keys.at(-1)
    expect(after?.id).toBe(before?.id)
  })

  test('may share a name or an id, but not a token', () => {
    const twins = (other: string) => [
      { name: 'ci', token },
      { name: 'ci', token: other },
    ]
    expect(read({ bearerKeys: twins('another-token') }).settings.keys).toHaveLength(2)
    for (const [other, variables] of [
      [token, {}],
      ['${T}', { T: token }],
      [` ${token} `, {}],
    ] as const) {
      const error = refusal({ bearerKeys: twins(other) }, variables)
      expect(error.message).toBe(
        'f.json:9:16: bearerKeys.1.token: this is the token of the key "ci" already.',
      )
    }
    const off = [{ token }, { token, enabled: false }]
    expect(read({ bearerKeys: off }).settings.keys).toHaveLength(1)
  })

  test.each([
    [{ allowedServers: ['a'] }, 1],
    [{ enabled: false }, 0],
  ])('count before the single legacy one of which MCPHub made them (%j)', (input, count) => {
    const { settings, warnings } = read({
      bearerKeys: [{ token, ...input }],
      systemConfig: { routing: { bearerAuthKey: token } },
    })
    expect(settings.keys.map(({ scope }) => scope.kind)).toEqual(Array(count).fill('some'))
    expect(warnings.join()).toContain('systemConfig.routing.bearerAuthKey: this token is in "bearerKeys" too')
    expect(warnings.join()).not.toContain(token)
  })
})

describe('variables', () => {
  test('are expanded in the token of a key', () => {
    const { settings } = read({ bearerKeys: [{ id: 'k', token: '${HUB_TOKEN}' }] }, { HUB_TOKEN: 'from-env' })
    expect(settings.keys[0]?.token).toBe('from-env')
  })

  test('in the token of a key may have short names: what counts is the length of the token', () => {
    const { settings } = read({ bearerKeys: [{ id: 'k', token: '${KEY}' }] }, { KEY: 'a-long-enough-token' })
    expect(settings.keys[0]?.token).toBe('a-long-enough-token')
    const error = refusal({ bearerKeys: [{ id: 'k', token: '${A_LONG_NAME}' }] }, { A_LONG_NAME: 'hunter2' })
    expect(error.message).toBe('f.json:5:16: bearerKeys.0.token: a key needs at least 8 characters.')
  })

  test.each(['${HUB_TOKEN}', 'prefix-that-is-long-${HUB_TOKEN}'])(
    'in the token of a key that are not set are an error (%s)',
    (token) => {
      const why = 'token: ${HUB_TOKEN} is not set.'
      expect(refusal({ bearerKeys: [{ id: 'k', token }] }).message).toBe(`f.json:5:16: bearerKeys.0.${why}`)
      expect(read({ bearerKeys: [{ token, enabled: false }] }).settings.keys).toEqual([])
    },
  )

  test('in the single legacy key are checked as in all others', () => {
    const refused = (bearerAuthKey: string) =>
      refusal({ systemConfig: { routing: { bearerAuthKey } } }, { SHORT: 'short' }).message
    const place = 'f.json:4:24: systemConfig.routing.bearerAuthKey: '
    expect(refused('${HUB_TOKEN}')).toBe(`${place}\${HUB_TOKEN} is not set.`)
    for (const key of ['short', '${SHORT}'])
      expect(refused(key)).toBe(`${place}a key needs at least 8 characters.`)
  })

  test('are expanded in the single legacy key as in all others', () => {
    const systemConfig = { routing: { bearerAuthKey: '${HUB_TOKEN}' } }
    expect(read({ systemConfig }, { HUB_TOKEN: 'from-env' }).settings.keys[0]?.token).toBe('from-env')
  })
})
