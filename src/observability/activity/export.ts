import type { AccessRecord, AuditRecord, Page, UsageRecord } from '../../domain/activity.ts'

/** Reads one page: the first without a cursor, each further one with what the page before gave. */
export type ReadPage<T> = (cursor: string | undefined) => Promise<Page<T>>

export const USAGE_COLUMNS = [
  'id',
  'timestamp',
  'username',
  'keyId',
  'server',
  'tool',
  'success',
  'durationMs',
  'error',
  'arguments',
  'ip',
  'userAgent',
  'sessionId',
  'node',
] as const satisfies readonly (keyof UsageRecord)[]

export const ACCESS_COLUMNS = [
  'id',
  'timestamp',
  'username',
  'keyId',
  'action',
  'resource',
  'method',
  'statusCode',
  'durationMs',
  'ip',
  'userAgent',
  'requestId',
  'node',
] as const satisfies readonly (keyof AccessRecord)[]

export const AUDIT_COLUMNS = [
  'id',
  'timestamp',
  'actor',
  'action',
  'target',
  'success',
  'details',
  'ip',
  'node',
] as const satisfies readonly (keyof AuditRecord)[]

/** Each record as a line of JSON, a page at a time. */
export async function* exportNdjson<T>(read: ReadPage<T>): AsyncGenerator<string> {
  for await (const records of pages(read))
    yield records.map((record) => `${JSON.stringify(record)}\n`).join('')
}

/**
 * RFC 4180 with a header line, a page at a time; times as RFC 3339 text in UTC. Cells that a spreadsheet would take for a formula begin
 * with a quote.
 */
export async function* exportCsv<T>(
  columns: readonly (keyof T & string)[],
  read: ReadPage<T>,
): AsyncGenerator<string> {
  yield csvLine(columns)
  for await (const records of pages(read))
    yield records
      .map((record) => csvLine(columns.map((column) => cellValue(column, record[column]))))
      .join('')
}

async function* pages<T>(read: ReadPage<T>): AsyncGenerator<readonly T[]> {
  let cursor: string | undefined
  do {
    const page = await read(cursor)
    if (page.items.length > 0) yield page.items
    cursor = page.nextCursor
  } while (cursor !== undefined)
}

function cellValue(column: string, value: unknown): unknown {
  return column === 'timestamp' && typeof value === 'number' ? new Date(value).toISOString() : value
}

function csvLine(cells: readonly unknown[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}

function csvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  // A number below zero is no formula.
  const text = typeof value === 'string' ? harmless(value) : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Spreadsheets run what begins with one of these; a tab or line break before it does not keep them from it. */
function harmless(text: string): string {
  return /^[\t\r\n ]*[=+\-@＝＋－＠]/.test(text) || /^[\t\r\n]/.test(text) ? `'${text}` : text
}
