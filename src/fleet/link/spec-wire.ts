import { z } from 'zod'
import { BALANCE_STRATEGIES, STATE_LOSS_RULES } from '../../domain/cluster.ts'
import { ISOLATIONS } from '../../domain/replication.ts'
import type { ItemOverride, Overrides, ServerSpec } from '../../domain/server-spec.ts'

// Wider than what can be started (Linux takes 128 KiB for an argument): one server's settings must not end a link.
const name = z.string().min(1).max(1_024)
const text = z.string().max(1024 * 1024)
const texts = z.record(z.string().max(1_024), text)
const count = z.number().int().min(0)

const item = z.object({ enabled: z.boolean(), description: text.nullable() })
const items = z.array(z.tuple([text, item])).max(10_000)

const transport = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('stdio'),
    command: text,
    args: z.array(text).max(10_000),
    env: texts,
    cwd: text.nullable(),
  }),
  z.object({ kind: z.enum(['streamable-http', 'sse', 'auto']), url: text, headers: texts }),
])

const replication = z.object({
  replicas: count,
  affinity: z.object({
    nodeIds: z.array(name).max(1_000),
    excludeNodeIds: z.array(name).max(1_000),
    labels: z.record(name, text),
  }),
  strategy: z.enum(BALANCE_STRATEGIES).nullable(),
  autoscale: z
    .object({
      min: count,
      max: count,
      targetCalls: z.number().positive(),
      upAfterMs: count,
      downAfterMs: count,
    })
    .nullable(),
  stateLoss: z.enum(STATE_LOSS_RULES),
})

/** A server's settings as they travel between nodes. */
export const wireSpecSchema = z.object({
  name,
  enabled: z.boolean(),
  description: text.nullable(),
  owner: text.nullable(),
  visibility: z.enum(['private', 'group', 'public']),
  sharedWithUsers: z.array(text).max(10_000),
  transport,
  isolation: z.enum(ISOLATIONS),
  startOnDemand: z.boolean(),
  idleTimeoutMs: count,
  call: z.object({ timeoutMs: count, resetTimeoutOnProgress: z.boolean(), maxTotalTimeoutMs: count }),
  overrides: z.object({ tools: items, prompts: items, resources: items }),
  replication,
})

export type WireSpec = z.infer<typeof wireSpecSchema>

export function toWire(spec: ServerSpec): WireSpec {
  const { transport, replication, overrides } = spec
  return {
    name: spec.name,
    enabled: spec.enabled,
    description: spec.description ?? null,
    owner: spec.owner ?? null,
    visibility: spec.visibility,
    sharedWithUsers: [...spec.sharedWithUsers],
    transport:
      transport.kind === 'stdio'
        ? {
            kind: 'stdio',
            command: transport.command,
            args: [...transport.args],
            env: { ...transport.env },
            cwd: transport.cwd ?? null,
          }
        : { kind: transport.kind, url: transport.url, headers: { ...transport.headers } },
    isolation: spec.isolation,
    startOnDemand: spec.startOnDemand,
    idleTimeoutMs: spec.idleTimeoutMs,
    call: { ...spec.call },
    overrides: {
      tools: wireItems(overrides.tools),
      prompts: wireItems(overrides.prompts),
      resources: wireItems(overrides.resources),
    },
    replication: {
      replicas: replication.replicas,
      affinity: {
        nodeIds: [...replication.affinity.nodeIds],
        excludeNodeIds: [...replication.affinity.excludeNodeIds],
        labels: { ...replication.affinity.labels },
      },
      strategy: replication.strategy ?? null,
      autoscale: replication.autoscale ? { ...replication.autoscale } : null,
      stateLoss: replication.stateLoss,
    },
  }
}

/**
 * The same without what only the node that runs the server needs: arguments, variables, headers and the path of a URL may hold
 * secrets, and stay where they are.
 */
export function toWireWithoutSecrets(spec: ServerSpec): WireSpec {
  const wire = toWire(spec)
  if (wire.transport.kind === 'stdio')
    return { ...wire, transport: { ...wire.transport, args: [], env: {}, cwd: null } }
  const { origin } = new URL(wire.transport.url)
  return { ...wire, transport: { ...wire.transport, url: origin, headers: {} } }
}

export function fromWire(wire: WireSpec): ServerSpec {
  const { transport, replication, overrides } = wire
  return {
    ...wire,
    description: wire.description ?? undefined,
    owner: wire.owner ?? undefined,
    transport: transport.kind === 'stdio' ? { ...transport, cwd: transport.cwd ?? undefined } : transport,
    overrides: readOverrides(overrides),
    replication: {
      ...replication,
      strategy: replication.strategy ?? undefined,
      autoscale: replication.autoscale ?? undefined,
    },
  }
}

function wireItems(map: ReadonlyMap<string, ItemOverride>): [string, z.infer<typeof item>][] {
  return [...map].map(([key, { enabled, description }]) => [
    key,
    { enabled, description: description ?? null },
  ])
}

function readOverrides({ tools, prompts, resources }: WireSpec['overrides']): Overrides {
  return { tools: readItems(tools), prompts: readItems(prompts), resources: readItems(resources) }
}

function readItems(entries: WireSpec['overrides']['tools']): ReadonlyMap<string, ItemOverride> {
  return new Map(
    entries.map(([key, { enabled, description }]) => [
      key,
      { enabled, description: description ?? undefined },
    ]),
  )
}
