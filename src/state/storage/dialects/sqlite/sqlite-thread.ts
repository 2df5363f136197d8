import { Worker } from 'node:worker_threads'
import { HubError } from '../../../../domain/errors.ts'
import {
  bindable,
  type SqliteBulk,
  type SqliteFailure,
  type SqliteRequest,
  type SqliteResponse,
  type SqliteResult,
  type WorkerOptions,
} from './protocol.ts'

interface Waiting {
  resolve(result: SqliteResult): void
  reject(error: unknown): void
}

/** One connection to a file, in a thread of its own. A thread that dies fails what it was asked; the next question starts another. */
export class SqliteThread {
  readonly #options: WorkerOptions
  readonly #waiting = new Map<number, Waiting>()
  /** Who wants to know when nothing is waiting any more. */
  readonly #idle = new Set<() => void>()
  #worker: Worker | undefined
  #lastId = 0

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  query(sql: string, parameters: readonly unknown[]): Promise<SqliteResult> {
    return this.#ask((id) => ({ id, sql, parameters: parameters.map(bindable) }))
  }

  /** Adds all rows or none, except those whose key is there already. The values are bound as `query` binds them, except that bytes cannot be. */
  async bulk(
    table: string,
    columns: readonly string[],
    rows: readonly (readonly unknown[])[],
  ): Promise<void> {
    const text = JSON.stringify(rows)
    await this.#ask((id) => ({ id, table, columns, rows: text }))
  }

  #ask(request: (id: number) => SqliteRequest | SqliteBulk): Promise<SqliteResult> {
    return new Promise((resolve, reject) => {
      const worker = this.#running()
      this.#lastId += 1
      this.#waiting.set(this.#lastId, { resolve, reject })
      // A thread keeps the process alive only while somebody waits for it.
      worker.ref()
      worker.postMessage(request(this.#lastId))
    })
  }

  /** Waits for what was asked, and ends. */
  async close(): Promise<void> {
    while (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#idle.add(resolve))
    await this.stop()
  }

  /** Ends at once; what was asked fails. */
  async stop(): Promise<void> {
    await this.#worker?.terminate()
  }

  #running(): Worker {
    if (this.#worker) return this.#worker
    // Run from source or from what the compiler made of it: the thread's file has the ending that this one has.
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
    const worker = new Worker(new URL(file, import.meta.url), {
      name: 'sqlite',
      workerData: this.#options,
      execArgv: [],
    })
    worker.on('message', (response: SqliteResponse) => this.#answer(response))
    worker.on('error', (error) => this.#lost(worker, error))
    worker.on('exit', () => this.#lost(worker, undefined))
    this.#worker = worker
    return worker
  }

  #answer(response: SqliteResponse): void {
    const waiting = this.#waiting.get(response.id)
    this.#waiting.delete(response.id)
    if ('result' in response) waiting?.resolve(response.result)
    else waiting?.reject(new SqliteError(response.failure))
    if (this.#waiting.size > 0) return
    this.#worker?.unref()
    this.#tellIdle()
  }

  #tellIdle(): void {
    for (const resolve of this.#idle) resolve()
    this.#idle.clear()
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    const error = new HubError('storage.unavailable', 'The thread that works on the database has ended.', {
      cause,
      retryAfter: 5,
      cure: 'Try again.',
    })
    for (const { reject } of waiting) reject(error)
    this.#tellIdle()
  }
}

/** What SQLite said no with. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError'
  readonly code: string
  readonly errcode: number | undefined

  constructor({ message, code, errcode }: SqliteFailure) {
    super(message)
    this.code = code
    this.errcode = errcode
  }
}
