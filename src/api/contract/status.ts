import { z } from 'zod'

const servers = z.object({
  total: z.number().int(),
  connected: z.number().int(),
  disconnected: z.number().int(),
})

/** For probes: says no more than how many. */
export const health = z.object({
  success: z.boolean(),
  status: z.enum(['healthy', 'degraded', 'unhealthy', 'stopping']),
  message: z.string(),
  servers,
  timestamp: z.string(),
})

export const live = z.object({ success: z.boolean(), status: z.literal('alive'), timestamp: z.string() })
export const ready = z.object({
  success: z.boolean(),
  status: z.enum(['ready', 'stopping', 'unhealthy']),
  message: z.string(),
  timestamp: z.string(),
})

export const status = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy', 'stopping']),
  version: z.string(),
  storage: z.object({ reachable: z.boolean() }),
  settings: z.object({ inForce: z.boolean(), revision: z.number().int().optional() }),
  servers,
  node: z.string().optional(),
  reasons: z.array(z.string()).optional().describe('What is wrong, for those who may read the servers.'),
  degraded: z
    .array(z.object({ name: z.string(), status: z.string(), error: z.string().optional() }))
    .optional()
    .describe('Servers that are not there, for those who may see them.'),
})
