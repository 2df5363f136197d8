import { setPriority } from 'node:os'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import {
  bindable,
  type SqliteBulk,
  type SqliteFailure,
  type SqliteRequest,
  type SqliteResponse,
  type SqliteResult,
  type SqliteValue,
  type WorkerOptions,
} from './protocol.ts'

/**
 * A thread with one connection. SQLite waits for disks and locks with its whole thread: here that stops nobody else. The file is
 * opened by the first statement, so that a failure is that statement's answer.
 */
class Connection {
  readonly #options: WorkerOptions
  readonly #statements = new Map<string, StatementSync>()
  #database: DatabaseSync | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  run({ sql, parameters }: SqliteRequest): SqliteResult {
    const statement = this.#prepare(sql)
    // Only what gives rows has columns: this covers SELECT, RETURNING and PRAGMA alike.
    if (statement.columns().length > 0) return { rows: statement.all(...parameters) }
    return statement.run(...parameters)
  }

  /** All of them in one transaction. */
  runBulks(bulks: readonly SqliteBulk[]): void {
    const database = this.#open()
    database.exec('begin immediate')
    try {
      for (const bulk of bulks) this.#insert(bulk)
      database.exec('commit')
    } catch (error) {
      // A full disk has ended the transaction already.
      if (database.isTransaction) database.exec('rollback')
      throw error
    }
  }

  #insert({ table, columns, rows }: SqliteBulk): void {
    const all: unknown[][] = JSON.parse(rows)
    let start = 0
    for (const size of [ROWS_AT_ONCE, 1]) {
      const statement = this.#prepare(insertSql(table, columns, size))
      for (; start + size <= all.length; start += size) statement.run(...bindables(all, start, start + size))
    }
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    // Put in again, it is the last to be forgotten.
    if (known) this.#statements.delete(sql)
    const statement = known ?? this.#open().prepare(sql)
    this.#statements.set(sql, statement)
    const [oldest] = this.#statements.keys()
    if (this.#statements.size > STATEMENTS_KEPT && oldest !== undefined) this.#statements.delete(oldest)
    return statement
  }

  #open(): DatabaseSync {
    if (this.#database) return this.#database
    const { path, synchronous, busyMs, writesMuch } = this.#options
    const database = new DatabaseSync(path, { timeout: busyMs, enableForeignKeyConstraints: true })
    try {
      database.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}`)
      if (writesMuch) database.exec(FOR_MANY_ROWS)
      if (writesMuch) giveWay()
    } catch (error) {
      database.close()
      throw error
    }
    this.#database = database
    return database
  }
}

/** 32 MiB of pages in memory, and a checkpoint each 16 MiB: measured, half the time of the defaults with four indexes. */
const FOR_MANY_ROWS = 'pragma cache_size = -32768; pragma wal_autocheckpoint = 4000'
const STATEMENTS_KEPT = 100
/** Measured: a fifth less time than one row for each statement; more rows gain nothing. */
const ROWS_AT_ONCE = 20

/** The values of the rows from `start` up to, not including, `end`. */
function bindables(rows: readonly (readonly unknown[])[], start: number, end: number): SqliteValue[] {
  const values: SqliteValue[] = []
  for (let at = start; at < end; at++) for (const value of rows[at] ?? []) values.push(bindable(value))
  return values
}

function insertSql(table: string, columns: readonly string[], rows: number): string {
  const row = `(${columns.map(() => '?').join(', ')})`
  const values = Array.from({ length: rows }, () => row).join(', ')
  return `insert into ${table} (${columns.join(', ')}) values ${values} on conflict do nothing`
}

/**
 * Lets others have the processor first: nobody waits for many rows, and calls must not. Enough is left to it on a busy machine to
 * write them in time.
 */
function giveWay(): void {
  // Only there has each thread a priority of its own (setpriority(2) of Linux, "BUGS").
  if (process.platform !== 'linux') return
  try {
    setPriority(NICE)
  } catch {
    // Some sandboxes forbid it: then it writes as everybody else works.
  }
}

const NICE = 10

function describe(error: unknown): SqliteFailure {
  const { message, code, errcode } = error as { message?: unknown; code?: unknown; errcode?: unknown }
  return {
    message: String(message ?? error),
    code: String(code),
    errcode: typeof errcode === 'number' ? errcode : undefined,
  }
}

const connection = new Connection(workerData as WorkerOptions)

const waiting: SqliteBulk[] = []

/** What has come meanwhile goes into one transaction; if that fails, each into one of its own: only the culprit fails again. */
function writeWaiting(): void {
  const bulks = waiting.splice(0)
  try {
    connection.runBulks(bulks)
    for (const { id } of bulks) answer(id, () => NOTHING)
  } catch {
    // Each is tried again, and says itself what is wrong.
    for (const bulk of bulks)
      answer(bulk.id, () => {
        connection.runBulks([bulk])
        return NOTHING
      })
  }
}

const NOTHING: SqliteResult = { rows: [] }

function answer(id: number, work: () => SqliteResult): void {
  let response: SqliteResponse
  try {
    response = { id, result: work() }
  } catch (error) {
    response = { id, failure: describe(error) }
  }
  parentPort?.postMessage(response)
}

parentPort?.on('message', (request: SqliteRequest | SqliteBulk) => {
  if ('parameters' in request) return answer(request.id, () => connection.run(request))
  waiting.push(request)
  if (waiting.length === 1) setImmediate(writeWaiting)
})
