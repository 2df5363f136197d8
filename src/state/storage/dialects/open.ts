import type { DatabaseTarget } from '../dsn.ts'
import type { OpenDeps, OpenedDatabase, OpenOptions } from './dialect.ts'

/** The only place that knows which engines there are. What an engine needs is loaded when it is wanted: 11 MB for the two that are not. */
export async function openDatabase(
  target: DatabaseTarget,
  options: OpenOptions,
  deps: OpenDeps,
): Promise<OpenedDatabase> {
  switch (target.kind) {
    case 'sqlite': {
      const { openSqlite } = await import('./sqlite/sqlite.ts')
      return openSqlite(target, options)
    }
    case 'postgres': {
      const { openPostgres } = await import('./postgres/postgres.ts')
      return openPostgres(target, options, deps.log)
    }
    case 'mysql': {
      const { openMysql } = await import('./mysql/mysql.ts')
      return openMysql(target, options, deps)
    }
    default:
      return target satisfies never
  }
}
