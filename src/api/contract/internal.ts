import { z } from 'zod'
import { nodeId } from './cluster.ts'
import { anyName } from './shared.ts'

/** What nodes of a cluster say to each other over HTTP. */
const text = z.string().max(255)
const percent = z.number().min(0).max(100)

const metadata = z.object({
  hostname: text.optional(),
  version: text.optional(),
  os: text.optional(),
  cpuUsage: percent.optional(),
  memoryUsage: percent.optional(),
})

export const registration = z.object({
  nodeId,
  host: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[A-Za-z0-9_.:[\]%-]+$/, 'a host name or an address')
    .refine((host) => !UNSPECIFIED.includes(host), 'an address at which others reach the node, not "any"'),
  port: z.number().int().min(1).max(65_535),
  metadata: metadata.optional(),
  name: text.min(1).optional(),
  labels: z.record(text.min(1), z.string().max(1_000)).optional(),
  weight: z.number().min(0).max(1_000_000).optional(),
  maxServers: z.number().int().min(0).max(100_000).optional(),
  runtimes: z.array(text.min(1)).max(100).optional(),
})

const UNSPECIFIED: readonly string[] = ['0.0.0.0', '::', '[::]', '0']

export const registered = {
  config: z.object({
    revision: z.number().int(),
    heartbeatInterval: z.number().int().describe('ms'),
    heartbeatTimeout: z.number().int().describe('ms'),
  }),
  servers: z.array(
    z.object({
      serverName: z.string(),
      replicaId: z.string(),
      epoch: z.number().int(),
      config: z.looseObject({}),
    }),
  ),
}

export const heartbeat = z.object({
  nodeId,
  servers: z
    .array(
      z.object({
        name: anyName,
        status: z.enum(['connected', 'disconnected']),
        tools: z.number().int().min(0).max(1_000_000),
      }),
    )
    .max(10_000),
  metrics: z
    .object({
      cpuUsage: percent,
      memoryUsage: percent,
      activeConnections: z.number().int().min(0).max(10_000_000),
    })
    .optional(),
})
export const beaten = { revision: z.number().int().describe('Of what the node is to run.') }

const replicaId = z.string().min(1).max(2_200)
export const allocation = z.object({
  serverName: anyName,
  config: z.record(z.string().max(255), z.unknown()).describe('As mcp_settings.json has it.'),
  replicaId,
})
export const release = z.object({ serverName: anyName, replicaId })
/** Of a worker. Without a URL it joins all coordinators of its settings. */
export const joinOrder = z.object({ coordinatorUrl: z.string().max(2_048).optional() })
