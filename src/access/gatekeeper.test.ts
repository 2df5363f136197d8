import { describe, expect, test } from 'vitest'
import { FakeLoginStore, FakeUserStore, keySpec, userRecord } from '../../tests/fakes/accounts.ts'
import { FakeClock } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import type { KeySpec } from '../domain/server-spec.ts'
import { systemRandom } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { Gatekeeper } from './gatekeeper.ts'
import { Keyring } from './keyring.ts'
import type { Credentials } from './login-cookie.ts'
import { LoginLimiter } from './login-limiter.ts'
import { Logins } from './logins.ts'
import { Passwords } from './passwords.ts'
import { Users } from './users.ts'

const code = (value: string) => expect.objectContaining({ code: value })

function make(keys: readonly KeySpec[], open = false, readOnly = false) {
  const clock = new FakeClock()
  const users = new FakeUserStore()
  users.users.set('alice', userRecord('alice'))
  const store = new FakeLoginStore()
  const passwords = new Passwords(systemRandom)
  const logins = new Logins({
    users: new Users({ store: users, logins: store, passwords, clock, changed: async () => undefined }),
    store,
    limiter: new LoginLimiter(),
    secret: 'session-secret',
    ownOrigins: new Set(),
    isSecure: () => false,
    clock,
    random: systemRandom,
    tasks: new TaskGroup(recordingLogger().logger),
  })
  const keyring = new Keyring({ openWithoutKeys: open, stored: false, clock })
  keyring.declare(keys, true)
  const gatekeeper = new Gatekeeper({ keyring, logins, bearerHeader: () => 'X-Key', readOnly })
  return { gatekeeper, logins }
}

function request(headers: Record<string, string> = {}): Credentials {
  return { method: 'GET', headers, cookies: {}, ip: undefined }
}

describe('who sends a request', () => {
  test('is told by a key, in the header that the settings name', async () => {
    const { gatekeeper } = make([keySpec('k', 'token-of-k', { owner: 'alice' })])
    expect(await gatekeeper.identify(request({ 'x-key': 'Bearer token-of-k' }))).toMatchObject({
      kind: 'key',
      keyId: 'k',
      username: 'alice',
      viewer: 'alice',
    })
    await expect(gatekeeper.identify(request({ authorization: 'Bearer token-of-k' }))).rejects.toEqual(
      code('access.unauthenticated'),
    )
  })

  test('is told by a login, whose rights they call tools with', async () => {
    const { gatekeeper, logins } = make([keySpec('k', 'token-of-k')])
    const { token } = await logins.grant({ username: 'alice', role: 'user' }, request())
    expect(await gatekeeper.identify(request({ 'x-auth-token': token }))).toMatchObject({
      kind: 'login',
      username: 'alice',
      role: 'user',
      viewer: 'alice',
      principal: { id: 'user:alice', viewer: 'alice', scope: { kind: 'all' } },
    })
  })

  test('is told by the key when there are both, and a wrong one is not made good by a login', async () => {
    const { gatekeeper, logins } = make([keySpec('k', 'token-of-k')])
    const { token } = await logins.grant({ username: 'alice', role: 'user' }, request())
    const both = (key: string) => request({ 'x-auth-token': token, 'x-key': key })
    expect(await gatekeeper.identify(both('token-of-k'))).toMatchObject({ kind: 'key' })
    await expect(gatekeeper.identify(both('wrong'))).rejects.toEqual(code('access.unauthenticated'))
  })

  test('is nobody on an open hub, and must be somebody on any other', async () => {
    expect(await make([], true).gatekeeper.identify(request())).toMatchObject({ kind: 'open' })
    await expect(make([]).gatekeeper.identify(request())).rejects.toEqual(code('access.unauthenticated'))
  })
})

test('things that the settings say little of are as visible as the gateway takes them for', async () => {
  const { gatekeeper } = make([keySpec('k', 'token-of-k', { owner: 'alice' })])
  const alice = await gatekeeper.identify(request({ 'x-key': 'token-of-k' }))
  const seen = [
    {},
    { owner: 'alice' },
    { owner: 'bob' },
    { owner: 'bob', visibility: 'public' },
    { owner: 'bob', visibility: 'group', sharedWithUsers: ['alice'] },
    { owner: 'bob', sharedWithUsers: ['alice'] },
    { visibility: 'private' },
  ] as const
  expect(seen.map((thing) => gatekeeper.mayView(alice, thing))).toEqual([
    true,
    true,
    false,
    true,
    true,
    false,
    false,
  ])
})

test('[R231] an instance that takes no changes says so', () => {
  expect(() => make([], false, true).gatekeeper.requireWritable()).toThrow(code('settings.read-only'))
  expect(() => make([]).gatekeeper.requireWritable()).not.toThrow()
})
