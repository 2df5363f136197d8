import type { HubError } from '../../domain/errors.ts'
import {
  type Autoscale,
  defaultReplication,
  type Isolation,
  type NodeAffinity,
  type Replication,
} from '../../domain/replication.ts'
import type { ServerInput } from './schema.ts'

export const AUTOSCALE_DEFAULTS = {
  min: 1,
  targetCalls: 8,
  upAfterMs: 10_000,
  downAfterMs: 300_000,
} as const

/**
 * What a server's settings say about its copies, with every default filled in.
 * @param wrong makes the error about the value at a path below the server
 * @throws HubError `settings.invalid` when values contradict each other
 */
export function replicationOf(
  input: ServerInput,
  isolation: Isolation,
  wrong: (path: readonly string[], why: string) => HubError,
): Replication {
  const defaults = defaultReplication(isolation)
  const replicas = input.replicas ?? defaults.replicas
  return {
    replicas,
    affinity: affinityOf(input.affinity, wrong),
    strategy: input.strategy ?? input.loadBalanceStrategy ?? undefined,
    autoscale: autoscaleOf(input.autoscale, replicas, wrong),
    stateLoss: input.stateLoss ?? defaults.stateLoss,
  }
}

function affinityOf(
  input: ServerInput['affinity'],
  wrong: (path: readonly string[], why: string) => HubError,
): NodeAffinity {
  const nodeIds = input?.nodeIds ?? []
  const excludeNodeIds = input?.excludeNodeIds ?? []
  const both = nodeIds.find((id) => excludeNodeIds.includes(id))
  if (both !== undefined)
    throw wrong(
      ['affinity', 'excludeNodeIds'],
      `the node ${JSON.stringify(both)} is preferred in "nodeIds" and excluded here; remove it from one of them`,
    )
  return { nodeIds, excludeNodeIds, labels: input?.labels ?? {} }
}

function autoscaleOf(
  input: ServerInput['autoscale'],
  replicas: number,
  wrong: (path: readonly string[], why: string) => HubError,
): Autoscale | undefined {
  if (!input || input.enabled === false) return undefined
  const min = input.min ?? input.minReplicas ?? AUTOSCALE_DEFAULTS.min
  const given = input.max ?? input.maxReplicas
  const max = given ?? Math.max(replicas, min, 1)
  if (max < min) throw wrong(['autoscale'], `"max" (${max}) is less than "min" (${min})`)
  if (max < 1) throw wrong(['autoscale'], '"max" is 0, so the server could never run; give 1 or more')
  return {
    min,
    max,
    targetCalls: input.targetCalls ?? AUTOSCALE_DEFAULTS.targetCalls,
    upAfterMs: input.upAfterMs ?? AUTOSCALE_DEFAULTS.upAfterMs,
    downAfterMs: input.downAfterMs ?? AUTOSCALE_DEFAULTS.downAfterMs,
  }
}
