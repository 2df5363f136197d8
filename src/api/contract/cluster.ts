import { z } from 'zod'
import { BALANCE_STRATEGIES, STATE_LOSS_RULES } from '../../domain/replication.ts'
import { anyName, changeAnswer, count, flag } from './shared.ts'

const whole = z.number().int().min(0)
const time = whole.describe('ms since the epoch')
const percent = z.number().describe('0–100')

/** Letters, digits and a few signs: an id stands in paths, headers and cookies. */
export const nodeId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,100}$/, 'up to 100 letters, digits and any of _ . : -')

export const node = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(['master', 'worker']),
  host: z.string().nullable().describe('null: it has none that others could use, or you may not see it.'),
  port: whole.nullable(),
  status: z.enum(['online', 'unhealthy', 'offline']),
  lastHeartbeat: time,
  registeredAt: time,
  metadata: z.object({
    hostname: z.string().nullable(),
    version: z.string(),
    os: z.string(),
    cpuUsage: percent,
    memoryUsage: percent,
  }),
  labels: z.record(z.string(), z.string()),
  weight: z.number(),
  maxServers: whole.nullable().describe('How many replicas it runs at most; null: no limit.'),
  servers: whole.describe('Replicas that it runs or is to run.'),
  runtimes: z.array(z.string()),
  activeCalls: whole,
  cordoned: z.boolean(),
  draining: z.boolean(),
})

export const replica = z.object({
  id: z.string(),
  serverName: z.string(),
  nodeId: z.string(),
  status: z.enum(['running', 'stopped', 'error']),
  phase: z.enum(['pending', 'starting', 'running', 'error', 'stopped', 'terminated']),
  createdAt: time,
  error: z.string().optional(),
  epoch: whole,
  origin: z.enum(['pinned', 'managed']),
  draining: z.boolean(),
  calls: whole.describe('Calls in flight.'),
  sessions: whole.describe('Client sessions that have a process of their own in it.'),
})

/** What both founding documents call the status, and what was added. */
export const status = z.object({
  enabled: z.boolean(),
  mode: z.enum(['standalone', 'coordinator', 'node']),
  role: z.enum(['standalone', 'master', 'worker']),
  nodeId: z.string(),
  leader: z.string().nullable(),
  term: whole.nullable(),
  version: z.string(),
  stats: z.object({ nodes: whole, activeNodes: whole, servers: whole, sessions: whole }),
  nodes: node.array(),
  totalReplicas: whole,
  healthyReplicas: whole,
  sessions: whole,
  otherVersions: z.array(z.string()).describe('Nodes that run another version than this one.'),
})

export const nodesQuery = z.object({ active: flag.describe('Only nodes that are online.') })
export const nodes = z.object({ nodes: node.array() })
export const nodeParams = z.object({ node: z.string().min(1).max(255) })
export const nodeDetail = z.object({ node, servers: replica.array() })

const affinity = z.object({
  nodeIds: z.array(z.string()),
  excludeNodeIds: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
})
const autoscale = z.object({
  min: whole,
  max: whole,
  targetCalls: z.number(),
  upAfterMs: whole,
  downAfterMs: whole,
})

export const replicas = z.object({
  serverName: z.string(),
  desiredReplicas: whole,
  currentReplicas: whole,
  healthyReplicas: whole,
  managed: z.boolean().describe("False: only workers' own settings have the server."),
  affinity,
  strategy: z.enum(BALANCE_STRATEGIES).nullable().describe("null: the cluster's."),
  autoscale: autoscale.nullable(),
  stateLoss: z.enum(STATE_LOSS_RULES),
  shortage: z
    .string()
    .nullable()
    .describe('Why there are fewer than there should be: no node takes another.'),
  replicas: replica.array(),
})
export const allReplicas = z.object({ servers: replicas.array() })
export const serverParams = z.object({ server: anyName })
export const nameParams = z.object({ name: anyName })

const copies = whole.max(1_000)
const names = z.array(z.string().min(1).max(255)).max(1_000)
const aDay = whole.max(86_400_000).describe('ms')

/** Members that are not named stay as they are; null takes one back to its default. */
export const replicasChange = z
  .strictObject({
    replicas: copies.optional(),
    affinity: z
      .strictObject({
        nodeIds: names.optional().describe('Preferred nodes.'),
        excludeNodeIds: names.optional(),
        labels: z
          .record(z.string().min(1).max(255), z.string().max(1_000))
          .optional()
          .describe('A node must have all of these.'),
      })
      .nullish(),
    strategy: z.enum(BALANCE_STRATEGIES).nullish(),
    autoscale: z
      .strictObject({
        min: copies.optional(),
        max: copies.optional(),
        targetCalls: z.number().positive().max(1_000_000).optional(),
        upAfterMs: aDay.optional(),
        downAfterMs: aDay.optional(),
      })
      .refine(({ min, max }) => min === undefined || max === undefined || min <= max, 'min ≤ max')
      .nullish(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: 'at least one of replicas, affinity, strategy and autoscale',
  })

export const replicasChanged = changeAnswer.extend(replicas.partial().shape)

const route = z.object({
  sessionId: z.string(),
  serverName: z.string(),
  nodeId: z.string(),
  replicaId: z.string(),
  createdAt: time,
  lastActivity: time,
})

export const sessionsQuery = z.object({
  limit: count(100, 1_000),
  offset: z.coerce.number().int().min(0).max(10_000_000).default(0),
})
export const sessions = z.object({
  sessions: route.array().describe('Ids are cut off for those who may not change the cluster.'),
  total: whole,
})
export const sessionParams = z.object({ session: z.string().min(1).max(255) })
export const session = route
  .partial()
  .extend({ sessionId: z.string(), routes: route.array() })
  .describe('The members beside routes are of the bond that was used last.')

export const eventsQuery = z.object({
  since: z.coerce.number().int().min(0).default(0).describe('The number of the last event that you know.'),
  limit: count(200, 1_000),
})
export const events = z.object({
  events: z.array(
    z.object({
      number: whole,
      at: time,
      kind: z.string(),
      node: z.string().optional(),
      server: z.string().optional(),
      replica: z.string().optional(),
      text: z.string(),
    }),
  ),
  last: whole.describe('The number of the newest event; it begins anew when the coordinator does.'),
})

export const sync = z.object({
  revision: whole.nullable(),
  nodes: z.array(
    z.object({
      nodeId: z.string(),
      revision: whole.describe('Of the assignment that it was sent last.'),
      confirmed: whole.nullable(),
      inSync: z.boolean(),
    }),
  ),
})
