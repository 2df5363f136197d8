import type { ClusterNews } from '../../domain/cluster.ts'
import type { Scaled } from './goals.ts'
import type { CreateReason, DrainReason, RemoveReason } from './plan-model.ts'
import type { Observation, ReplicaEntry } from './replica-table.ts'

type Subject = Pick<ReplicaEntry, 'id' | 'server' | 'node' | 'error'>

function about({ id, server, node }: Subject): Pick<ClusterNews, 'replica' | 'server' | 'node'> {
  return { replica: id, server, node }
}

/** @param before the node that it was on */
export function newsOfCreation(
  entry: Subject,
  reason: CreateReason,
  before: string | undefined,
): ClusterNews {
  const { id, node } = entry
  switch (reason) {
    case 'lost':
      return {
        ...about(entry),
        kind: 'replaced',
        text: `${id} is placed on node ${node}, since node ${before ?? 'it was on'} is offline.`,
      }
    case 'moved':
      return {
        ...about(entry),
        kind: 'moved',
        text: `${id} is placed on node ${node} for one that is to leave its node.`,
      }
    case 'changed':
      return {
        ...about(entry),
        kind: 'placed',
        text: `${id} is placed on node ${node} for one that is to be renewed.`,
      }
    case 'new':
      return { ...about(entry), kind: 'placed', text: `${id} is placed on node ${node}.` }
    default:
      return reason satisfies never
  }
}

const DRAIN_TEXTS: Readonly<Record<DrainReason, string>> = {
  moved: 'others have taken its place',
  changed: 'one with the new settings has taken its place',
  surplus: 'there is one too many',
  'no-room': 'there is no room for its successor beside it',
}

export function drainNews(entry: Subject, reason: DrainReason): ClusterNews {
  const text = `${entry.id} on node ${entry.node} takes nothing new and ends when it is idle: ${DRAIN_TEXTS[reason]}.`
  return { ...about(entry), kind: 'draining', text }
}

const REMOVE_TEXTS: Readonly<Record<RemoveReason | 'drained' | 'late', string>> = {
  crashing: 'crashed again and again there, and is tried on another node',
  unwanted: 'is stopped, since its server was removed or disabled',
  gone: 'is gone with its node',
  drained: 'has been drained, and is stopped',
  late: 'is stopped, though calls or sessions still kept it: the time for draining is over',
}

export function removeNews(entry: Subject, reason: RemoveReason | 'drained' | 'late'): ClusterNews {
  const kind = reason === 'drained' ? 'drained' : reason === 'crashing' ? 'moved' : 'stopped'
  return { ...about(entry), kind, text: `${entry.id} on node ${entry.node} ${REMOVE_TEXTS[reason]}.` }
}

export function observationNews(seen: Observation): ClusterNews[] {
  const where = ({ id, node }: Subject) => `${id} on node ${node}`
  return [
    ...seen.adopted.map((entry) => ({
      ...about(entry),
      kind: 'placed' as const,
      text: `${where(entry)} was found running, and stays.`,
    })),
    ...seen.started.map((entry) => ({
      ...about(entry),
      kind: 'started' as const,
      text: `${where(entry)} is running.`,
    })),
    ...seen.failed.map((entry) => ({
      ...about(entry),
      kind: 'failed' as const,
      text: `${where(entry)} has failed: ${entry.error ?? 'no reason is known.'}`,
    })),
    ...seen.stopped.map((entry) => ({
      ...about(entry),
      kind: 'stopped' as const,
      text: `${where(entry)} has stopped.`,
    })),
  ]
}

export function scaledNews({ server, from, to }: Scaled): ClusterNews {
  return { kind: 'scaled', server, text: `${server} is to have ${to} replicas instead of ${from}.` }
}

export function nodeDrainedNews(node: string): ClusterNews {
  return { kind: 'drained', node, text: `Node ${node} has given all its replicas away.` }
}
