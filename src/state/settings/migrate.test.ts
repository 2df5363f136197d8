import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeSettingsStores, storageAway } from '../../../tests/fakes/settings-stores.ts'
import { EVERYTHING } from '../../../tests/fixtures/settings/mcphub-document.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { systemClock } from '../../kernel/clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import { SecretBox } from '../secrets/secret-box.ts'
import { DatabaseHome } from './database-home.ts'
import { SettingsFileStore } from './file-store.ts'
import { type RecordImporter, SettingsMigration, type StoreInForce } from './migrate.ts'
import { SettingsChecker } from './settings-checker.ts'
import { SettingsInForce } from './settings-in-force.ts'
import { SettingsService } from './settings-service.ts'

const box = new SecretBox('a secret of the tests')
const drafting = { box, variables: {} }
let folder: string
let path: string
let stores: FakeSettingsStores
let chosen: StoreInForce | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-migrate-'))
  path = join(folder, 'mcp_settings.json')
  stores = new FakeSettingsStores()
  chosen = undefined
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Keeps the names that it has seen, as a table would. */
function importer(part: 'users' | 'bearerKeys', table = new Set<unknown>(), broken = false): RecordImporter {
  const records = (document: Record<string, unknown>) =>
    (document[part] ?? []) as { username?: string; id?: string }[]
  return {
    name: part,
    declared: (document) => records(document).length,
    import: async (document) => {
      for (const { username, id } of records(document)) if (!broken) table.add(username ?? id)
      return table.size
    },
  }
}

function setUp(importers: readonly RecordImporter[] = [importer('users'), importer('bearerKeys')]) {
  const { logger: log, lines } = recordingLogger()
  const checker = new SettingsChecker(drafting)
  const file = new SettingsFileStore(path, {
    clock: systemClock,
    log,
    check: (text) => void checker.interpret(text, path),
  })
  const { documents, revisions } = stores
  const choice = {
    get: () => Promise.resolve(chosen),
    set: async (next: StoreInForce) => {
      chosen = next
    },
  }
  const common = { ...drafting, clock: systemClock, log, revisions, checker }
  const migration = new SettingsMigration({ ...common, file, documents, choice, importers, engine: 'SQLite' })
  const home = new DatabaseHome({ documents, revisions, clock: systemClock, random: systemRandom })
  const inForce = new SettingsInForce({
    ...common,
    home,
    onChange: async ({ document }) => {
      if (chosen?.dualWrite) await migration.mirror(document)
    },
  })
  const service = new SettingsService({ ...common, home, inForce })
  return { migration, service, messages: () => lines.map(({ message }) => message) }
}

const toDatabase = (importers?: readonly RecordImporter[]) =>
  setUp(importers).migration.toDatabase({ dualWrite: false })

describe('[R224] migrating the settings of an MCPHub, with every key, to the database', () => {
  beforeEach(() => writeFile(path, JSON.stringify(EVERYTHING, undefined, 2)))

  test('[R225] says when it starts and when it is done, and what has arrived', async () => {
    const { migration, messages } = setUp()
    const report = await migration.toDatabase({ dualWrite: false })
    expect(messages()).toEqual([
      'Starting data migration from JSON to SQLite...',
      'Data migration completed successfully',
    ])
    expect(report).toMatchObject({
      revision: 1,
      servers: 3,
      groups: 1,
      imported: { users: 1, bearerKeys: 2 },
      backup: expect.stringContaining(`${path}.backup.`),
    })
    expect(await readFile(report.backup ?? '', 'utf8')).toBe(await readFile(path, 'utf8'))
    expect(chosen).toEqual({ store: 'database', dualWrite: false })
  })

  test('brings everything over, unknown keys too: the export says the same', async () => {
    await toDatabase()
    expect(JSON.parse(await setUp().service.export('open'))).toEqual(EVERYTHING)
    const kept = JSON.stringify(await stores.documents.read())
    for (const secret of ['token-of-first', 'legacy-key', '$2b$10$']) expect(kept).not.toContain(secret)
  })

  test('leaves the file the store when a record does not arrive', async () => {
    await expect(toDatabase([importer('users', new Set(), true)])).rejects.toMatchObject({
      code: 'storage.invalid',
      message: expect.stringContaining('0 of 1 users'),
    })
    expect(chosen).toBeUndefined()
  })

  test.each([
    ['a group less', { groups: [] }],
    ['another value somewhere', { userConfigs: { admin: { routing: { x: 1 } } } }],
  ])(
    'leaves the file the store when what is read back is not what was written: %s',
    async (_what, difference) => {
      const { read } = stores.documents
      const different = async () => {
        const stored = await read()
        return stored && { ...stored, document: { ...stored.document, ...difference } }
      }
      Object.assign(stores.documents, { read: different })
      await expect(toDatabase()).rejects.toMatchObject({ code: 'storage.invalid' })
      expect(chosen).toBeUndefined()
    },
  )

  test('ends right when it was killed after any of its steps and is run again', async () => {
    const tables = [new Set(), new Set()]
    const importers = [importer('users', tables[0]), importer('bearerKeys', tables[1])]
    for (const [object, method] of [
      [stores.documents, 'write'],
      [importers[0], 'import'],
      [importers[1], 'import'],
    ] as const) {
      const target = object as unknown as Record<string, (...parameters: unknown[]) => Promise<unknown>>
      const original = target[method]
      target[method] = async (...parameters) => {
        await original?.(...parameters)
        throw storageAway()
      }
      await expect(toDatabase(importers)).rejects.toMatchObject({ code: 'storage.unavailable' })
      expect(chosen).toBeUndefined()
      if (original) target[method] = original
    }
    const report = await toDatabase(importers)
    expect(report).toMatchObject({ revision: 1, imported: { users: 1, bearerKeys: 2 } })
    expect(stores.all).toHaveLength(1)
    expect(JSON.parse(await setUp().service.export('open'))).toEqual(EVERYTHING)
  })

  test('takes what was changed in the file between two runs', async () => {
    await expect(toDatabase([importer('users', new Set(), true)])).rejects.toThrow()
    await writeFile(path, JSON.stringify({ ...EVERYTHING, changed: 'since' }))
    expect((await toDatabase()).revision).toBe(2)
    expect(JSON.parse(await setUp().service.export('open'))).toEqual({ ...EVERYTHING, changed: 'since' })
  })

  test('is refused when the database is the store already: the file is old by then', async () => {
    await toDatabase()
    await expect(toDatabase()).rejects.toMatchObject({ code: 'resource.exists' })
  })

  test('[R227] may keep the file written beside the database', async () => {
    await setUp().migration.toDatabase({ dualWrite: true })
    expect(chosen).toEqual({ store: 'database', dualWrite: true })
    const change = [{ path: ['mcpServers', 'old', 'url'], value: 'http://new/sse' }]
    await setUp().service.change({ author: 'alice', reason: undefined, change })
    const { mcpServers, ...rest } = EVERYTHING
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      ...rest,
      mcpServers: { ...mcpServers, old: { type: 'sse', url: 'http://new/sse' } },
    })
  })

  test('[R227] goes on when the file beside the database cannot be written', async () => {
    await setUp().migration.toDatabase({ dualWrite: true })
    await chmod(path, 0o444)
    const { service, messages } = setUp()
    const change = [{ path: ['own'], value: 1 }]
    expect(await service.change({ author: 'alice', reason: undefined, change })).toMatchObject({
      applied: true,
    })
    expect(messages()).toContain('the copy of the settings in the file is out of date')
  })

  test('[R228] is undone by a rollback: the file has what the database had, and is the store again', async () => {
    await toDatabase()
    const change = [{ path: ['mcpServers', 'late'], value: { url: 'http://late', env: { K: 'canary' } } }]
    await setUp().service.change({ author: 'alice', reason: undefined, change })
    expect(await readFile(path, 'utf8')).not.toContain('http://late')
    expect(await setUp().migration.rollback()).toMatchObject({ revision: 2 })
    expect(chosen).toEqual({ store: 'file', dualWrite: false })
    const text = await readFile(path, 'utf8')
    expect(text).toContain('"token-of-first"')
    expect(text).toMatch(/"late": \{\s+"url": "http:\/\/late",\s+"env": \{\s+"K": "enc:v1:/)
    expect((await toDatabase()).revision).toBe(2)
  })
})

test('a file that the hub could not run with is not migrated', async () => {
  await writeFile(path, '{"mcpServers": {"a": {}}}')
  await expect(toDatabase()).rejects.toMatchObject({ code: 'settings.invalid' })
  await rm(path)
  await expect(toDatabase()).rejects.toMatchObject({ code: 'settings.unreadable' })
  expect(stores.all).toEqual([])
})

test('without settings in the database there is nothing to roll back', async () => {
  await expect(setUp().migration.rollback()).rejects.toMatchObject({ code: 'resource.missing' })
})
