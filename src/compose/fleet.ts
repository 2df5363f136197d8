import type { HubError } from '../domain/errors.ts'
import type { ServerSpec } from '../domain/server-spec.ts'
import { LocalFleet, type ServerReport } from '../fleet/worker/local-fleet.ts'
import type { ServerEvents } from '../fleet/worker/local-server.ts'
import type { Servers } from '../gateway/dispatch/servers.ts'
import type { BackoffPolicy } from '../kernel/backoff.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { Semaphore } from '../kernel/semaphore.ts'
import { VERSION } from '../kernel/version.ts'
import { LATEST_2025 } from '../mcp/eras.ts'
import type { ClientIdentity, Upstream, UpstreamFactory } from '../upstream/upstream.ts'

/** Wherever a hub's servers run: on this machine, or on the nodes of a cluster. */
export interface Fleet extends Servers {
  /** Makes the running servers equal to `specs`. */
  apply(specs: ReadonlyMap<string, ServerSpec>): void
  /** Starts a server anew; calls in flight may finish. Returns whether it runs anywhere. */
  reload(server: string): boolean
  report(server: string): ServerReport | undefined
  close(): Promise<void>
}

/** What a hub wants to hear from its fleet. */
export interface FleetListener extends ServerEvents {
  /** A holder was bound to a replica that is gone; `spec.replication.stateLoss` says what that means for its sessions. */
  lost(holderId: string, spec: ServerSpec, reason: HubError): void
  /** A holder is served by this upstream from now on: what it has set on the server must be told there. */
  bound(holderId: string, server: string, upstream: Upstream): void
}

export type MakeFleet = (listener: FleetListener) => Fleet

export interface FleetTuning {
  readonly startConcurrency: number
  readonly backoff: BackoffPolicy
  /** How long a call waits for a server that is just starting, ms. */
  readonly waitForServerMs: number
  /** How long calls may go on when their server is replaced, ms. */
  readonly drainMs: number
}

/** What the hub declares to servers that it shares between clients: all that it can bring to one client or another. */
export const SHARED_IDENTITY: ClientIdentity = {
  protocolVersion: LATEST_2025,
  clientInfo: { name: 'flotilla', version: VERSION },
  capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
}

export interface RunningDeps {
  readonly tuning: FleetTuning
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  factory(spec: ServerSpec): UpstreamFactory
}

/** What whoever runs servers on this machine needs for it. */
export function runningDeps({ tuning, ...deps }: RunningDeps) {
  return {
    ...deps,
    identity: SHARED_IDENTITY,
    startGate: new Semaphore(tuning.startConcurrency),
    ownStartGate: new Semaphore(tuning.startConcurrency),
    backoff: tuning.backoff,
    waitMs: tuning.waitForServerMs,
    drainMs: tuning.drainMs,
  }
}

/** All servers on this machine, one replica each. */
export function localFleet(deps: RunningDeps): MakeFleet {
  return (events) => new LocalFleet({ ...runningDeps(deps), events })
}
