import type { Page } from '../../domain/activity.ts'
import type { ActivityFilter, PageRequest } from '../../observability/activity/ports.ts'
import * as contract from '../contract/usage.ts'
import { allows } from '../identity.ts'
import type { ExportFormat } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'

const STREAMS = ['application/x-ndjson', 'text/csv']

/** What was called, by whom: one's own calls, and with usage:all everybody's. */
export const usageRoutes: readonly Route[] = [
  route({
    name: 'usage.list',
    method: 'GET',
    path: '/api/usage',
    permission: 'usage:own',
    summary: 'Tool calls, newest first',
    query: contract.usageQuery,
    answer: contract.pageOf(contract.usageRecord),
    handle: async (context) => {
      const { limit, cursor, ...filter } = context.query
      const page = await context.services.activity.usage(own(context, filter), pageRequest(limit, cursor))
      return { data: pageView(page) }
    },
  }),
  route({
    name: 'usage.aggregate',
    method: 'GET',
    path: '/api/usage/aggregate',
    permission: 'usage:own',
    summary: 'How many calls, errors and ms, by server, tool, user, key, day or hour',
    query: contract.aggregateQuery,
    answer: contract.aggregates,
    handle: async (context) => {
      const { by, limit, ...filter } = context.query
      return { data: await context.services.activity.aggregate(own(context, filter), by, limit) }
    },
  }),
  route({
    name: 'usage.export',
    method: 'GET',
    path: '/api/usage/export',
    permission: 'usage:own',
    summary: 'All tool calls that the filter leaves, as NDJSON or CSV',
    query: contract.usageExport,
    answer: contract.usageRecord.shape.id,
    streams: STREAMS,
    handle: async (context) => {
      const { format, ...filter } = context.query
      const stream = context.services.activity.exportUsage(own(context, filter), format)
      return { stream, ...fileOf('usage', format) }
    },
  }),
  route({
    name: 'access.list',
    method: 'GET',
    path: '/api/access-logs',
    permission: 'logs:read',
    summary: 'Requests to this API, newest first',
    query: contract.accessQuery,
    answer: contract.pageOf(contract.accessRecord),
    handle: async ({ services, query }) => {
      const { limit, cursor, ...filter } = query
      return { data: pageView(await services.activity.access(given(filter), pageRequest(limit, cursor))) }
    },
  }),
  route({
    name: 'access.export',
    method: 'GET',
    path: '/api/access-logs/export',
    permission: 'logs:read',
    summary: 'All requests that the filter leaves, as NDJSON or CSV',
    query: contract.accessExport,
    answer: contract.accessRecord.shape.id,
    streams: STREAMS,
    handle: async ({ services, query: { format, ...filter } }) => {
      const stream = services.activity.exportAccess(given(filter), format)
      return { stream, ...fileOf('access', format) }
    },
  }),
  route({
    name: 'audit.list',
    method: 'GET',
    path: '/api/audit',
    permission: 'logs:read',
    summary: 'Changes that somebody made, newest first',
    query: contract.auditQuery,
    answer: contract.pageOf(contract.auditRecord),
    handle: async ({ services, query }) => {
      const { limit, cursor, ...filter } = query
      return { data: pageView(await services.activity.audit(given(filter), pageRequest(limit, cursor))) }
    },
  }),
]

/** What was asked for, narrowed to one's own calls where one may not see all. */
function own({ services, identity }: Context, filter: Loose<ActivityFilter>): ActivityFilter {
  if (identity.principal.scope.kind === 'all' && allows(services.auth, identity, 'usage:all'))
    return given(filter)
  const { username, keyId } = identity
  // Of somebody without a name only the key tells which calls are theirs; of nobody, none are.
  const mine = username === undefined ? { keyId: keyId ?? '' } : { username }
  return { ...given(filter), ...mine }
}

type Loose<T> = { readonly [K in keyof T]?: T[K] | undefined }

/** Without the parts that were not given. */
function given<T extends object>(filter: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}

function pageRequest(limit: number, cursor: string | undefined): PageRequest {
  return cursor === undefined ? { limit } : { limit, cursor }
}

function pageView({ items, nextCursor }: Page<object>) {
  return nextCursor === undefined ? { items } : { items, nextCursor }
}

function fileOf(what: string, format: ExportFormat) {
  const contentType = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
  return { contentType, filename: `flotilla-${what}.${format}` }
}
