import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { HubError } from '../../domain/errors.ts'
import type { Database } from './database.ts'
import { type Tables, TOPICS, type Trx } from './schema.ts'

type TableName = keyof Tables

export type DumpedRow = Readonly<Record<string, string | number | boolean | null>>

interface DumpedTable {
  readonly name: TableName
  /** The unique column by which pages follow each other; for a log, by its time before that. */
  readonly key: string
  readonly sortedByTime?: true
  /** A number that the database counts up by itself: nobody refers to it, so it is given anew. */
  readonly counted?: true
}

/** Logins are left out: whoever restores a backup does not mean to let everybody in who was logged in then. */
const MAIN: readonly DumpedTable[] = [
  { name: 'users', key: 'id', counted: true },
  { name: 'mcp_servers', key: 'id', counted: true },
  { name: 'server_groups', key: 'id' },
  { name: 'api_keys', key: 'id' },
  { name: 'settings_sections', key: 'name' },
  { name: 'settings_document', key: 'id' },
  { name: 'settings_store', key: 'id' },
  { name: 'settings_revisions', key: 'number' },
]

const LOGS: readonly DumpedTable[] = [
  { name: 'mcp_usage_logs', key: 'id', sortedByTime: true },
  { name: 'access_logs', key: 'id', sortedByTime: true },
  { name: 'audit_log', key: 'id', sortedByTime: true },
]

const PARTS = { main: MAIN, logs: LOGS }
export type DumpPart = keyof typeof PARTS

/** What a row of a dump belongs to; undefined for a name that no dump has. */
export function partOf(table: string): DumpPart | undefined {
  for (const part of ['main', 'logs'] as const)
    if (PARTS[part].some(({ name }) => name === table)) return part
  return undefined
}

const PAGE = 500

/** Gives every row of one part to `take`, table by table, all of one moment, in a form that every engine can read. */
export function dumpTables(
  database: Database,
  part: DumpPart,
  take: (table: string, row: DumpedRow) => Promise<void>,
): Promise<void> {
  return database.snapshot(async (trx) => {
    for (const table of PARTS[part])
      for await (const row of rowsOf(trx, table)) await take(table.name, withoutCounter(table, row))
  })
}

async function* rowsOf(trx: Trx, table: DumpedTable): AsyncGenerator<DumpedRow> {
  const { name, key, sortedByTime } = table
  const order = (sortedByTime ? ['timestamp', key] : [key]).map((column) => sql.ref(column))
  for (let last: DumpedRow | undefined; ; ) {
    const { rows } = await sql<DumpedRow>`
      select * from ${sql.table(name)} where ${last ? isAfter(table, last) : sql`1 = 1`}
      order by ${sql.join(order)} limit ${sql.lit(PAGE)}`.execute(trx)
    yield* rows
    last = rows.at(-1)
    if (rows.length < PAGE) return
  }
}

function isAfter({ key, sortedByTime }: DumpedTable, last: DumpedRow): RawBuilder<SqlBool> {
  const isLater = sql<SqlBool>`${sql.ref(key)} > ${last[key]}`
  if (!sortedByTime) return isLater
  const time = sql.ref('timestamp')
  const then = last['timestamp']
  // Written so that an index on both columns is of use.
  return sql`${time} >= ${then} and (${time} > ${then} or ${isLater})`
}

function withoutCounter({ key, counted }: DumpedTable, row: DumpedRow): DumpedRow {
  if (!counted) return row
  const { [key]: _, ...rest } = row
  return rest
}

/** Columns that hold yes or no: engines give them back as booleans or as 0 and 1, and take only their own kind. */
const FLAGS: ReadonlySet<string> = new Set(['is_admin', 'enabled', 'success', 'dual_write'])

/**
 * Puts the rows of a dump in the place of all that is there, or nothing happens. Other nodes notice as with any change.
 * @param rows begins anew each time it is called: a transaction that loses against another one is run again
 * @throws HubError `storage.unavailable`, `storage.invalid` for rows that do not fit
 */
export function restoreTables(
  database: Database,
  part: DumpPart,
  rows: () => AsyncIterable<{ readonly table: string; readonly row: DumpedRow }>,
): Promise<void> {
  const topics = part === 'main' ? TOPICS : []
  return database.write(topics, async (trx) => {
    for (const { name } of PARTS[part]) await trx.deleteFrom(name).execute()
    if (part === 'main') await trx.deleteFrom('login_sessions').execute()
    let batch: DumpedRow[] = []
    let current: string | undefined
    const flush = async () => {
      if (current !== undefined && batch.length > 0) await insert(trx, current, batch)
      batch = []
    }
    for await (const { table, row } of rows()) {
      if (partOf(table) !== part) throw foreign(table)
      if (table !== current || batch.length === BATCH) await flush()
      current = table
      batch.push(row)
    }
    await flush()
  })
}

/** Far below every engine's limit of values in a statement, with the widest table. */
const BATCH = 100

async function insert(trx: Trx, table: string, rows: readonly DumpedRow[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {})
  const values = rows.map(
    (row) => sql`(${sql.join(columns.map((column) => columnValue(column, row[column])))})`,
  )
  await sql`insert into ${sql.table(table)} (${sql.join(columns.map((column) => sql.ref(column)))})
    values ${sql.join(values)}`.execute(trx)
}

function columnValue(column: string, value: DumpedRow[string] | undefined): unknown {
  if (value === null || value === undefined) return null
  return FLAGS.has(column) ? Boolean(value) : value
}

function foreign(table: string): HubError {
  return new HubError('storage.invalid', `The backup has rows of a table ${JSON.stringify(table)}.`, {
    cure: 'It was made by a newer version of Flotilla: restore it with that one.',
  })
}
