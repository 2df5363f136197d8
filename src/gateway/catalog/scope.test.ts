import { describe, expect, test } from 'vitest'
import { group, hubSettings, serverSpec } from '../../../tests/fakes/domain.ts'
import { EVERYTHING, keyRights, userRights } from '../../../tests/fakes/principals.ts'
import { ALL, type EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import { resolveEndpoint } from './scope.ts'

const key = keyRights

function named(name: string): EndpointName {
  return { kind: 'named', name }
}

const settings = hubSettings(
  [serverSpec('a'), serverSpec('b'), serverSpec('off', { enabled: false }), serverSpec('both')],
  {
    groups: [
      group('both', 'a', 'off', 'gone'),
      group('ab', 'a', { server: 'b', alias: 'bee' }),
      group('none'),
    ],
  },
)

/** The servers of an endpoint; a server's own endpoint as its name; the code of a refusal. */
function resolve(endpoint: EndpointName, rights = EVERYTHING, of: HubSettings = settings): string[] | string {
  try {
    const found = resolveEndpoint(endpoint, of, rights)
    return found.kind === 'server' ? found.spec.name : found.members.map(({ server }) => server)
  } catch (error) {
    if (error instanceof HubError) return error.code
    throw error
  }
}

describe('the endpoint over all servers', () => {
  test('has every enabled server in the order of the settings, whole', () => {
    expect(resolve(ALL)).toEqual(['a', 'b', 'both'])
    expect(resolveEndpoint(ALL, settings, EVERYTHING)).toMatchObject({
      kind: 'aggregate',
      title: 'flotilla',
      members: [{ server: 'a', alias: undefined, tools: 'all', prompts: 'all', resources: 'all' }, {}, {}],
    })
  })

  test('has only the servers that a key names', () => {
    expect(resolve(ALL, key({ servers: ['b', 'off', 'unknown'] }))).toEqual(['b'])
    expect(resolve(ALL, key({ groups: ['ab'], servers: ['b'] }))).toEqual(['b'])
  })

  test('is closed to a key that names groups only; the cure says where it may go', () => {
    expect(resolve(ALL, key({ groups: ['ab', 'none'] }))).toBe('access.denied')
    expect(() => resolveEndpoint(ALL, settings, key({ groups: ['ab', 'none'] }))).toThrow(
      expect.objectContaining({ cure: 'Connect to /mcp/ab or /mcp/none.' }),
    )
    expect(() => resolveEndpoint(ALL, settings, key({}))).toThrow(
      expect.objectContaining({ cure: 'Connect to a group that the key names.' }),
    )
  })

  test('is closed to everybody where the settings switch it off; others stay open', () => {
    const closed = { ...settings, globalEndpoint: false }
    expect(resolve(ALL, EVERYTHING, closed)).toBe('access.denied')
    expect(resolve(named('a'), EVERYTHING, closed)).toBe('a')
  })

  test('may be empty', () => {
    expect(resolve(ALL, EVERYTHING, hubSettings([]))).toEqual([])
  })
})

describe('an endpoint with a name', () => {
  test('is a group before a server of the same name', () => {
    expect(resolve(named('both'))).toEqual(['a'])
    expect(resolve(named('ab'))).toEqual(['a', 'b'])
    expect(resolveEndpoint(named('ab'), settings, EVERYTHING)).toMatchObject({ title: 'flotilla/ab' })
  })

  test('may be the id of a group', () => {
    expect(resolve(named('id-of-ab'))).toEqual(['a', 'b'])
  })

  test('is a group by its id only, where the settings say so', () => {
    const byId = { ...settings, groupsByName: false }
    expect(resolve(named('both'), EVERYTHING, byId)).toBe('both')
    expect(resolve(named('ab'), EVERYTHING, byId)).toBe('endpoint.unknown')
    expect(resolve(named('id-of-ab'), EVERYTHING, byId)).toEqual(['a', 'b'])
  })

  test('is else a server', () => {
    expect(resolve(named('b'))).toBe('b')
  })

  test('leaves out members that are disabled or do not exist; a group may be empty', () => {
    expect(resolve(named('both'))).toEqual(['a'])
    expect(resolve(named('none'))).toEqual([])
  })

  test('keeps what a group says of its members', () => {
    expect(resolveEndpoint(named('ab'), settings, EVERYTHING)).toMatchObject({
      members: [{ server: 'a' }, { server: 'b', alias: 'bee', spec: { name: 'b' } }],
    })
  })

  test.each(['nope', '', 'A', '$smart', '__proto__'])('that is neither (%j) is unknown', (name) => {
    expect(resolve(named(name))).toBe('endpoint.unknown')
  })

  test('of a disabled server is unknown, and the cure says why', () => {
    expect(() => resolveEndpoint(named('off'), settings, EVERYTHING)).toThrow(
      expect.objectContaining({ code: 'endpoint.unknown', cure: 'Enable it in the settings.' }),
    )
  })
})

describe('what a key opens', () => {
  test('a server that it names, and no other', () => {
    expect(resolve(named('a'), key({ servers: ['a'] }))).toBe('a')
    expect(resolve(named('b'), key({ servers: ['a'] }))).toBe('access.denied')
    expect(resolve(named('b'), key({}))).toBe('access.denied')
  })

  test.each(['ab', 'id-of-ab'])('a group that it names as %s, by either of its names', (name) => {
    expect(resolve(named('ab'), key({ groups: [name] }))).toEqual(['a', 'b'])
    expect(resolve(named('id-of-ab'), key({ groups: [name] }))).toEqual(['a', 'b'])
  })

  test('no single server because of a group that has it: the group may show less of it', () => {
    expect(resolve(named('a'), key({ groups: ['ab'] }))).toBe('access.denied')
  })

  test('a group of which it names every server, and not one of which it names some', () => {
    expect(resolve(named('ab'), key({ servers: ['a', 'b'] }))).toEqual(['a', 'b'])
    expect(resolve(named('ab'), key({ servers: ['a'] }))).toBe('access.denied')
  })

  test('a group with a disabled server only if it names that one too', () => {
    expect(resolve(named('both'), key({ servers: ['a'] }))).toBe('access.denied')
    expect(resolve(named('both'), key({ servers: ['a', 'off'] }))).toBe('access.denied')
    expect(resolve(named('both'), key({ servers: ['a', 'off', 'gone'] }))).toEqual(['a'])
  })

  test('no empty group for naming all of its no servers', () => {
    expect(resolve(named('none'), key({ servers: ['a'] }))).toBe('access.denied')
    expect(resolve(named('none'), key({ groups: ['none'] }))).toEqual([])
  })

  test('tells nobody whether a disabled server exists', () => {
    expect(resolve(named('off'), key({ servers: [] }))).toBe(resolve(named('nope'), key({ servers: [] })))
  })

  test('tells nobody whether a server exists that it does not open', () => {
    expect(resolve(named('b'), key({ servers: ['a'] }))).toBe(resolve(named('nope'), key({ servers: ['a'] })))
  })

  test('tells nobody whether a group exists that it does not open', () => {
    // The code is the same, the sentence is not: 'the group "ab"' for one that exists, '"nope"' for one that does not.
    const said = (name: string) => {
      try {
        resolveEndpoint(named(name), settings, key({ servers: ['a'] }))
      } catch (error) {
        return (error as HubError).message.replaceAll(name, '<name>')
      }
      return undefined
    }
    expect(said('ab')).toBe(said('nope'))
  })
})

describe('what a user may see', () => {
  const shared = { owner: 'alice', visibility: 'group', sharedWithUsers: ['bob'] } as const
  const own = { owner: 'alice', visibility: 'private', sharedWithUsers: [] } as const
  const all = hubSettings(
    [
      serverSpec('open'),
      serverSpec('hers', own),
      serverSpec('hers-off', { ...own, enabled: false }),
      serverSpec('theirs', shared),
      serverSpec('shown', { owner: 'alice', visibility: 'public', sharedWithUsers: [] }),
      serverSpec('nobodys', { visibility: 'private' }),
    ],
    {
      groups: [
        { ...group('everybodys', 'open', 'hers', 'theirs') },
        { ...group('her-group', 'open', 'hers'), ...own },
        { ...group('their-group', 'open', 'hers', 'theirs'), ...shared },
        // A group that only she sees, with the name of a server that everybody sees.
        { ...group('shown', 'hers'), ...own },
      ],
    },
  )
  const as = (viewer: string | undefined, endpoint: EndpointName) =>
    resolve(endpoint, viewer === undefined ? EVERYTHING : userRights(viewer), all)

  test.each([
    [undefined, ['open', 'hers', 'theirs', 'shown', 'nobodys']],
    ['alice', ['open', 'hers', 'theirs', 'shown']],
    ['bob', ['open', 'theirs', 'shown']],
    ['carol', ['open', 'shown']],
    ['', ['open', 'shown']],
  ])('%s has %j in the endpoint over all servers', (viewer, servers) => {
    expect(as(viewer, ALL)).toEqual(servers)
  })

  test.each([
    ['everybodys', undefined, ['open', 'hers', 'theirs']],
    ['everybodys', 'alice', ['open', 'hers', 'theirs']],
    ['everybodys', 'bob', ['open', 'theirs']],
    ['everybodys', 'carol', ['open']],
    ['her-group', 'alice', ['open', 'hers']],
    ['her-group', 'bob', 'endpoint.unknown'],
    ['id-of-her-group', 'bob', 'endpoint.unknown'],
    ['their-group', 'bob', ['open', 'theirs']],
    ['their-group', 'carol', 'endpoint.unknown'],
    ['shown', 'alice', ['hers']],
    ['shown', 'bob', 'shown'],
    ['hers', 'alice', 'hers'],
    ['hers', 'bob', 'endpoint.unknown'],
    ['theirs', 'bob', 'theirs'],
    ['theirs', 'carol', 'endpoint.unknown'],
    ['nobodys', 'alice', 'endpoint.unknown'],
    ['nobodys', undefined, 'nobodys'],
  ])('/mcp/%s is for %s: %j', (name, viewer, outcome) => {
    expect(as(viewer, named(name))).toEqual(outcome)
  })

  test.each(['hers', 'hers-off', 'her-group', 'id-of-her-group'])(
    'of %s nobody else learns that it exists: the answer is that to a name that nobody has',
    (name) => {
      const answer = (asked: string) => {
        try {
          resolveEndpoint(named(asked), all, userRights('bob'))
        } catch (error) {
          const { code, message, cure, data } = error as HubError
          return JSON.stringify([code, message, cure, data]).replaceAll(asked, '<name>')
        }
        return undefined
      }
      expect(answer(name)).toBe(answer('nope'))
    },
  )

  test('is less with a key that opens less, and never more', () => {
    const rights = { ...key({ servers: ['open', 'hers'], groups: ['her-group'] }), viewer: 'bob' }
    expect(resolve(ALL, rights, all)).toEqual(['open'])
    expect(resolve(named('hers'), rights, all)).toBe('endpoint.unknown')
    expect(resolve(named('her-group'), rights, all)).toBe('access.denied')
    expect(resolve(named('theirs'), rights, all)).toBe('access.denied')
  })
})

describe('a key for single tools', () => {
  const narrow = key({ tools: { a: ['x'] } })
  const member = { server: 'a', tools: new Set(['x']), prompts: new Set(), resources: new Set() }

  test('opens their server, and nothing of it but them', () => {
    expect(resolveEndpoint(named('a'), settings, narrow)).toMatchObject({ kind: 'server', member })
    expect(resolveEndpoint(ALL, settings, narrow)).toMatchObject({ members: [member] })
    expect(resolve(named('b'), narrow)).toBe('access.denied')
  })

  test('shows no more of the server in a group, which may show less still', () => {
    const both = key({ servers: ['b'], tools: { a: ['x', 'y'] } })
    expect(resolve(named('ab'), both)).toEqual(['a', 'b'])
    expect(resolveEndpoint(named('ab'), settings, both)).toMatchObject({
      members: [
        { server: 'a', tools: new Set(['x', 'y']), prompts: new Set() },
        { server: 'b', alias: 'bee', tools: 'all' },
      ],
    })
    const groups = [group('g', { server: 'a', tools: new Set(['y', 'z']) })]
    expect(resolveEndpoint(named('g'), { ...settings, groups }, both)).toMatchObject({
      members: [{ tools: new Set(['y']) }],
    })
  })

  test('is narrow even if the server is named as a whole beside', () => {
    const twice = key({ groups: ['ab'], servers: ['a'], tools: { a: ['x'] } })
    expect(resolveEndpoint(named('a'), settings, twice)).toMatchObject({ member })
    expect(resolveEndpoint(named('ab'), settings, twice)).toMatchObject({ members: [member, {}] })
  })
})
