import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/wait.ts'
import { openStorage, refusal, type World } from './engine.ts'
import { AWKWARD, key, login, revision, T, user } from './records.ts'

const DOCUMENT = {
  users: [{ username: 'admin', password: '$2b$10$x', isAdmin: true }],
  mcpServers: {
    zeta: {
      command: 'npx',
      args: ['-y', 'x'],
      env: { KEY: 'enc:v1:k:abc' },
      owner: 'alice',
      visibility: 'group',
    },
    alpha: { type: 'sse', url: 'https://e.example/sse', enabled: false, headers: {} },
    '日本 😀': { url: `https://e.example/${'x'.repeat(2_000)}`, unknown: { deep: [1, null, 'é'] } },
  },
  groups: [
    { id: 'g-2', name: 'second', servers: ['zeta'] },
    { name: 'first', servers: [{ name: 'alpha', tools: 'all' }], visibility: 'public', owner: 'alice' },
  ],
  systemConfig: { routing: { enableBearerAuth: true } },
  nothing: null,
  'a.key/with "odd" text': AWKWARD,
}

export function settingsContract(world: () => World): void {
  describe('the settings document', () => {
    test('is not there in a database that never had one', async () => {
      expect(await world().storage.document.read()).toBeUndefined()
      expect(await world().storage.document.currentRevision()).toBeUndefined()
    })

    test('[R179] comes back on every hub as it was written, keys and servers in their order', async () => {
      await world().storage.document.write(DOCUMENT, revision(1))
      const read = await world().other.document.read()
      expect(read).toEqual({ revision: 1, document: DOCUMENT })
      expect(JSON.stringify(read?.document)).toBe(JSON.stringify(DOCUMENT))
      expect(await world().other.document.currentRevision()).toBe(1)
      expect(await world().other.revisions.latest()).toEqual(revision(1))
    })

    test('[R221] shows its servers in columns, for those who look with SQL', async () => {
      const { storage, raw } = world()
      await storage.document.write(DOCUMENT, revision(1))
      const rows = await raw.db.selectFrom('mcp_servers').selectAll().orderBy('position').execute()
      expect(rows.map((row) => ({ ...row, enabled: Boolean(row.enabled) }))).toMatchObject([
        {
          name: 'zeta',
          type: 'stdio',
          command: 'npx',
          args: '["-y","x"]',
          url: null,
          enabled: true,
          owner: 'alice',
        },
        {
          name: 'alpha',
          type: 'sse',
          command: null,
          args: null,
          url: 'https://e.example/sse',
          enabled: false,
        },
        { name: '日本 😀', created_at: T + 1, updated_at: T + 1 },
      ])
    })

    test('keeps the times of servers that a change leaves alone', async () => {
      const { storage, raw } = world()
      await storage.document.write({ mcpServers: { a: { command: 'a' }, b: { command: 'b' } } }, revision(1))
      await storage.document.write(
        { mcpServers: { c: { command: 'c' }, b: { command: 'new' }, a: { command: 'a' } } },
        revision(2),
      )
      const rows = await raw.db
        .selectFrom('mcp_servers')
        .select(['name', 'created_at', 'updated_at'])
        .orderBy('position')
        .execute()
      expect(rows).toEqual([
        { name: 'c', created_at: T + 2, updated_at: T + 2 },
        { name: 'b', created_at: T + 1, updated_at: T + 2 },
        { name: 'a', created_at: T + 1, updated_at: T + 1 },
      ])
    })

    test('may be empty, and may hold what is no server list and no group list', async () => {
      const { document } = world().storage
      let number = 0
      for (const odd of [
        {},
        { mcpServers: {}, groups: [] },
        { mcpServers: ['x'], groups: { a: 1 } },
        { groups: null },
      ]) {
        number += 1
        await document.write(odd, revision(number))
        expect(await document.read()).toEqual({ revision: number, document: odd })
      }
    })

    test('of two megabytes is no matter', async () => {
      const big = { mcpServers: { big: { command: 'x', note: '😀'.repeat(500_000) } } }
      await world().storage.document.write(big, revision(1, { document: JSON.stringify(big) }))
      expect((await world().storage.document.read())?.document).toEqual(big)
      expect((await world().storage.revisions.get(1))?.document).toBe(JSON.stringify(big))
    })

    test('is all old or all new: a change that fails leaves nothing behind', async () => {
      const { document, revisions } = world().storage
      await document.write({ a: 1 }, revision(1))
      const twins = { groups: [{ name: 'g' }, { name: 'g', id: 'x' }] }
      expect(await refusal(document.write(twins, revision(2)))).toBe('settings.invalid')
      const long = { mcpServers: { ['n'.repeat(101)]: {} } }
      expect(await refusal(document.write(long, revision(2)))).toBe('request.invalid-params')
      expect(await refusal(document.write({ b: 1 }, revision(3)))).toBe('settings.conflict')
      expect(await document.read()).toEqual({ revision: 1, document: { a: 1 } })
      expect((await revisions.latest())?.number).toBe(1)
    })

    test('is never a mixture, while somebody writes', async () => {
      const { storage, other } = world()
      const version = (n: number) => ({
        mcpServers: { s: { n } },
        groups: [{ name: 'g', n }],
        systemConfig: { n },
      })
      await storage.document.write(version(1), revision(1))
      let done = false
      const writing = (async () => {
        for (let n = 2; n <= 25; n += 1) await storage.document.write(version(n), revision(n))
        done = true
      })()
      while (!done) {
        const read = await other.document.read()
        expect(read?.document).toEqual(version(read?.revision ?? 0))
      }
      await writing
    })

    test('takes one of two changes that two hubs make at once, and says so to the other', async () => {
      const { storage, other } = world()
      await storage.document.write({ n: 0 }, revision(1))
      for (let number = 2; number <= 6; number += 1) {
        const results = await Promise.all([
          refusal(storage.document.write({ by: 'one', number }, revision(number))),
          refusal(other.document.write({ by: 'two', number }, revision(number))),
        ])
        expect(results.sort()).toEqual(['none', 'settings.conflict'])
      }
      const revisions = await storage.revisions.list({ limit: 100 })
      expect(revisions.map(({ number }) => number)).toEqual([6, 5, 4, 3, 2, 1])
    })
  })

  describe('revisions', () => {
    const full = revision(1, {
      reason: AWKWARD.join(),
      changes: [{ path: '/mcpServers/a~1b', kind: 'changed', before: '***', after: { x: [1] } }],
      document: JSON.stringify(DOCUMENT),
    })

    test('come back as they were written; lists leave the documents out', async () => {
      const { revisions } = world().storage
      expect([await revisions.latest(), await revisions.get(1), await revisions.list({ limit: 9 })]).toEqual([
        undefined,
        undefined,
        [],
      ])
      await revisions.append(full)
      await revisions.append(revision(2))
      await revisions.append(revision(3))
      const { document: _, ...summary } = full
      expect(await revisions.get(1)).toEqual(full)
      expect(await revisions.latest()).toEqual(revision(3))
      expect((await revisions.list({ limit: 2 })).map(({ number }) => number)).toEqual([3, 2])
      expect(await revisions.list({ limit: 5, before: 2 })).toEqual([summary])
    })

    test('have no gaps and no twins, whoever appends', async () => {
      const { storage, other } = world()
      expect(await refusal(storage.revisions.append(revision(2)))).toBe('settings.conflict')
      await storage.revisions.append(revision(1))
      expect(await refusal(storage.revisions.append(revision(1)))).toBe('settings.conflict')
      expect(await refusal(storage.revisions.append(revision(3)))).toBe('settings.conflict')
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          refusal((n % 2 ? storage : other).revisions.append(revision(2, { author: `a${n}` }))),
        ),
      )
      expect(results.filter((result) => result === 'none')).toHaveLength(1)
      expect(results.filter((result) => result === 'settings.conflict')).toHaveLength(9)
    })

    test('may be sealed anew, and stay what they are', async () => {
      const { revisions } = world().storage
      await revisions.append(full)
      await revisions.append(revision(2))
      await revisions.replaceDocuments(
        new Map([
          [1, '"new"'],
          [9, '"none"'],
        ]),
      )
      expect(await revisions.get(1)).toEqual({ ...full, document: '"new"' })
      expect(await revisions.get(2)).toEqual(revision(2))
      expect(await revisions.list({ limit: 9 })).toHaveLength(2)
    })
  })

  describe('changes', () => {
    test('[R179] are told to the other hubs, by topic, and nothing else is', async () => {
      const { storage, targets } = world()
      await storage.users.create(user('alice'))
      await storage.keys.create(key('k'))
      // What was written before a hub began is not told to it, so that nothing of this and of other tests can come late.
      const other = await openStorage(targets)
      onTestFinished(() => other.close())
      const heard: string[] = []
      for (const topic of ['users', 'keys', 'settings'] as const)
        other.changes.on(topic, () => void heard.push(topic))
      await storage.keys.touch(new Map([['k', T]]))
      await storage.logins.create(login('t'))
      await storage.revisions.append(revision(1))
      await until('the settings were told', () => heard.includes('settings'))
      expect(heard).toEqual(['settings'])
      await storage.users.update('alice', { fullName: 'x' })
      await until('the user was told', () => heard.length === 2)
      await storage.users.remove('alice')
      await until('users and keys were told', () => heard.length === 4)
      expect([heard[1], ...heard.slice(2).sort()]).toEqual(['users', 'keys', 'users'])
    })
  })
}
