import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  type TransactionSettings,
} from 'kysely'
import { HubError } from '../../../../domain/errors.ts'
import { Semaphore } from '../../../../kernel/semaphore.ts'
import type { SqliteThread } from './sqlite-thread.ts'

/** One connection, which everybody has in turn. */
export class SqliteDriver implements Driver {
  readonly #thread: SqliteThread
  readonly #turn = new Semaphore(1)
  #release: (() => void) | undefined

  constructor(thread: SqliteThread) {
    this.#thread = thread
  }

  async init(): Promise<void> {
    // The file is opened by the first statement.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    this.#release = await this.#turn.acquire()
    return new SqliteConnection(this.#thread)
  }

  async releaseConnection(): Promise<void> {
    this.#release?.()
  }

  /**
   * Who will write takes the lock at once, and waits for it: a transaction that has read first and then wants to write is refused
   * when another process has written in between (https://www.sqlite.org/lang_transaction.html).
   */
  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    await run(connection, settings.accessMode === 'read only' ? 'begin' : 'begin immediate')
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await run(connection, 'commit')
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await run(connection, 'rollback')
  }

  async destroy(): Promise<void> {
    const release = await this.#turn.acquire()
    await this.#thread.close()
    release()
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #thread: SqliteThread

  constructor(thread: SqliteThread) {
    this.#thread = thread
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const result = await this.#thread.query(sql, parameters)
    if ('rows' in result) return { rows: result.rows as R[] }
    return { rows: [], numAffectedRows: BigInt(result.changes), insertId: BigInt(result.lastInsertRowid) }
  }

  // biome-ignore lint/correctness/useYield: the interface asks for it; nobody here reads in streams.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new HubError('internal', 'Rows of SQLite are not streamed.')
  }
}

/** With it migrations run in a transaction, and so under SQLite's own lock; Kysely's adapter has them run without any. */
export class LockingSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

function run(connection: DatabaseConnection, sql: string): Promise<QueryResult<unknown>> {
  return connection.executeQuery(CompiledQuery.raw(sql))
}
