import { z } from 'zod'
import { time } from './shared.ts'

const names = z.array(z.string().min(1).max(2_000)).max(1_000)
const accessType = z.enum(['all', 'groups', 'servers', 'tools', 'custom'])
const rest = z.enum(['none', 'read', 'admin'])
const grant = z.enum(['servers:launch', 'users:manage'])
const limit = z.number().int().min(1).max(1_000_000)

const changeable = {
  name: z.string().min(1).max(100),
  enabled: z.boolean(),
  accessType,
  allowedGroups: names,
  allowedServers: names,
  allowedTools: z.record(z.string().min(1), names).describe("Each server's own names of tools."),
  rest: rest.describe('What the key may do at this API.'),
  grants: z.array(grant).max(2).describe('What not even rest "admin" includes.'),
  expiresAt: time.nullable(),
  requestsPerMinute: limit.nullable(),
  maxConcurrent: limit.nullable(),
}

const optional = z.object(changeable).partial()

export const newKey = optional.extend({
  name: changeable.name,
  owner: z
    .string()
    .min(1)
    .max(50)
    .nullable()
    .optional()
    .describe('Whose it is; null for one of the hub itself.'),
})
export const keyUpdate = optional
export const keyParams = z.object({ id: z.string().min(1).max(100) })

export const key = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  owner: z.string().optional(),
  enabled: z.boolean(),
  accessType,
  allowedGroups: z.array(z.string()),
  allowedServers: z.array(z.string()),
  allowedTools: z.record(z.string(), z.array(z.string())),
  rest,
  grants: z.array(grant),
  expiresAt: time.optional(),
  requestsPerMinute: z.number().int().optional(),
  maxConcurrent: z.number().int().optional(),
  createdAt: time,
  createdBy: z.string().optional(),
  lastUsedAt: time.optional(),
})

/** Only the answer to its making has the token. */
export const madeKey = key.extend({ token: z.string() })
