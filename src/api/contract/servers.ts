import { z } from 'zod'
import { BALANCE_STRATEGIES, ISOLATIONS, STATE_LOSS_RULES } from '../../domain/replication.ts'
import { anyName, count, flag, serverName, visibility } from './shared.ts'

const copies = z.number().int().min(0).max(1_000)
const nodeIds = z.array(z.string().min(1).max(255)).max(1_000)
const aDay = z.number().int().min(0).max(86_400_000)

/** How many copies of a server run in a cluster, and where. */
export const replication = {
  replicas: copies.optional().describe('How many copies run in a cluster.'),
  affinity: z
    .looseObject({
      nodeIds: nodeIds.optional().describe('Preferred nodes.'),
      excludeNodeIds: nodeIds.optional(),
      labels: z
        .record(z.string().max(255), z.string().max(65_536))
        .optional()
        .describe('A node must have all.'),
    })
    .optional(),
  strategy: z.enum(BALANCE_STRATEGIES).optional(),
  autoscale: z
    .looseObject({
      min: copies.optional(),
      max: copies.optional(),
      targetCalls: z.number().positive().max(1_000_000).optional(),
      upAfterMs: aDay.optional(),
      downAfterMs: aDay.optional(),
    })
    .optional(),
  stateLoss: z
    .enum(STATE_LOSS_RULES)
    .optional()
    .describe('What becomes of a session whose copy of the server is lost.'),
}

/** The configuration of a server as `mcp_settings.json` has it; members that this hub does not know are kept. */
export const serverConfig = z.looseObject({
  type: z.enum(['stdio', 'sse', 'streamable-http', 'streamableHttp', 'http', 'openapi']).optional(),
  command: z.string().min(1).max(4_096).optional(),
  args: z
    .array(z.union([z.string().max(65_536), z.number(), z.boolean()]))
    .max(1_000)
    .optional(),
  env: z.record(z.string(), z.union([z.string().max(65_536), z.number(), z.boolean()])).optional(),
  url: z.string().min(1).max(8_192).optional(),
  headers: z.record(z.string(), z.string().max(65_536)).optional(),
  enabled: z.boolean().optional(),
  description: z.string().max(10_000).optional(),
  owner: z.string().max(50).optional(),
  visibility: visibility.optional(),
  sharedWithUsers: z.array(z.string().max(50)).max(10_000).optional(),
  ...replication,
})

export const serverParams = z.object({ name: anyName })
export const newServer = z.object({ name: serverName, config: serverConfig })
export const newServers = z.object({ servers: z.array(newServer).min(1).max(500) })
export const serverUpdate = z.object({
  config: serverConfig,
  name: serverName.optional().describe('Its new name.'),
})
export const rename = z.object({ name: serverName })
export const toggle = z.object({ enabled: z.boolean() })
export const description = z.object({ description: z.string().max(10_000) })
export const testConnect = z
  .object({
    config: serverConfig.optional(),
    name: anyName
      .optional()
      .describe('A server that exists: masked secrets of the configuration are its own.'),
  })
  .refine(({ config, name }) => config !== undefined || name !== undefined, 'a "config", a "name", or both')
export const logsQuery = z.object({ limit: count(200, 1_000), follow: flag })

const item = z.looseObject({})

export const serverView = z.looseObject({
  name: z.string(),
  status: z.enum(['connected', 'connecting', 'disconnected', 'idle', 'disabled']),
  enabled: z.boolean(),
  type: z.string(),
  isolation: z.enum(ISOLATIONS),
  description: z.string().optional(),
  error: z.string().optional(),
  cure: z.string().optional(),
  owner: z.string().optional(),
  visibility: visibility.optional(),
  tools: z.array(item),
  prompts: z.array(item),
  resources: z.array(item),
  resourceTemplates: z.array(item),
  stderr: z.array(z.string()).optional(),
  replication: z.looseObject(replication).optional(),
  config: serverConfig.optional().describe('Secrets are shown as ********.'),
})

export const connectReport = z.object({
  serverInfo: z.looseObject({}),
  protocolVersion: z.string(),
  tools: z.number().int(),
  prompts: z.number().int(),
  resources: z.number().int(),
  durationMs: z.number(),
})

export const logLine = z.object({
  timestamp: z.number().int(),
  level: z.string(),
  message: z.string(),
  server: z.string().optional(),
})

export const toolParams = z.object({ server: anyName, item: anyName })
