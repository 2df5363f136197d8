import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import type { Logger } from '../../../../kernel/logger.ts'
import type { ServerTarget } from '../../dsn.ts'
import type { Tables } from '../../schema.ts'
import { readTlsFiles } from '../../tls-files.ts'
import {
  type Capabilities,
  CONNECT_MS,
  type ColumnKinds,
  type OpenedDatabase,
  type OpenOptions,
} from '../dialect.ts'
import { DiscardingPool } from './discarding-pool.ts'

/** How much later the client gives up on a statement than the server should have: then the server is out of reach. */
const GRACE_MS = 5_000

export async function openPostgres(
  target: ServerTarget,
  options: OpenOptions,
  log: Logger,
): Promise<OpenedDatabase> {
  const limits =
    options.statementMs === 0
      ? {}
      : { statement_timeout: options.statementMs, query_timeout: options.statementMs + GRACE_MS }
  const pool = new pg.Pool({
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    // Both are said in any case: else pg would ask PGSSLMODE and PGSSLNEGOTIATION.
    ssl: await tlsOptions(target),
    sslnegotiation: 'postgres',
    application_name: 'flotilla',
    max: options.connections,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 60_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
    allowExitOnIdle: true,
    types: { getTypeParser },
    ...limits,
  })
  const lost = (err: Error) => log.debug({ err }, 'a connection to the database was lost')
  // It is out of the pool already; the next query makes another.
  pool.on('error', lost)
  // While it is in use, between two statements, nobody else listens.
  pool.on('connect', (client) => client.on('error', lost))
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: new DiscardingPool(pool) }) })
  return { db, can: capabilities, close: () => endOf(db, pool) }
}

/** Kysely ends the pool only when it was used. */
async function endOf(db: Kysely<Tables>, pool: pg.Pool): Promise<void> {
  await db.destroy()
  if (!pool.ending) await pool.end()
}

async function tlsOptions({ tls }: ServerTarget): Promise<pg.PoolConfig['ssl']> {
  if (!tls) return false
  const anyName = tls.verify === 'chain' ? { checkServerIdentity: () => undefined } : {}
  return { ...(await readTlsFiles(tls)), ...anyName }
}

/** `int8` and `numeric`: what the hub keeps in them are times, counts and sums, all below 2^53. */
const NUMBERS = new Set<number>([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return NUMBERS.has(oid) ? Number : pg.types.getTypeParser(oid, format as 'text')
}

const columns: ColumnKinds = {
  text: (width) => sql`varchar(${sql.lit(width)}) collate "C"`,
  longText: 'text',
  integer: 'bigint',
  flag: 'boolean',
  identity: 'bigint',
  counting: (column) => column.primaryKey().generatedByDefaultAsIdentity(),
  tableSuffix: undefined,
  sortedTableSuffix: undefined,
  inlineIndexes: false,
}

const capabilities: Capabilities = {
  onConflict: true,
  // The protocol counts them with 16 bits.
  maxParameters: 65_535,
  columns,
  backupTo: undefined,
}
