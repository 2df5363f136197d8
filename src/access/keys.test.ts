import { describe, expect, test } from 'vitest'
import { FakeKeyStore, FakeUserStore, keyRecord, keySpec, userRecord } from '../../tests/fakes/accounts.ts'
import { someScope } from '../../tests/fakes/principals.ts'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../tests/harness/recording-logger.ts'
import { hashToken } from '../domain/tokens.ts'
import { systemRandom } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { Keyring } from './keyring.ts'
import { type KeyInput, Keys } from './keys.ts'

const code = (value: string) => expect.objectContaining({ code: value })
const UNAUTHENTICATED = code('access.unauthenticated')

function make() {
  const store = new FakeKeyStore()
  const users = new FakeUserStore()
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const ring = new Keyring({ openWithoutKeys: false, stored: true, clock })
  ring.declare([keySpec('declared', 'token-declared')], true)
  const tasks = new TaskGroup(logger)
  const seen = { changes: 0 }
  const deps = { ring, store, users, clock, random: systemRandom, log: logger, tasks }
  const keys = new Keys({
    ...deps,
    changed: () => {
      seen.changes += 1
    },
  })
  return { store, users, clock, ring, keys, tasks, lines, seen }
}

async function started() {
  const made = make()
  await made.keys.start()
  return made
}

function input(parts: Partial<KeyInput> = {}): KeyInput {
  return {
    name: 'ci',
    owner: undefined,
    scope: { kind: 'all' },
    rest: 'none',
    enabled: true,
    expiresAt: undefined,
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    createdBy: 'root',
    ...parts,
  }
}

describe('a key', () => {
  test('works as soon as it is made; its token is shown then and kept nowhere', async () => {
    const { keys, ring, store } = await started()
    const scope = someScope({ servers: ['a'] })
    const { key, token } = await keys.create(input({ scope }))
    expect(token).toMatch(/^flk_[\w-]{43}$/)
    expect(key).toMatchObject({ name: 'ci', prefix: token.slice(0, 10), origin: 'api', scope })
    expect(ring.authenticate(token)).toMatchObject({ keyId: key.id, scope })
    expect(store.keys.get(key.id)?.tokenHash).toBe(hashToken(token))
    expect(JSON.stringify([[...store.keys.values()], keys.list(), key])).not.toContain(token)
    expect(JSON.stringify([keys.list(), key])).not.toContain(hashToken(token))
  })

  test('fails with the next request once it is revoked, and open sessions hear of it', async () => {
    const { keys, ring, seen } = await started()
    const { key, token } = await keys.create(input())
    const principal = ring.authenticate(token)
    const { changes } = seen
    await keys.revoke(key.id)
    expect(() => ring.authenticate(token)).toThrow(UNAUTHENTICATED)
    expect([ring.knows(principal), seen.changes]).toEqual([false, changes + 1])
    await expect(keys.revoke(key.id)).rejects.toEqual(code('resource.missing'))
  })

  test('is changed at once', async () => {
    const { keys, ring } = await started()
    const { key, token } = await keys.create(input())
    expect(await keys.update(key.id, { enabled: false })).toMatchObject({ enabled: false, name: 'ci' })
    expect(() => ring.authenticate(token)).toThrow(UNAUTHENTICATED)
    await keys.update(key.id, { enabled: true, scope: someScope({ groups: ['g'] }) })
    expect(ring.authenticate(token).scope).toEqual(someScope({ groups: ['g'] }))
  })

  test('of the settings is listed, and changed there only', async () => {
    const { keys } = await started()
    expect(keys.list()).toMatchObject([{ id: 'declared', origin: 'settings' }])
    const inUse = expect.objectContaining({
      code: 'resource.in-use',
      cure: expect.stringContaining('bearerKeys'),
    })
    await expect(keys.revoke('declared')).rejects.toEqual(inUse)
    await expect(keys.update('declared', { enabled: false })).rejects.toEqual(inUse)
    await expect(keys.update('nope', {})).rejects.toEqual(code('resource.missing'))
  })

  test.each([
    { name: ' ' },
    { name: 'x'.repeat(101) },
    { requestsPerMinute: 0 },
    { maxConcurrent: 1.5 },
    { expiresAt: 1 },
  ])('is not made from %j', async (parts) => {
    const { keys, store } = await started()
    await expect(keys.create(input(parts))).rejects.toEqual(code('request.invalid-params'))
    expect(store.keys.size).toBe(0)
  })

  test('that expires ends its sessions by itself', async () => {
    const { keys, ring, clock, seen } = await started()
    const { token } = await keys.create(input({ expiresAt: clock.now() + 60_000 }))
    const principal = ring.authenticate(token)
    const { changes } = seen
    await clock.advance(59_999)
    expect([ring.knows(principal), seen.changes]).toEqual([true, changes])
    await clock.advance(1)
    expect([ring.knows(principal), seen.changes]).toEqual([false, changes + 1])
  })
})

describe('the store of the keys', () => {
  test('is asked again and again while it is away; keys of the settings work meanwhile', async () => {
    const { keys, store, ring, clock, lines } = make()
    store.keys.set('k', keyRecord('k', 'token-k'))
    store.away = true
    await keys.start()
    expect(ring.authenticate('token-declared').keyId).toBe('declared')
    expect(() => ring.authenticate('token-k')).toThrow(code('storage.unavailable'))
    await clock.advance(120_000)
    expect(lines).toHaveLength(1)
    store.away = false
    await clock.advance(30_000)
    expect(ring.authenticate('token-k').keyId).toBe('k')
  })

  test('that goes away later takes no key with it', async () => {
    const { keys, store, ring } = make()
    store.keys.set('k', keyRecord('k', 'token-k'))
    await keys.start()
    store.away = true
    await keys.reload()
    expect(ring.authenticate('token-k').keyId).toBe('k')
    await expect(keys.create(input())).rejects.toEqual(code('storage.unavailable'))
    expect(ring.authenticate('token-k').keyId).toBe('k')
  })

  test('is read whole before a key that was just made counts as all there is', async () => {
    const { keys, store, ring } = make()
    store.keys.set('k', keyRecord('k', 'token-k'))
    const { token } = await keys.create(input())
    expect([ring.authenticate(token).username, ring.authenticate('token-k').keyId]).toEqual([undefined, 'k'])
  })

  test('tells of keys and users that other nodes have changed', async () => {
    const { keys, store, users, ring } = make()
    users.users.set('alice', userRecord('alice'))
    store.keys.set('k', keyRecord('k', 'token-k', { owner: 'alice' }))
    await keys.start()
    expect(ring.authenticate('token-k')).toMatchObject({ viewer: 'alice', username: 'alice' })
    users.users.set('alice', userRecord('alice', { status: 'disabled' }))
    await keys.reload()
    expect(() => ring.authenticate('token-k')).toThrow(UNAUTHENTICATED)
    store.keys.clear()
    users.users.clear()
    await keys.reload()
    expect(keys.list()).toHaveLength(1)
  })

  test('does not bring back a key that was revoked while it was read', async () => {
    const { keys, store, ring } = make()
    store.keys.set('k', keyRecord('k', 'token-k'))
    await keys.start()
    const reading = keys.reload()
    await keys.revoke('k')
    await reading
    expect(() => ring.authenticate('token-k')).toThrow(UNAUTHENTICATED)
  })

  test('is read once more for all who ask during a reading, and not once for each', async () => {
    const { keys, store } = await started()
    const asked = store.asked
    await Promise.all(Array.from({ length: 20 }, () => keys.reload()))
    expect(store.asked - asked).toBeLessThanOrEqual(2)
  })
})

describe('when a key was last used', () => {
  test('is written down every 30 s and at the end, and not with each request', async () => {
    const { keys, store, ring, clock, tasks } = await started()
    const { key, token } = await keys.create(input())
    ring.authenticate(token)
    const asked = store.asked
    await clock.advance(29_999)
    expect(store.asked).toBe(asked)
    expect(keys.find(key.id)?.lastUsedAt).toBe(clock.now() - 29_999)
    await clock.advance(1)
    expect(store.keys.get(key.id)?.lastUsedAt).toBe(clock.now() - 30_000)
    ring.authenticate(token)
    await keys.close()
    await keys.close()
    expect(store.keys.get(key.id)?.lastUsedAt).toBe(clock.now())
    await tasks.close()
    expect(clock.pending).toBe(0)
  })

  test('is not lost when the store is away for a while', async () => {
    const { keys, store, ring, clock } = await started()
    const { key, token } = await keys.create(input())
    const usedAt = clock.now()
    ring.authenticate(token)
    store.away = true
    await clock.advance(60_000)
    store.away = false
    await clock.advance(30_000)
    await settle()
    expect(store.keys.get(key.id)?.lastUsedAt).toBe(usedAt)
  })
})
