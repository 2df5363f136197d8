import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import { readCursor } from './cursor.ts'

/** Which records are meant; every part that is given must hold. */
export interface Filter {
  /** From this moment on, ms since the epoch. */
  readonly from?: number | undefined
  /** Up to, not including, this moment. */
  readonly to?: number | undefined
  readonly username?: string | undefined
  readonly keyId?: string | undefined
  readonly server?: string | undefined
  readonly tool?: string | undefined
  readonly success?: boolean | undefined
  /** Only records of these servers; none at all when it is empty. */
  readonly servers?: readonly string[] | undefined
}

export interface PageRequest {
  readonly limit: number
  /** What an earlier page gave as `nextCursor`. */
  readonly cursor?: string
}

const EQUAL = [
  ['username', 'username'],
  ['keyId', 'key_id'],
  ['server', 'server_name'],
  ['tool', 'tool_name'],
  ['success', 'success'],
] as const

/**
 * The condition for `where`.
 * @throws HubError `request.invalid-params` for a cursor that the hub did not give
 */
export function condition(filter: Filter, cursor?: string): Expression<SqlBool> {
  const parts: RawBuilder<SqlBool>[] = [sql`1 = 1`]
  const time = sql.ref('timestamp')
  if (filter.from !== undefined) parts.push(sql`${time} >= ${filter.from}`)
  if (filter.to !== undefined) parts.push(sql`${time} < ${filter.to}`)
  for (const [property, column] of EQUAL) {
    const value = filter[property]
    if (value !== undefined) parts.push(sql`${sql.ref(column)} = ${value}`)
  }
  if (filter.servers?.length === 0) parts.push(sql`1 = 0`)
  else if (filter.servers) parts.push(sql`${sql.ref('server_name')} in (${sql.join(filter.servers)})`)
  if (cursor !== undefined) {
    const after = readCursor(cursor)
    // Written so that an index on both columns is of use.
    parts.push(sql`${time} <= ${after.timestamp}`)
    parts.push(sql`(${time} < ${after.timestamp} or ${sql.ref('id')} < ${after.id})`)
  }
  return sql<SqlBool>`${sql.join(parts, sql` and `)}`
}
