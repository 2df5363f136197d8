import { chmod, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { Kysely, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import type { SqliteTarget } from '../../dsn.ts'
import type { Tables } from '../../schema.ts'
import type { Capabilities, ColumnKinds, OpenedDatabase, OpenOptions } from '../dialect.ts'
import { LockingSqliteAdapter, SqliteDriver } from './sqlite-driver.ts'
import { SqliteThread } from './sqlite-thread.ts'

/** How long a statement waits for another process. */
const BUSY_MS = 5_000

/** Opens a file, which is made if need be; nobody but the hub's user may read it. */
export async function openSqlite({ path }: SqliteTarget, options: OpenOptions): Promise<OpenedDatabase> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite gives its other two files, `-wal` and `-shm`, the mode of this one.
  const file = await open(path, 'a', 0o600)
  await file.close()
  // A file that somebody else owns is for them to guard.
  await chmod(path, 0o600).catch(() => undefined)
  const threadOptions = {
    path,
    synchronous: options.durability === 'everything' ? 'full' : 'normal',
    busyMs: BUSY_MS,
  } as const
  const thread = new SqliteThread(threadOptions)
  // A connection of its own, which is made when it is first needed: a long look at what is there does not hold it up.
  const bulkThread = new SqliteThread({ ...threadOptions, writesMuch: true })
  const db = new Kysely<Tables>({
    dialect: {
      createDriver: () => new SqliteDriver(thread),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createAdapter: () => new LockingSqliteAdapter(),
      createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    },
  })
  const close = async () => {
    await db.destroy()
    await bulkThread.close()
  }
  const bulkInsert: Capabilities['bulkInsert'] = (table, names, rows) => bulkThread.bulk(table, names, rows)
  return { db, can: { ...capabilities(path), bulkInsert }, close }
}

function capabilities(path: string): Capabilities {
  return {
    onConflict: true,
    // https://www.sqlite.org/limits.html, SQLITE_MAX_VARIABLE_NUMBER
    maxParameters: 32_766,
    columns,
    backupTo: (to) => copyDatabase(path, to),
  }
}

const columns: ColumnKinds = {
  // Widths are for people: SQLite does not look at them.
  text: (width) => `varchar(${width})`,
  longText: 'text',
  integer: 'integer',
  flag: 'boolean',
  identity: 'integer',
  counting: (column) => column.primaryKey().autoIncrement(),
  tableSuffix: undefined,
  sortedTableSuffix: sql`without rowid`,
  inlineIndexes: false,
}

/** All pages in one go: a copy in steps starts anew whenever somebody writes, and under load never ends. */
const ALL_PAGES = 2 ** 31 - 1

async function copyDatabase(from: string, to: string): Promise<void> {
  const file = await open(to, 'wx', 0o600)
  await file.close()
  const source = new DatabaseSync(from, { readOnly: true, timeout: BUSY_MS })
  try {
    await backup(source, to, { rate: ALL_PAGES })
  } finally {
    source.close()
  }
}
