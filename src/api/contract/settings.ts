import { z } from 'zod'
import { changeQuery, count, revisionChange } from './shared.ts'

export const document = z.looseObject({})

const step = z.union([z.string().min(1).max(2_000), z.number().int().min(0)])

export const edits = z.object({
  edits: z
    .array(z.object({ path: z.array(step).min(2).max(32), value: z.unknown().optional() }))
    .min(1)
    .max(1_000)
    .describe('Places with their new values; without a value the place is removed.'),
})
export const systemConfig = z.looseObject({})

export const revisionParams = z.object({ number: z.coerce.number().int().min(1) })
export const revisionsQuery = z.object({
  before: z.coerce.number().int().min(1).optional(),
  limit: count(50, 500),
})
export const diffQuery = z.object({
  from: z.coerce.number().int().min(1).optional().describe('Without it: the revision before.'),
})
export const rollbackQuery = changeQuery

export const revisionSummary = z.object({
  number: z.number().int(),
  at: z.number().int(),
  author: z.string(),
  reason: z.string().optional(),
  checksum: z.string(),
  changes: z.array(revisionChange),
})
export const revisions = z.object({
  items: z.array(revisionSummary),
  nextBefore: z.number().int().optional(),
})
export const revision = revisionSummary.extend({ document })
