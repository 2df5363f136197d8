import { describe, expect, test } from 'vitest'
import { interpretSettings } from './interpret.ts'

const BCRYPT = '$2b$10$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.'
const ARGON2 = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo'

function read(users: unknown, variables: Record<string, string> = {}) {
  return interpretSettings(JSON.stringify({ users }), 'f.json', variables)
}

describe('users of the settings', () => {
  test('are read with either kind of hash, as it stands', () => {
    const { settings, warnings } = read(
      [
        { username: ' admin ', password: BCRYPT, isAdmin: true, email: 'a@example.com', more: 1 },
        { username: 'bob', password: ARGON2 },
      ],
      // "$Vt7k…" must not be taken for a variable.
      { V: 'x', AAA: 'y' },
    )
    expect(warnings).toEqual([])
    expect(settings.users).toEqual([
      { username: 'admin', passwordHash: BCRYPT, role: 'admin', email: 'a@example.com' },
      { username: 'bob', passwordHash: ARGON2, role: 'user', email: undefined },
    ])
  })

  test('may have their hash elsewhere', () => {
    const { settings } = read([{ username: 'bob', password: '${BOB_HASH}' }], { BOB_HASH: BCRYPT })
    expect(settings.users).toMatchObject([{ passwordHash: BCRYPT }])
  })

  test.each(['secret', '', '$2b$10$short', '$1$salt$md5', '${NOT_SET}'])(
    'with %j for a hash are left out, and that is said without it',
    (password) => {
      const { settings, warnings } = read([{ username: 'bob', password }])
      expect(settings.users).toEqual([])
      expect(warnings).toEqual([
        expect.stringContaining('users.0.password: this is no bcrypt or argon2id hash'),
      ])
      expect(warnings.join()).not.toContain('secret')
    },
  )

  test('are refused when two have one name', () => {
    const twins = [
      { username: 'bob', password: BCRYPT },
      { username: 'bob ', password: BCRYPT },
    ]
    expect(() => read(twins)).toThrow('users.1: there are two users named "bob"')
  })
})

describe('whose a server or group is', () => {
  test.each([
    [{}, { owner: undefined, visibility: 'public', sharedWithUsers: [] }],
    [{ owner: '' }, { owner: undefined, visibility: 'public' }],
    [{ owner: 'alice' }, { owner: 'alice', visibility: 'private' }],
    [
      { owner: 'alice', visibility: 'public' },
      { owner: 'alice', visibility: 'public' },
    ],
    [{ visibility: 'private' }, { owner: undefined, visibility: 'private' }],
    [
      { owner: 'a', visibility: 'group', sharedWithUsers: ['b'] },
      { visibility: 'group', sharedWithUsers: ['b'] },
    ],
    [
      { owner: 'a', sharedWithUsers: null },
      { visibility: 'private', sharedWithUsers: [] },
    ],
  ])('%j is read as %j', (input, sharing) => {
    const document = { mcpServers: { s: { command: 'x', ...input } }, groups: [{ name: 'g', ...input }] }
    const { settings } = interpretSettings(JSON.stringify(document), 'f.json', {})
    expect(settings.servers.get('s')).toMatchObject(sharing)
    expect(settings.groups[0]).toMatchObject(sharing)
  })
})
