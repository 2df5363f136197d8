import { HubError } from '../../domain/errors.ts'
import type { Capabilities, OpenDeps, OpenedDatabase, OpenOptions } from './dialects/dialect.ts'
import { openDatabase } from './dialects/open.ts'
import type { DatabaseTarget } from './dsn.ts'
import { failureOf, storageError } from './errors.ts'
import type { Db, Topic, Trx } from './schema.ts'

/** How often a transaction is tried that loses against others. */
const ATTEMPTS = 5

/** All work on a database passes here: errors become the hub's own, and writers of one topic stand in line. */
export class Database {
  readonly #opened: OpenedDatabase
  #closed: Promise<void> | undefined

  private constructor(opened: OpenedDatabase) {
    this.#opened = opened
  }

  /** @throws HubError `storage.unavailable` */
  static async open(target: DatabaseTarget, options: OpenOptions, deps: OpenDeps): Promise<Database> {
    try {
      return new Database(await openDatabase(target, options, deps))
    } catch (error) {
      throw storageError(error)
    }
  }

  get can(): Capabilities {
    return this.#opened.can
  }

  /** @throws HubError `storage.unavailable` */
  async read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await work(this.#opened.db)
    } catch (error) {
      throw storageError(error)
    }
  }

  /** Everything that `work` reads is of one moment. */
  snapshot<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    return this.read((db) =>
      db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(work),
    )
  }

  /** All or nothing. `work` runs again when it has lost against another transaction. */
  async transaction<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    return this.read(async (db) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await db.transaction().execute(work)
        } catch (error) {
          if (attempt === ATTEMPTS || failureOf(error) !== 'conflict') throw error
        }
      }
    })
  }

  /**
   * A transaction that changes what other nodes want to hear of. It begins by counting its topics up, which locks their rows: of two
   * that write to one topic, on whatever nodes, the second starts when the first has ended, and sees what that has left.
   */
  write<T>(topics: readonly Topic[], work: (trx: Trx) => Promise<T>): Promise<T> {
    return this.transaction(async (trx) => {
      // Always in the same order: else two could wait for each other.
      for (const topic of [...topics].sort()) await countUp(trx, topic)
      return work(trx)
    })
  }

  /** Waits for what is under way. Safe twice. */
  close(): Promise<void> {
    this.#closed ??= this.#opened.close()
    return this.#closed
  }
}

async function countUp(trx: Trx, topic: Topic): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('change_counters')
    .set((row) => ({ number: row('number', '+', 1) }))
    .where('topic', '=', topic)
    .executeTakeFirstOrThrow()
  if (numUpdatedRows === 0n)
    throw new HubError('storage.invalid', `The database has no counter for changes of ${topic}.`, {
      cure: 'Somebody has removed rows of the table "change_counters": put them back, or restore a backup.',
    })
}
