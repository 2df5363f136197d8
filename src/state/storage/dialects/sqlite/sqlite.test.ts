import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStorage, refusal } from '../../../../../tests/storage-contract/engine.ts'
import { revision, usage, user } from '../../../../../tests/storage-contract/records.ts'
import { readTargets } from '../../dsn.ts'
import { failureOf } from '../../errors.ts'
import type { Storage } from '../../storage.ts'
import type { OpenedDatabase, OpenOptions } from '../dialect.ts'
import { openSqlite } from './sqlite.ts'
import { SqliteThread } from './sqlite-thread.ts'

let folder: string
let path: string
const open: { close(): Promise<void> }[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-sqlite-'))
  path = join(folder, 'data', 'flotilla.db')
})

afterEach(async () => {
  for (const database of open.splice(0)) await database.close()
  await rm(folder, { recursive: true, force: true })
})

async function raw(
  durability: OpenOptions['durability'] = 'everything',
  file = path,
): Promise<OpenedDatabase> {
  const opened = await openSqlite(
    { kind: 'sqlite', path: file },
    { connections: 1, statementMs: 0, durability },
  )
  open.push(opened)
  return opened
}

async function storage(environment = {}): Promise<Storage> {
  const opened = await openStorage(readTargets(environment, join(folder, 'data')))
  open.push(opened)
  return opened
}

async function pragma({ db }: OpenedDatabase, name: string): Promise<unknown> {
  const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(db)
  return Object.values(rows[0] ?? {})[0]
}

describe('a file of SQLite', () => {
  test('[R226] is made where nothing was configured, for nobody else to read', async () => {
    const { users } = await storage()
    await users.create(user('alice'))
    for (const file of [path, `${path}-wal`, `${path}-shm`])
      expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700)
  })

  test('has its commits on the disk before they are acknowledged; logs need not', async () => {
    const main = await raw()
    expect([await pragma(main, 'journal_mode'), await pragma(main, 'synchronous')]).toEqual(['wal', 2])
    expect(await pragma(main, 'foreign_keys')).toBe(1)
    expect(await pragma(await raw('power loss excepted'), 'synchronous')).toBe(1)
  })

  test('is worked on by a thread of its own: a slow statement does not stop this one', async () => {
    const { db } = await raw()
    let ticks = 0
    const ticking = setInterval(() => {
      ticks += 1
    }, 1)
    await sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000) select count(*) from n`.execute(
      db,
    )
    clearInterval(ticking)
    expect(ticks).toBeGreaterThan(5)
  })

  test('takes any number of different statements', async () => {
    const { db } = await raw()
    for (let round = 0; round < 2; round += 1)
      for (let n = 0; n < 150; n += 1) {
        const { rows } = await sql<{ n: number }>`select ${sql.lit(n)} as n`.execute(db)
        expect(rows).toEqual([{ n }])
      }
  })

  test('rolls back what was not finished', async () => {
    const { users, document } = await storage()
    await users.create(user('alice'))
    const clash = { mcpServers: { a: {} }, groups: [{ name: 'a' }] }
    await document.write(clash, revision(1))
    expect(await refusal(document.write({ x: 1 }, revision(1)))).toBe('settings.conflict')
    expect((await document.read())?.document).toEqual(clash)
  })
})

describe('a file that cannot be used', () => {
  test('is an error that can be retried, when the disk is full, and works when it has space again', async () => {
    const { db } = await raw()
    await sql`create table t (x text)`.execute(db)
    const pages = Number(await pragma({ db } as OpenedDatabase, 'page_count'))
    await sql`pragma max_page_count = ${sql.lit(pages)}`.execute(db)
    const fill = () => sql`insert into t values (${'x'.repeat(100_000)})`.execute(db)
    expect(failureOf(await fill().catch((error: unknown) => error))).toBe('full')
    await sql`pragma max_page_count = 10000`.execute(db)
    await fill()
  })

  test('is an error when it is no database, or a folder', async () => {
    const file = join(folder, 'other.db')
    await writeFile(file, 'This is no database. '.repeat(100))
    expect(await refusal(storage({ SQL_DSN: `sqlite:${file}` }))).toBe('storage.unavailable')
    expect(await readFile(file, 'utf8')).toContain('This is no database.')
    expect(await refusal(storage({ SQL_DSN: `sqlite:${folder}` }))).toBe('storage.unavailable')
  })

  test('is an error that names the reason, when it may not be written', async () => {
    const { users } = await storage()
    await users.create(user('alice'))
    const { db } = await raw()
    await sql`pragma query_only = 1`.execute(db)
    const error: unknown = await sql`delete from users`.execute(db).catch((thrown: unknown) => thrown)
    expect(failureOf(error)).toBe('read-only')
    await chmod(path, 0o600)
  })
})

describe('a thread that ends', () => {
  test('fails what it was asked, and is replaced', async () => {
    await raw()
    const thread = new SqliteThread({ path, synchronous: 'full', busyMs: 100 })
    open.push(thread)
    expect(await thread.query('select ? as n, ? as flag', [1, true])).toEqual({ rows: [{ n: 1, flag: 1 }] })
    const asked = thread.query(
      'with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select count(*) from n',
      [],
    )
    const refused = refusal(asked)
    await thread.stop()
    expect(await refused).toBe('storage.unavailable')
    expect(await thread.query('select 2 as n', [])).toEqual({ rows: [{ n: 2 }] })
  })
})

test('closing waits for what is being written', async () => {
  const { users, activity } = await storage()
  const [opened] = open.splice(0)
  const writing = [users.create(user('alice')), activity.appendUsage([usage('u1')])]
  await opened?.close()
  await Promise.all(writing)
  const again = await storage()
  expect(await again.users.list()).toHaveLength(1)
  expect((await again.activity.usage({}, { limit: 9 })).items).toHaveLength(1)
})

describe('a copy', () => {
  test('is whole, private, and made while others write', async () => {
    const { users, activity, backupTo, canBackUp } = await bound()
    for (let n = 0; n < 20; n += 1) await users.create(user(`u${n}`))
    let writing = true
    const writer = (async () => {
      for (let n = 0; writing; n += 1) await activity.appendUsage([usage(`x${n}`)])
    })()
    const copy = join(folder, 'copy', 'flotilla.db')
    expect(canBackUp).toBe(true)
    expect(await refusal(backupTo(copy))).toBe('storage.unavailable')
    await backupTo(join(folder, 'copy.db'))
    writing = false
    await writer
    expect((await stat(join(folder, 'copy.db'))).mode & 0o777).toBe(0o600)
    const restored = await storage({ SQL_DSN: `sqlite:${join(folder, 'copy.db')}` })
    expect(await restored.users.list()).toHaveLength(20)
    expect(await refusal(backupTo(join(folder, 'copy.db')))).toBe('resource.exists')
  })

  async function bound() {
    const opened = await storage()
    const { users, activity, canBackUp } = opened
    return { users, activity, canBackUp, backupTo: (to: string) => opened.backupTo(to) }
  }
})
