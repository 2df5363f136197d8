import { describe, expect, test } from 'vitest'
import { FakeLoginStore, FakeUserStore, userRecord } from '../../tests/fakes/accounts.ts'
import { FakeClock } from '../../tests/harness/fake-clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { Passwords } from './passwords.ts'
import { Setup } from './setup.ts'
import { Users } from './users.ts'

const code = (value: string) => expect.objectContaining({ code: value })

function make(adminPassword?: string, store = new FakeUserStore()) {
  const users = new Users({
    store,
    logins: new FakeLoginStore(),
    passwords: new Passwords(systemRandom),
    clock: new FakeClock(),
    changed: async () => undefined,
  })
  return { store, users, setup: new Setup({ users, random: systemRandom, adminPassword }) }
}

async function begun() {
  const made = make()
  const outcome = await made.setup.begin()
  if (outcome.kind !== 'link') throw new Error(`There is no link but ${outcome.kind}.`)
  return { ...made, token: outcome.token }
}

describe('the first start', () => {
  test('gives a token for a link, another one each time, and no user', async () => {
    const one = await begun()
    const two = await begun()
    expect(one.token).toMatch(/^[\w-]{22}$/)
    expect(two.token).not.toBe(one.token)
    expect([one.store.users.size, one.setup.pending]).toEqual([0, true])
  })

  test('with ADMIN_PASSWORD makes the user admin', async () => {
    const { setup, users } = make('correct horse')
    expect(await setup.begin()).toEqual({ kind: 'preset' })
    expect(await users.verify('admin', 'correct horse')).toMatchObject({ role: 'admin' })
    expect(setup.pending).toBe(false)
  })

  test.each(['admin123', 'short', 'password1'])(
    'refuses %j as ADMIN_PASSWORD, and does not repeat it',
    async (weak) => {
      const { setup, store } = make(weak)
      await expect(setup.begin()).rejects.toThrow(
        expect.objectContaining({ code: 'settings.invalid', message: expect.not.stringContaining(weak) }),
      )
      expect(store.users.size).toBe(0)
    },
  )

  test('is over where there are users, ADMIN_PASSWORD or not', async () => {
    const store = new FakeUserStore()
    store.users.set('alice', userRecord('alice'))
    expect(await make('correct horse', store).setup.begin()).toEqual({ kind: 'done' })
    expect([...store.users.keys()]).toEqual(['alice'])
  })
})

describe('the setup link', () => {
  test('makes the first admin, once', async () => {
    const { setup, token, users } = await begun()
    expect(await setup.complete(token, 'alice', 'correct horse')).toMatchObject({
      username: 'alice',
      role: 'admin',
    })
    expect(await users.verify('alice', 'correct horse')).toBeDefined()
    await expect(setup.complete(token, 'mallory', 'correct horse')).rejects.toEqual(
      code('access.unauthenticated'),
    )
    expect(setup.pending).toBe(false)
  })

  test('makes one admin only when two try at the same moment', async () => {
    const { setup, token, store } = await begun()
    const tries = ['alice', 'bob', 'carol'].map((name) => setup.complete(token, name, 'correct horse'))
    const outcomes = await Promise.allSettled(tries)
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(store.users.size).toBe(1)
  })

  test.each(['', 'x', 'A'.repeat(22)])('is not %j', async (guess) => {
    const { setup, store } = await begun()
    await expect(setup.complete(guess, 'alice', 'correct horse')).rejects.toEqual(
      code('access.unauthenticated'),
    )
    expect(store.users.size).toBe(0)
  })

  test('stays good after a password that will not do, and after a store that was away', async () => {
    const { setup, token, store } = await begun()
    await expect(setup.complete(token, 'alice', 'short')).rejects.toEqual(code('request.invalid-params'))
    store.away = true
    await expect(setup.complete(token, 'alice', 'correct horse')).rejects.toEqual(code('storage.unavailable'))
    store.away = false
    expect(await setup.complete(token, 'alice', 'correct horse')).toMatchObject({ role: 'admin' })
  })

  test('is worth nothing once another node has made a user', async () => {
    const { setup, token, store } = await begun()
    store.users.set('root', userRecord('root', { role: 'admin' }))
    await expect(setup.complete(token, 'alice', 'correct horse')).rejects.toEqual(code('resource.exists'))
    expect([store.users.size, setup.pending]).toEqual([1, false])
  })
})
