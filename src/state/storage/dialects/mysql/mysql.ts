import { Kysely, MysqlDialect, sql } from 'kysely'
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import type { Logger } from '../../../../kernel/logger.ts'
import type { ServerTarget } from '../../dsn.ts'
import type { Tables } from '../../schema.ts'
import { readTlsFiles } from '../../tls-files.ts'
import {
  type Capabilities,
  CONNECT_MS,
  type ColumnKinds,
  type OpenDeps,
  type OpenedDatabase,
  type OpenOptions,
} from '../dialect.ts'
import { TimedPool } from './timed-pool.ts'

/** MySQL and MariaDB. */
export async function openMysql(
  target: ServerTarget,
  options: OpenOptions,
  { clock, log }: OpenDeps,
): Promise<OpenedDatabase> {
  const pool = createPool({
    ...address(target),
    user: target.user,
    password: target.password,
    database: target.database,
    ...(await tlsOptions(target)),
    charset: 'utf8mb4_bin',
    connectionLimit: options.connections,
    connectTimeout: CONNECT_MS,
    idleTimeout: 60_000,
    // Sums and averages come as numbers, as they do from the other engines.
    decimalNumbers: true,
    multipleStatements: false,
  })
  // A new connection does this before it does anything else.
  pool.on('connection', (connection: PoolConnection) => prepare(connection, options.statementMs, log))
  const timed = new TimedPool(pool, clock, options.statementMs)
  const db = new Kysely<Tables>({ dialect: new MysqlDialect({ pool: timed }) })
  const can = await capabilities(db).catch(async (error: unknown) => {
    await endOf(db, pool)
    throw error
  })
  return { db, can, close: () => endOf(db, pool) }
}

async function endOf(db: Kysely<Tables>, pool: Pool): Promise<void> {
  await db.destroy()
  // Kysely ends the pool only when it was used; ending it again does nothing.
  await new Promise<void>((resolve) => pool.end(() => resolve()))
}

function address({ host, port }: ServerTarget): PoolOptions {
  return host.startsWith('/') ? { socketPath: host } : { host, port }
}

async function tlsOptions({ tls }: ServerTarget): Promise<PoolOptions> {
  if (!tls) return {}
  // Without being told, mysql2 takes any name.
  return { ssl: { ...(await readTlsFiles(tls)), verifyIdentity: tls.verify === 'name' } }
}

/**
 * Strict, so that what does not fit is refused and not cut; and with backslash escapes, which the client relies on when it puts
 * values into statements. The time limit has another name and unit in each of the two families: the one that is not known there is
 * refused, and that is all.
 */
function prepare(connection: PoolConnection, statementMs: number, log: Logger): void {
  connection.query(
    "set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    (error) => {
      if (!error) return
      log.warn({ err: error }, 'a connection to the database could not be prepared')
      connection.destroy()
    },
  )
  if (statementMs === 0) return
  const ignore = () => undefined
  connection.query(`set session max_statement_time = ${statementMs / 1_000}`, ignore)
  connection.query(`set session max_execution_time = ${statementMs}`, ignore)
}

/** The collations that compare bytes and see trailing spaces: MariaDB's, MySQL's, and the one that older servers have. */
const COLLATIONS = ['utf8mb4_nopad_bin', 'utf8mb4_0900_bin', 'utf8mb4_bin'] as const

async function capabilities(db: Kysely<Tables>): Promise<Capabilities> {
  const { rows } = await sql<{ readonly name: string }>`
    select collation_name as name from information_schema.collations
    where collation_name in (${sql.join(COLLATIONS)})`.execute(db)
  const collation = COLLATIONS.find((wanted) => rows.some(({ name }) => name === wanted)) ?? 'utf8mb4_bin'
  return { onConflict: false, maxParameters: 50_000, columns: columnsWith(collation), backupTo: undefined }
}

function columnsWith(collation: string): ColumnKinds {
  const tableSuffix = sql`engine = innodb default charset = utf8mb4 collate = ${sql.raw(collation)}`
  return {
    text: (width) => `varchar(${width})`,
    longText: sql`longtext`,
    integer: 'bigint',
    flag: 'boolean',
    identity: 'bigint',
    counting: (column) => column.primaryKey().autoIncrement(),
    tableSuffix,
    // InnoDB keeps all its tables so.
    sortedTableSuffix: tableSuffix,
    inlineIndexes: true,
  }
}
