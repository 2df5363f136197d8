import type { BalanceStrategy, ClusterNews } from '../../domain/cluster.ts'
import type { StickySettings } from '../../domain/cluster-settings.ts'
import type { HubError } from '../../domain/errors.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { Holder } from '../dispatch/servers.ts'

/**
 * `open`: takes calls (a replica that sleeps until it is called is open). `starting`: will soon. `draining`: finishes what it has.
 * `away`: its node cannot be reached just now. `failed`: its process does not come up.
 */
export type Standing = 'open' | 'starting' | 'draining' | 'away' | 'failed'

/** One replica as the balancer sees it, wherever it runs. What is not its identity is read anew with each call. */
export interface ReplicaHandle {
  readonly id: string
  readonly node: string
  /** With another epoch it is another replica: sessions bound to the older one have lost theirs. */
  readonly epoch: number
  /** Its node's; 1 is usual, more takes more sessions. */
  readonly weight: number
  /** ms since the epoch. */
  readonly createdAt: number
  readonly standing: Standing
  /** Calls in flight. */
  readonly load: number
  /**
   * The upstream for the holder, at once where it is open. A replica that is `away` waits until it is back or gone.
   * @throws HubError `server.unavailable` or `upstream.lost`, or the promise rejects with it
   */
  upstream(holder?: Holder): Upstream | Promise<Upstream>
  /** The same if it is open already; nothing is started for it. */
  openUpstream(holder?: Holder): Upstream | undefined
  /** The holder is gone: what it has for itself in the replica may end. */
  release(holderId: string): void
}

export interface ReplicatedServersDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly sticky: StickySettings
  /** Where the server's own settings name no strategy. */
  readonly balance: BalanceStrategy
  /** How long a call waits for a replica when there is none that takes it, ms. */
  readonly waitMs: number
  /** A call has come for a server that has no replica. */
  wake(server: string): void
  /** The replica that a holder was bound to is gone: see `StateLoss` for what is due. */
  lost(holderId: string, spec: ServerSpec, reason: HubError): void
  /** From now on the holder is served by this upstream: it must know what the holder has set on the server. */
  bound(holderId: string, server: string, upstream: Upstream): void
  news(news: ClusterNews): void
}
