import type { LocalServer } from '../../fleet/worker/local-server.ts'
import type { ReplicaState } from '../../fleet/worker/replica-state.ts'
import type { ReplicaHandle, Standing } from '../../gateway/balancing/ports.ts'
import type { Holder } from '../../gateway/dispatch/servers.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** What `LocalServer` and `RemoteServer` have in common. */
type Running = Pick<
  LocalServer,
  'spec' | 'load' | 'upstream' | 'openUpstream' | 'sessionUpstreams' | 'stderr'
> & {
  readonly state: ReplicaState
  release(holderId: string): unknown
}

export interface HandleFacts {
  readonly id: string
  readonly epoch: number
  readonly node: string
  readonly weight: number
  readonly createdAt: number
}

export interface HandleDeps {
  readonly running: Running
  /** Whether its node cannot be reached just now, or has not been heard of for too long. */
  isAway(): boolean
  /** Whether it is to take nothing new. */
  isDraining(): boolean
}

/** A replica as the balancer sees it, wherever it runs. */
export class Handle implements ReplicaHandle {
  readonly id: string
  readonly epoch: number
  readonly node: string
  readonly weight: number
  readonly createdAt: number
  readonly #deps: HandleDeps

  constructor({ id, epoch, node, weight, createdAt }: HandleFacts, deps: HandleDeps) {
    this.id = id
    this.epoch = epoch
    this.node = node
    this.weight = weight
    this.createdAt = createdAt
    this.#deps = deps
  }

  get running(): Running {
    return this.#deps.running
  }

  get standing(): Standing {
    const { running, isAway, isDraining } = this.#deps
    if (isAway()) return 'away'
    const standing = STANDINGS[running.state.kind]
    return standing === 'open' && isDraining() ? 'draining' : standing
  }

  get load(): number {
    return this.#deps.running.load
  }

  upstream(holder?: Holder): Upstream | Promise<Upstream> {
    return this.#deps.running.upstream(holder)
  }

  openUpstream(holder?: Holder): Upstream | undefined {
    return this.#deps.running.openUpstream(holder)
  }

  release(holderId: string): void {
    void this.#deps.running.release(holderId)
  }
}

/** One that sleeps wakes with the call. */
const STANDINGS: Readonly<Record<ReplicaState['kind'], Standing>> = {
  pending: 'starting',
  starting: 'starting',
  running: 'open',
  asleep: 'open',
  failed: 'failed',
  terminated: 'failed',
}
