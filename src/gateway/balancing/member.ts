import type { Upstream } from '../../upstream/upstream.ts'
import type { Holder } from '../dispatch/servers.ts'
import type { Placed } from './affinity.ts'
import { Health } from './outliers.ts'
import type { ReplicaHandle } from './ports.ts'

/** How long a replica that has lost a call is passed over, unless it is seen to be up again before, ms. */
const DOUBT_MS = 5_000

/** A replica that a call goes to. `told` is false while its upstream has not yet been told what the session has set. */
export interface Choice {
  readonly member: Member
  told: boolean
}

/** A session's bond to a replica. */
export interface Binding extends Choice {
  readonly holder: Holder
  /** ms since the epoch. */
  readonly createdAt: number
  /** Monotonic, ms. */
  lastUsed: number
}

/** A replica in its set, with what this coordinator has seen of it. */
export class Member implements Placed {
  handle: ReplicaHandle
  readonly id: string
  readonly epoch: number
  readonly node: string
  readonly health = new Health()
  /** The health of the others. */
  peers: readonly Health[] = []
  sessions = 0
  share = 1
  /** For calls without a bond: always the same object. */
  readonly unbound: Choice
  #doubt: { readonly lost: Upstream | undefined; readonly until: number } | undefined

  constructor(handle: ReplicaHandle) {
    this.handle = handle
    this.id = handle.id
    this.epoch = handle.epoch
    this.node = handle.node
    this.unbound = { member: this, told: true }
  }

  get weight(): number {
    return this.handle.weight
  }

  get load(): number {
    return this.handle.load
  }

  /** It has lost a call or could not be opened, which its node may not have reported yet. */
  doubt(lost: Upstream | undefined, now: number): void {
    this.#doubt = { lost, until: now + DOUBT_MS }
  }

  /** Whether there is nothing against giving it a call now. */
  trusted(now: number): boolean {
    return this.handle.standing === 'open' && !this.#doubted(now) && this.health.admits(now)
  }

  #doubted(now: number): boolean {
    if (!this.#doubt) return false
    const { lost, until } = this.#doubt
    const open = this.handle.openUpstream()
    if (now < until && (!open || open === lost || open.ended)) return true
    this.#doubt = undefined
    return false
  }
}
