import type { NodeState } from '../../domain/cluster.ts'

/** What is known of a node's life. Times are of the monotonic clock, in milliseconds. */
export interface Member {
  readonly lastBeat: number
  /** `none`: it has never had one, and is judged by its heartbeats alone. */
  readonly link: 'none' | 'up' | 'down'
  /** In a row. */
  readonly failedProbes: number
  /** When it said that it ends. */
  readonly leftAt: number | undefined
}

export interface MemberTimings {
  readonly heartbeatIntervalMs: number
  readonly heartbeatTimeoutMs: number
  readonly cleanupIntervalMs: number
}

/** `removed`: it has been offline for so long that it leaves the list. */
export type MemberState = NodeState | 'removed'

export type MemberInput = 'joined' | 'beat' | 'linkUp' | 'linkDown' | 'left' | 'probeOk' | 'probeFailed'

/** As many failed probes in a row make a node unhealthy. */
export const UNHEALTHY_AFTER_PROBES = 3

/** A node that has just joined. */
export function newMember(now: number): Member {
  return { lastBeat: now, link: 'none', failedProbes: 0, leftAt: undefined }
}

export function afterInput(member: Member, input: MemberInput, now: number): Member {
  switch (input) {
    case 'joined':
      return { ...member, lastBeat: now, failedProbes: 0, leftAt: undefined }
    case 'beat':
      return { ...member, lastBeat: now, failedProbes: member.link === 'up' ? 0 : member.failedProbes }
    case 'linkUp':
      return { ...member, link: 'up', failedProbes: 0 }
    case 'linkDown':
      return { ...member, link: 'down' }
    case 'left':
      return { ...member, leftAt: member.leftAt ?? now }
    case 'probeOk':
      return { ...member, failedProbes: 0 }
    case 'probeFailed':
      return { ...member, failedProbes: Math.min(member.failedProbes + 1, UNHEALTHY_AFTER_PROBES) }
    default:
      return input satisfies never
  }
}

/**
 * Offline counts from the heartbeat alone: a worker that gets no answer to its heartbeats stops its replicas after the same time, and
 * only then may others start them. Neither a closed link nor a probe says that it has.
 */
export function stateOf(member: Member, timings: MemberTimings, now: number): MemberState {
  const { heartbeatTimeoutMs, cleanupIntervalMs } = timings
  const offlineAt = member.leftAt ?? member.lastBeat + heartbeatTimeoutMs
  if (now >= offlineAt + cleanupIntervalMs) return 'removed'
  if (now >= offlineAt) return 'offline'
  if (member.link === 'down' || member.failedProbes >= UNHEALTHY_AFTER_PROBES) return 'unhealthy'
  return now - member.lastBeat > silenceMs(timings, 2) ? 'unhealthy' : 'online'
}

/** Whether to ask the node itself how it is: a heartbeat is overdue, or it has no link that would tell. */
export function isDoubtful(member: Member, timings: MemberTimings, now: number): boolean {
  return member.link !== 'up' || now - member.lastBeat > silenceMs(timings, 1)
}

/** After how long `beats` heartbeats have been missed; a quarter of an interval more, since none comes to the millisecond. */
function silenceMs({ heartbeatIntervalMs }: MemberTimings, beats: number): number {
  return (beats + 0.25) * heartbeatIntervalMs
}
