import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../schema.ts'
import { condition, type Filter } from './activity-filter.ts'

export type Dimension = 'server' | 'tool' | 'username' | 'keyId' | 'day' | 'hour'

export interface Aggregate {
  /** The value of each dimension that was asked for; days and hours as ISO text in UTC. */
  readonly group: Readonly<Partial<Record<Dimension, string | null>>>
  readonly calls: number
  readonly errors: number
  readonly averageMs: number
  readonly maxMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const EXPRESSIONS: Readonly<Record<Dimension, RawBuilder<string | number | null>>> = {
  server: sql.ref('server_name'),
  tool: sql.ref('tool_name'),
  username: sql.ref('username'),
  keyId: sql.ref('key_id'),
  day: startOf(DAY_MS),
  hour: startOf(HOUR_MS),
}

function startOf(lengthMs: number): RawBuilder<number> {
  const time = sql.ref('timestamp')
  return sql<number>`${time} - ${time} % ${sql.lit(lengthMs)}`
}

/** Calls, errors and durations of each group; without dimensions those of all records together, if there are any. */
export async function aggregateUsage(
  db: Db,
  filter: Filter,
  by: readonly Dimension[],
  limit: number,
): Promise<readonly Aggregate[]> {
  const dimensions = [...new Set(by)]
  const aliases = dimensions.map((_, index) => `group_${index}`)
  const groups = dimensions.map((dimension, index) => EXPRESSIONS[dimension].as(`group_${index}`))
  let query = db
    .selectFrom('mcp_usage_logs')
    .select((row) => [
      ...groups,
      row.fn.countAll<number>().as('calls'),
      sql<number>`sum(case when ${sql.ref('success')} then 0 else 1 end)`.as('errors'),
      sql<number>`sum(${sql.ref('duration')})`.as('total_ms'),
      row.fn.max('duration').as('max_ms'),
    ])
    .where(condition(filter))
    .having((row) => row(row.fn.countAll(), '>', 0))
    .orderBy('calls', 'desc')
    .limit(limit)
  for (const alias of aliases) query = query.groupBy(sql.ref(alias)).orderBy(sql.ref(alias))
  const rows: readonly Row[] = await query.execute()
  return rows.map((row) => toAggregate(row, dimensions))
}

interface Row {
  readonly [group: `group_${number}`]: string | number | null
  readonly calls: number
  readonly errors: number
  readonly total_ms: number
  readonly max_ms: number
}

function toAggregate(row: Row, dimensions: readonly Dimension[]): Aggregate {
  const group = dimensions.map((dimension, index): [Dimension, string | null] => [
    dimension,
    groupValue(dimension, row[`group_${index}`] ?? null),
  ])
  return {
    group: Object.fromEntries(group),
    calls: row.calls,
    errors: row.errors,
    averageMs: row.total_ms / row.calls,
    maxMs: row.max_ms,
  }
}

function groupValue(dimension: Dimension, value: string | number | null): string | null {
  if (typeof value === 'number') {
    const iso = new Date(value).toISOString()
    return dimension === 'day' ? iso.slice(0, 10) : `${iso.slice(0, 13)}:00:00Z`
  }
  // Nobody's calls have an empty name.
  return value === '' ? null : value
}
