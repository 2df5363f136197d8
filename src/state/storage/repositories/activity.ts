import type { Insertable } from 'kysely'
import type { AccessRecord, AuditRecord, Page, UsageRecord } from '../../../domain/activity.ts'
import type { Database } from '../database.ts'
import type { Tables } from '../schema.ts'
import { condition, type Filter, type PageRequest } from './activity-filter.ts'
import { accessRecord, accessRow, auditRecord, auditRow, usageRecord, usageRow } from './activity-rows.ts'
import { cursorOf, type Position } from './cursor.ts'
import { type Aggregate, aggregateUsage, type Dimension } from './usage-aggregate.ts'

const TABLES = { usage: 'mcp_usage_logs', access: 'access_logs', audit: 'audit_log' } as const

type LogTable = (typeof TABLES)[keyof typeof TABLES]

/** More rows in one statement make it no faster. */
const ROWS_AT_ONCE = 500

/** Calls of tools, requests to the management API and changes, in the database. */
export class Activity {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Writes all or none; records whose id is there already are left as they are. */
  appendUsage(records: readonly UsageRecord[]): Promise<void> {
    return this.#append('mcp_usage_logs', records.map(usageRow))
  }

  appendAccess(records: readonly AccessRecord[]): Promise<void> {
    return this.#append('access_logs', records.map(accessRow))
  }

  appendAudit(records: readonly AuditRecord[]): Promise<void> {
    return this.#append('audit_log', records.map(auditRow))
  }

  /** Newest first. @throws HubError `request.invalid-params` for a cursor that the hub did not give */
  async usage(filter: Filter, page: PageRequest): Promise<Page<UsageRecord>> {
    const rows = await this.#database.read((db) =>
      db
        .selectFrom('mcp_usage_logs')
        .selectAll()
        .where(condition(filter, page.cursor))
        .orderBy('timestamp', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1)
        .execute(),
    )
    return pageOf(rows.map(usageRecord), page.limit)
  }

  async access(
    filter: Pick<Filter, 'from' | 'to' | 'username'>,
    page: PageRequest,
  ): Promise<Page<AccessRecord>> {
    const rows = await this.#database.read((db) =>
      db
        .selectFrom('access_logs')
        .selectAll()
        .where(condition(filter, page.cursor))
        .orderBy('timestamp', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1)
        .execute(),
    )
    return pageOf(rows.map(accessRecord), page.limit)
  }

  async audit(filter: Pick<Filter, 'from' | 'to'>, page: PageRequest): Promise<Page<AuditRecord>> {
    const rows = await this.#database.read((db) =>
      db
        .selectFrom('audit_log')
        .selectAll()
        .where(condition(filter, page.cursor))
        .orderBy('timestamp', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1)
        .execute(),
    )
    return pageOf(rows.map(auditRecord), page.limit)
  }

  /** Sorted by calls, most first. */
  aggregate(filter: Filter, by: readonly Dimension[], limit: number): Promise<readonly Aggregate[]> {
    return this.#database.read((db) => aggregateUsage(db, filter, by, limit))
  }

  /** Removes up to `limit` records of a kind that are older than `before`; returns how many. */
  async prune(kind: keyof typeof TABLES, before: number, limit: number): Promise<number> {
    const table = TABLES[kind]
    const { numDeletedRows } = await this.#database.read(async (db) => {
      const last = await db
        .selectFrom(table)
        .select(['timestamp', 'id'])
        .where('timestamp', '<', before)
        .orderBy('timestamp')
        .orderBy('id')
        .offset(limit - 1)
        .limit(1)
        .executeTakeFirst()
      const old = db.deleteFrom(table).where('timestamp', '<', before)
      // Fewer than `limit` are old: then all of these.
      if (!last) return old.executeTakeFirstOrThrow()
      return old
        .where('timestamp', '<=', last.timestamp)
        .where((row) => row.or([row('timestamp', '<', last.timestamp), row('id', '<=', last.id)]))
        .executeTakeFirstOrThrow()
    })
    return Number(numDeletedRows)
  }

  async #append(table: LogTable, rows: readonly Insertable<Tables[LogTable]>[]): Promise<void> {
    const [first] = rows
    if (!first) return
    const { bulkInsert, maxParameters, onConflict } = this.#database.can
    if (bulkInsert)
      return this.#database.read(() => bulkInsert(table, Object.keys(first), rows.map(Object.values)))
    const size = Math.min(ROWS_AT_ONCE, Math.floor(maxParameters / Object.keys(first).length))
    await this.#database.transaction(async (trx) => {
      for (let start = 0; start < rows.length; start += size) {
        const insert = trx.insertInto(table).values(rows.slice(start, start + size))
        if (onConflict) await insert.onConflict((conflict) => conflict.doNothing()).execute()
        else await insert.onDuplicateKeyUpdate((row) => ({ id: row.ref('id') })).execute()
      }
    })
  }
}

/** One record more was asked for than is wanted: whether it came says whether there are others. */
function pageOf<T extends Position>(records: readonly T[], limit: number): Page<T> {
  const items = records.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: last && records.length > limit ? cursorOf(last) : undefined }
}
