import type { ReplicaHandle, Standing } from '../../src/gateway/balancing/ports.ts'
import type { Holder } from '../../src/gateway/dispatch/servers.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { FakeUpstream } from './upstream.ts'

/** A replica that is what the test says. */
export class FakeReplica implements ReplicaHandle {
  readonly id: string
  node: string
  epoch = 1
  weight = 1
  readonly createdAt = 0
  standing: Standing = 'open'
  load = 0
  shared = new FakeUpstream()
  /** Upstreams of single sessions, by holder. */
  readonly own = new Map<string, FakeUpstream>()
  readonly released: string[] = []
  /** Whether each session has an upstream of its own. */
  readonly isOwn: boolean
  /** Replaces what `upstream` gives. */
  give: ((holder?: Holder) => Upstream | Promise<Upstream>) | undefined

  constructor(
    id: string,
    parts: { node?: string; weight?: number; standing?: Standing; own?: boolean } = {},
  ) {
    this.id = id
    this.node = parts.node ?? `node-of-${id}`
    this.weight = parts.weight ?? 1
    this.standing = parts.standing ?? 'open'
    this.isOwn = parts.own ?? false
  }

  upstream(holder?: Holder): Upstream | Promise<Upstream> {
    if (this.give) return this.give(holder)
    if (!this.isOwn || !holder) return this.shared
    const own = this.own.get(holder.id) ?? new FakeUpstream()
    this.own.set(holder.id, own)
    return own
  }

  openUpstream(holder?: Holder): Upstream | undefined {
    const open = this.isOwn && holder ? this.own.get(holder.id) : this.shared
    return open?.ended ? undefined : open
  }

  release(holderId: string): void {
    this.released.push(holderId)
    this.own.delete(holderId)
  }
}
