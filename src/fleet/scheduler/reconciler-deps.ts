import type { Assignment, ClusterNews, NodeView, ReplicaView } from '../../domain/cluster.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'

/** All in milliseconds. */
export interface ReconcilerTimings {
  /** Changes that come within this time are planned together. */
  readonly debounceMs: number
  /** A plan is made this often even if nothing seems to have changed: what was missed is repaired so. */
  readonly planIntervalMs: number
  /** How often load and draining replicas are looked at. */
  readonly lookIntervalMs: number
  /** After the start nothing is placed for this long: nodes come back with what they run. */
  readonly startGraceMs: number
  /** A draining replica ends after this long, whatever still goes on in it. */
  readonly drainLimitMs: number
}

export const DEFAULT_RECONCILER_TIMINGS: ReconcilerTimings = {
  debounceMs: 50,
  planIntervalMs: 5_000,
  lookIntervalMs: 500,
  startGraceMs: 3_000,
  drainLimitMs: 300_000,
}

export interface ReconcilerDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly timings: ReconcilerTimings
  /** Of this leader: higher than that of any before. */
  readonly term: number
  readonly runsServers: boolean | 'auto'
  /** The nodes of the last run: with all of them back the grace ends. undefined: nobody knows. */
  readonly expectedNodes: readonly string[] | undefined
  nodes(): readonly NodeView[]
  /** Tells a node all managed replicas that it is to run; does nothing for a node that cannot be reached. */
  assign(node: string, revision: number, assignments: readonly Assignment[]): void
  /** Whether a draining replica has neither calls nor sessions that would lose something. */
  drained(replica: ReplicaView): boolean
  /** Calls in flight for a server, those that wait for a replica among them. */
  calls(server: string): number
  /** Something in `views` has changed for these servers. */
  changed(servers: ReadonlySet<string>): void
  /** Something to tell people. */
  news(news: ClusterNews): void
}
