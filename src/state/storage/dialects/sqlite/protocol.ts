/** What SQLite takes and gives. */
export type SqliteValue = string | number | bigint | Uint8Array | null

/** SQLite knows no booleans and no `undefined`. */
export function bindable(value: unknown): SqliteValue {
  if (typeof value === 'boolean') return value ? 1 : 0
  return (value ?? null) as SqliteValue
}

export interface WorkerOptions {
  readonly path: string
  readonly synchronous: 'full' | 'normal'
  readonly busyMs: number
  /** It writes thousands of rows a second: it may have more memory, and copies them to their place less often. */
  readonly writesMuch?: boolean
}

export interface SqliteRequest {
  readonly id: number
  readonly sql: string
  readonly parameters: readonly SqliteValue[]
}

/**
 * Many rows for one table; those whose key is there already are left out. What waits together is written in one transaction, of which each
 * request is there whole or not at all.
 */
export interface SqliteBulk {
  readonly id: number
  readonly table: string
  readonly columns: readonly string[]
  /** JSON text of an array of rows, each an array of values: far cheaper to hand over than the rows themselves. */
  readonly rows: string
}

export type SqliteResult =
  | { readonly rows: readonly Record<string, unknown>[] }
  | { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint }

/** What is left of an error that crosses from one thread to another. */
export interface SqliteFailure {
  readonly message: string
  readonly code: string
  /** SQLite's extended result code. */
  readonly errcode: number | undefined
}

export type SqliteResponse =
  | { readonly id: number; readonly result: SqliteResult }
  | { readonly id: number; readonly failure: SqliteFailure }
