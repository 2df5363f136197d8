import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { HubError } from '../../domain/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { ColumnKinds } from './dialects/dialect.ts'
import { failureOf } from './errors.ts'
import { MIGRATIONS } from './migrations/list.ts'
import { type SchemaMigration, SchemaWriter } from './migrations/migration.ts'
import type { Db } from './schema.ts'

const TABLE = 'flotilla_migrations'
const LOCK_TABLE = 'flotilla_migrations_lock'

/** Which migrations a database has had. Nothing is changed. */
export async function executedMigrations(db: Db): Promise<readonly string[]> {
  try {
    const { rows } = await sql<{
      readonly name: string
    }>`select name from ${sql.table(TABLE)} order by name`.execute(db)
    return rows.map(({ name }) => name)
  } catch (error) {
    if (failureOf(error) === 'no-table') return []
    throw error
  }
}

/**
 * Whether a database needs nothing: it has had all of ours. Those that we do not know are of a newer version, which only adds: we can
 * work beside it.
 * @throws HubError `storage.invalid` when it has some that we do not know and lacks some that we do
 */
export function isUpToDate(
  executed: readonly string[],
  log: Logger,
  migrations: readonly SchemaMigration[] = MIGRATIONS,
): boolean {
  const ours = new Set(migrations.map(({ name }) => name))
  const had = new Set(executed)
  const unknown = [...had.difference(ours)]
  const missing = [...ours.difference(had)]
  if (unknown.length === 0) return missing.length === 0
  if (missing.length > 0)
    throw new HubError(
      'storage.invalid',
      `The database has had the migrations ${unknown.join(', ')}, which this version does not know, but not ${missing.join(', ')}.`,
      { cure: 'It was made by something else than an earlier or later Flotilla: use another database.' },
    )
  log.warn({ migrations: unknown }, 'the database was made ready for a newer version of Flotilla')
  return true
}

/**
 * Brings a database to the newest schema. Many may try at once: one does it, under a lock, and the others wait for it.
 * @throws what the database throws, and HubError `storage.invalid`
 */
export async function migrate(
  db: Db,
  columns: ColumnKinds,
  log: Logger,
  migrations: readonly SchemaMigration[] = MIGRATIONS,
): Promise<void> {
  if (isUpToDate(await executedMigrations(db), log, migrations)) return
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () =>
        Object.fromEntries(
          migrations.map(({ name, up }): [string, Migration] => [
            name,
            { up: (trx: Kysely<unknown>) => up(new SchemaWriter(trx, columns)) },
          ]),
        ),
    },
    migrationTableName: TABLE,
    migrationLockTableName: LOCK_TABLE,
  })
  const { error, results = [] } = await migrator.migrateToLatest()
  for (const { migrationName, status } of results)
    if (status === 'Success') log.info({ migration: migrationName }, 'the database was migrated')
  if (error === undefined) return
  // Somebody newer may have been faster.
  if (isUpToDate(await executedMigrations(db), log, migrations)) return
  throw error
}
