import { z } from 'zod'
import { count, moment, yesOrNo } from './shared.ts'

const range = { from: moment.optional(), to: moment.optional() }
const page = { limit: count(100, 1_000), cursor: z.string().min(1).max(500).optional() }
const text = z.string().min(1).max(2_000).optional()
const success = yesOrNo.optional()

const usageFilter = { ...range, username: text, keyId: text, server: text, tool: text, success }
const exportFormat = z.enum(['ndjson', 'csv']).default('ndjson')
const dimensions = ['server', 'tool', 'username', 'keyId', 'day', 'hour'] as const

export const usageQuery = z.object({ ...usageFilter, ...page })
export const usageExport = z.object({ ...usageFilter, format: exportFormat })
export const aggregateQuery = z.object({
  ...usageFilter,
  by: z
    .string()
    .default('server')
    .transform((list) => list.split(',').map((part) => part.trim()))
    .pipe(z.array(z.enum(dimensions)).min(1).max(3))
    .describe(`One to three of ${dimensions.join(', ')}, with commas between.`),
  limit: count(100, 1_000),
})
export const accessQuery = z.object({ ...range, username: text, ...page })
export const accessExport = z.object({ ...range, username: text, format: exportFormat })
export const auditQuery = z.object({ ...range, ...page })

const maybe = z.string().optional()
const record = { id: z.string(), timestamp: z.number().int(), ip: maybe, node: z.string() }

export const usageRecord = z.object({
  ...record,
  username: maybe,
  keyId: maybe,
  server: z.string(),
  tool: z.string(),
  success: z.boolean(),
  durationMs: z.number(),
  error: maybe,
  arguments: maybe.describe('JSON text, if the settings let arguments be kept.'),
  userAgent: maybe,
  sessionId: maybe,
})
export const accessRecord = z.object({
  ...record,
  username: maybe,
  keyId: maybe,
  action: z.string(),
  resource: z.string(),
  method: z.string(),
  statusCode: z.number().int(),
  durationMs: z.number(),
  userAgent: maybe,
  requestId: z.string(),
})
export const auditRecord = z.object({
  ...record,
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  success: z.boolean(),
  details: maybe,
})

export function pageOf<T extends z.ZodType>(items: T) {
  return z.object({ items: z.array(items), nextCursor: z.string().optional() })
}

export const aggregates = z.array(
  z.object({
    group: z.record(z.string(), z.string().nullable()),
    calls: z.number().int(),
    errors: z.number().int(),
    averageMs: z.number(),
    maxMs: z.number(),
  }),
)
