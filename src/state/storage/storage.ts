import { HubError } from '../../domain/errors.ts'
import { backoffDelay } from '../../kernel/backoff.ts'
import { type Clock, sleep, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { ChangeFeed } from './changes.ts'
import { Database } from './database.ts'
import type { OpenOptions } from './dialects/dialect.ts'
import { type DatabaseTarget, describeTarget, type StorageTargets } from './dsn.ts'
import { type DumpedRow, type DumpPart, dumpTables, restoreTables } from './dump.ts'
import { storageError } from './errors.ts'
import { executedMigrations, isUpToDate, migrate } from './migrate.ts'
import { Activity } from './repositories/activity.ts'
import { SettingsDocuments } from './repositories/document.ts'
import { Keys } from './repositories/keys.ts'
import { Logins } from './repositories/logins.ts'
import { Revisions } from './repositories/revisions.ts'
import { SettingsStoreChoice } from './repositories/store-choice.ts'
import { Users } from './repositories/users.ts'

export interface StorageDeps {
  readonly clock: Clock
  readonly log: Logger
  /** How long to wait for a database that is away when the hub starts. 0 or absent = not at all. */
  readonly waitMs?: number
}

export type StorageHealth =
  | { readonly reachable: true }
  | { readonly reachable: false; readonly error: HubError }

const STATEMENT_MS = 30_000

const MAIN: OpenOptions = { connections: 10, statementMs: STATEMENT_MS, durability: 'everything' }
/** Connections of their own: a long look into the logs must not keep anybody from logging in. */
const LOGS: OpenOptions = { connections: 4, statementMs: STATEMENT_MS, durability: 'power loss excepted' }
/** A large table may take its time. */
const MIGRATION: OpenOptions = { connections: 2, statementMs: 0, durability: 'everything' }

const HEALTH_MS = 5_000
const RETRY = { initialMs: 250, maxMs: 5_000, factor: 2, healthyAfterMs: 0 }

/** Everything that the hub keeps in databases. */
export class Storage {
  readonly users: Users
  readonly keys: Keys
  readonly logins: Logins
  readonly revisions: Revisions
  readonly document: SettingsDocuments
  readonly choice: SettingsStoreChoice
  readonly activity: Activity
  readonly changes: ChangeFeed
  readonly #main: Database
  readonly #logs: Database
  readonly #clock: Clock

  private constructor(main: Database, logs: Database, { clock, log }: StorageDeps) {
    this.#main = main
    this.#logs = logs
    this.#clock = clock
    this.users = new Users(main)
    this.keys = new Keys(main)
    this.logins = new Logins(main)
    this.revisions = new Revisions(main)
    this.document = new SettingsDocuments(main)
    this.choice = new SettingsStoreChoice(main)
    this.activity = new Activity(logs)
    this.changes = new ChangeFeed({ database: main, clock, log })
  }

  /**
   * Brings the databases to the newest schema and opens them.
   * @throws HubError `storage.unavailable`, `storage.invalid`
   */
  static async open(targets: StorageTargets, deps: StorageDeps): Promise<Storage> {
    const { main, logs } = targets
    const opened = await patiently(() => openMigrated(main, MAIN, deps), deps)
    const openLogs = () =>
      describeTarget(main) === describeTarget(logs)
        ? Database.open(logs, LOGS, deps)
        : openMigrated(logs, LOGS, deps)
    const storage = await patiently(openLogs, deps).then(
      (forLogs) => new Storage(opened, forLogs, deps),
      async (error: unknown) => {
        await opened.close()
        throw error
      },
    )
    try {
      await storage.changes.start()
      return storage
    } catch (error) {
      await storage.close()
      throw error
    }
  }

  /** Whether both databases answer. Takes five seconds at most. */
  async health(): Promise<StorageHealth> {
    const asked = Promise.all(
      [this.#main, this.#logs].map((database) =>
        database.read((db) => db.selectFrom('change_counters').select('topic').execute()),
      ),
    )
    try {
      await within(this.#clock, HEALTH_MS, asked, () => {
        throw new HubError('storage.unavailable', 'The database does not answer.', { retryAfter: 5 })
      })
      return { reachable: true }
    } catch (error) {
      return { reachable: false, error: storageError(error) as HubError }
    }
  }

  /** Whether the hub itself can copy the main database. */
  get canBackUp(): boolean {
    return this.#main.can.backupTo !== undefined
  }

  /**
   * Copies the main database into a new file, while it is in use.
   * @throws HubError `request.invalid` where the database has tools of its own for that
   */
  async backupTo(path: string): Promise<void> {
    const { backupTo } = this.#main.can
    if (!backupTo)
      throw new HubError('request.invalid', 'The hub can only copy a database of SQLite.', {
        cure: 'Use the tools of the database, such as pg_dump or mariadb-dump.',
      })
    await this.#main.read(() => backupTo(path))
  }

  /** Gives every row to `take`, in a form that every engine can read: see `dumpTables`. */
  async dump(take: (table: string, row: DumpedRow) => Promise<void>): Promise<void> {
    await dumpTables(this.#main, 'main', take)
    await dumpTables(this.#logs, 'logs', take)
  }

  /** Puts what `dump` gave in the place of what is there: see `restoreTables`. */
  restore(
    part: DumpPart,
    rows: () => AsyncIterable<{ readonly table: string; readonly row: DumpedRow }>,
  ): Promise<void> {
    return restoreTables(part === 'main' ? this.#main : this.#logs, part, rows)
  }

  /** Waits for what is under way. Safe twice. */
  async close(): Promise<void> {
    await this.changes.close()
    await Promise.all([this.#main.close(), this.#logs.close()])
  }
}

/** Opens a database that has the newest schema when this returns. */
async function openMigrated(
  target: DatabaseTarget,
  options: OpenOptions,
  deps: StorageDeps,
): Promise<Database> {
  const log = deps.log.child({ database: describeTarget(target) })
  const database = await Database.open(target, options, deps)
  try {
    const executed = await database.read(executedMigrations)
    if (!isUpToDate(executed, log)) await migrateApart(target, { ...deps, log })
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Migrates over connections that are closed again. */
async function migrateApart(target: DatabaseTarget, deps: StorageDeps): Promise<void> {
  const database = await Database.open(target, MIGRATION, deps)
  try {
    await database.read((db) => migrate(db, database.can.columns, deps.log))
  } finally {
    await database.close()
  }
}

/** Tries again while the database is away, as long as `waitMs` allows. */
async function patiently<T>(work: () => Promise<T>, { clock, log, waitMs = 0 }: StorageDeps): Promise<T> {
  const deadline = clock.monotonic() + waitMs
  for (let failures = 1; ; failures += 1) {
    try {
      return await work()
    } catch (error) {
      const pause = Math.min(backoffDelay(RETRY, failures, 1), deadline - clock.monotonic())
      const away = error instanceof HubError && error.code === 'storage.unavailable'
      if (!away || pause <= 0) throw error
      log.warn({ err: error, retryMs: pause }, 'waiting for the database')
      await sleep(clock, pause)
    }
  }
}
