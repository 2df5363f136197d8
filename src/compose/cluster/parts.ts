import type { NodeFacts } from '../../domain/cluster.ts'
import type { ClusterSettings } from '../../domain/cluster-settings.ts'
import type { EventLog } from '../../fleet/membership/event-log.ts'
import type { Membership } from '../../fleet/membership/membership.ts'
import { Reconciler } from '../../fleet/scheduler/reconciler.ts'
import { DEFAULT_RECONCILER_TIMINGS } from '../../fleet/scheduler/reconciler-deps.ts'
import { specHash } from '../../fleet/scheduler/spec-hash.ts'
import { ReplicaHost } from '../../fleet/worker/replica-host.ts'
import { ReplicatedServers } from '../../gateway/balancing/replicated-servers.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { type FleetListener, type RunningDeps, runningDeps } from '../fleet.ts'
import { ClusterFleet } from './cluster-fleet.ts'

/** What a coordinator consists of beside its links. */
export interface Parts {
  readonly host: ReplicaHost
  readonly servers: ReplicatedServers
  readonly reconciler: Reconciler
  readonly fleet: ClusterFleet
}

export interface PartsDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly running: RunningDeps
  readonly listener: FleetListener
}

/** How the parts reach the links. */
export interface Nerves {
  assign(node: string, revision: number, assignments: Parameters<ReplicaHost['assign']>[2]): void
  reload(node: string, replica: string): boolean
  hostChanged(): void
}

interface Brain {
  readonly settings: ClusterSettings
  readonly self: NodeFacts
  readonly term: number
  readonly events: EventLog
  readonly membership: Membership
  /** The nodes that had not gone when the last run of this coordinator ended; undefined: there was none. */
  readonly expectedNodes: readonly string[] | undefined
}

export function makeParts(
  { settings, self, term, events, membership, expectedNodes }: Brain,
  { running, listener, clock, random, log }: PartsDeps,
  nerves: Nerves,
): Parts {
  const deps = runningDeps(running)
  const told: FleetListener = {
    ...listener,
    stateChanged(server) {
      listener.stateChanged(server)
      // Calls may wait for just this.
      servers.changed(server)
    },
  }
  const host = new ReplicaHost({
    ...deps,
    events: () => told,
    onChange: nerves.hostChanged,
    specHash,
  })
  const servers: ReplicatedServers = new ReplicatedServers({
    clock,
    random,
    log,
    sticky: settings.sticky,
    balance: settings.balance,
    waitMs: deps.waitMs,
    wake: (server) => reconciler.woken(server),
    lost: listener.lost,
    bound: listener.bound,
    news: (news) => void events.add(news),
  })
  const reconciler: Reconciler = new Reconciler({
    clock,
    log,
    timings: {
      ...DEFAULT_RECONCILER_TIMINGS,
      ...(expectedNodes ? { startGraceMs: settings.heartbeatTimeoutMs } : {}),
      drainLimitMs: deps.drainMs,
    },
    term,
    runsServers: settings.runsServers,
    expectedNodes,
    nodes: () => membership.views(),
    assign: nerves.assign,
    drained: ({ id }) => servers.isIdle(id),
    calls: (server) => servers.callsOf(server),
    changed: (servers) => fleet.refresh(servers),
    news: (news) => void events.add(news),
  })
  const fleet: ClusterFleet = new ClusterFleet({
    self: self.id,
    host,
    servers,
    reconciler,
    events: told,
    clock,
    log,
    waitMs: deps.waitMs,
    reload: nerves.reload,
    weightOf: (node) => membership.view(node)?.weight ?? 1,
  })
  return { host, servers, reconciler, fleet }
}
