import { z } from 'zod'

/** MCP asks for short names of visible characters; everything else can stand in a URL when it is encoded. */
export const serverName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9_.\- /@:]+$/, 'letters, digits, spaces and any of _ . - / @ :')
  .refine((name) => name === name.trim(), 'no spaces at its ends')
  .refine(
    (name) => name !== '.' && name !== '..' && !name.startsWith('$'),
    'this name has a meaning of its own',
  )
/** What the settings file has already may have any name. */
export const anyName = z.string().min(1).max(2_000)
export const username = z.string().min(1).max(50)
export const password = z.string().min(1).max(256)
export const time = z.number().int().min(0).describe('ms since the epoch')

/** A member of a query that counts. */
export function count(fallback: number, most: number) {
  return z.coerce.number().int().min(1).max(most).default(fallback)
}

/** A yes or no in a query: `?follow`, `?follow=true`, `?follow=1`. */
export const yesOrNo = z
  .enum(['', 'true', '1', 'false', '0'])
  .transform((text) => text === '' || text === 'true' || text === '1')
export const flag = yesOrNo.default(false)

/** A moment in a query: ms since the epoch, or ISO 8601. */
export const moment = z
  .string()
  .max(40)
  .transform((text, context) => {
    const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
    if (Number.isSafeInteger(at)) return at
    context.addIssue({
      code: 'custom',
      message: 'ms since the epoch, or a time such as 2026-11-20T12:00:00Z',
    })
    return z.NEVER
  })

/** How a change of the settings is to be made. */
export const changeQuery = z.object({
  dryRun: flag.describe('Only say what would change.'),
  reason: z.string().max(500).optional().describe('Why, for the history.'),
})

export const revisionChange = z.object({
  path: z.string().describe('JSON pointer (RFC 6901)'),
  kind: z.enum(['added', 'removed', 'changed']),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
})

/** What a change of the settings led to. */
export const changeAnswer = z.object({
  revision: z.number().int(),
  changes: z.array(revisionChange),
  warnings: z.array(z.string()),
})

export const nothing = z.undefined()
export const visibility = z.enum(['private', 'group', 'public'])

/** Of each part of a batch: whether it can be done. */
export const batchBeside = {
  successCount: z.number().int(),
  failureCount: z.number().int(),
  results: z.array(z.object({ name: z.string(), success: z.boolean(), message: z.string().optional() })),
}
