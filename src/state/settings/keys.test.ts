import { describe, expect, test } from 'vitest'
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
    [{ allowedServers: ['a'] }, { kind: 'some', groups: new Set(), servers: new Set(['a']) }],
    [{ allowedGroups: ['g'] }, { kind: 'some', groups: new Set(['g']), servers: new Set() }],
    [{ allowedServers: [] }, { kind: 'some', groups: new Set(), servers: new Set() }],
    [{ accessType: 'all', allowedServers: ['a'] }, { kind: 'all' }],
    [
      { accessType: 'groups', allowedGroups: ['g'], allowedServers: ['a'] },
      { kind: 'some', groups: new Set(['g']), servers: new Set() },
    ],
    [
      { accessType: 'servers', allowedGroups: ['g'], allowedServers: ['a'] },
      { kind: 'some', groups: new Set(), servers: new Set(['a']) },
    ],
    [
      { accessType: 'custom', allowedGroups: ['g'], allowedServers: ['a'] },
      { kind: 'some', groups: new Set(['g']), servers: new Set(['a']) },
    ],
    [
      { accessType: 'custom', allowedGroups: null },
      { kind: 'some', groups: new Set(), servers: new Set() },
    ],
  ])('%j open %j', (input, scope) => {
    expect(read({ bearerKeys: [{ token, ...input }] }).settings.keys[0]?.scope).toEqual(scope)
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
