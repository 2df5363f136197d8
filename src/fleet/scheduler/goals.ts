import type { ServerSpec } from '../../domain/server-spec.ts'
import { autoscale, newScale, type ScaleState } from './autoscale.ts'
import type { Goal } from './plan-model.ts'
import { specHash } from './spec-hash.ts'

/** How many replicas a server is to have has changed. */
export interface Scaled {
  readonly server: string
  readonly from: number
  readonly to: number
}

export interface LoadInput {
  /** On the monotonic clock. */
  readonly now: number
  /** Calls in flight for a server. */
  calls(server: string): number
}

interface Aim {
  readonly spec: ServerSpec
  readonly specHash: string
  scale: ScaleState | undefined
  freshFrom: number
  /** Nodes where it crashed again and again, and when that was, on the monotonic clock. */
  readonly avoid: Map<string, number>
}

/** After this long a node gets another chance with a server that crashed there. */
const AVOID_MS = 600_000

/** What is to be of each server. */
export class Goals {
  readonly #aims = new Map<string, Aim>()
  readonly #woken = new Set<string>()

  /** Makes the servers those of `specs` that are enabled, and returns where the number of replicas differs from before. */
  apply(specs: ReadonlyMap<string, ServerSpec>, now: number): readonly Scaled[] {
    const scaled: Scaled[] = []
    for (const name of this.#aims.keys()) if (!specs.get(name)?.enabled) this.#aims.delete(name)
    for (const spec of specs.values()) {
      if (!spec.enabled) continue
      const past = this.#aims.get(spec.name)
      const aim = nextAim(spec, past, now)
      this.#aims.set(spec.name, aim)
      if (past && desiredOf(past) !== desiredOf(aim))
        scaled.push({ server: spec.name, from: desiredOf(past), to: desiredOf(aim) })
    }
    return scaled
  }

  has(server: string): boolean {
    return this.#aims.has(server)
  }

  spec(server: string): ServerSpec | undefined {
    return this.#aims.get(server)?.spec
  }

  specHash(server: string): string | undefined {
    return this.#aims.get(server)?.specHash
  }

  /** How many replicas the server is to have; undefined for one that is not among the settings. */
  desired(server: string): number | undefined {
    const aim = this.#aims.get(server)
    return aim && desiredOf(aim)
  }

  list(now: number): readonly Goal[] {
    return [...this.#aims.values()].map((aim) => {
      for (const [node, at] of aim.avoid) if (now - at >= AVOID_MS) aim.avoid.delete(node)
      return {
        spec: aim.spec,
        specHash: aim.specHash,
        desired: desiredOf(aim),
        freshFrom: aim.freshFrom,
        avoid: [...aim.avoid.keys()],
      }
    })
  }

  /** A call has come for a server that has no replica. */
  wake(server: string): void {
    if (this.#aims.has(server)) this.#woken.add(server)
  }

  /** Replicas of older epochs are to be replaced. */
  renew(server: string, freshFrom: number): void {
    const aim = this.#aims.get(server)
    if (aim) aim.freshFrom = freshFrom
  }

  avoid(server: string, node: string, now: number): void {
    this.#aims.get(server)?.avoid.set(node, now)
  }

  /** Servers under autoscaling go on with as many replicas as were found running. */
  adopt(running: ReadonlyMap<string, number>, now: number): void {
    for (const [name, aim] of this.#aims) {
      const { autoscale: rule } = aim.spec.replication
      const count = running.get(name) ?? 0
      if (rule && count > desiredOf(aim)) aim.scale = newScale(rule, count, now)
    }
  }

  /** Looks at the load of all servers under autoscaling, and returns those that are to have another number of replicas. */
  followLoad({ now, calls }: LoadInput): readonly Scaled[] {
    const scaled: Scaled[] = []
    for (const [server, aim] of this.#aims) {
      const { autoscale: rule } = aim.spec.replication
      if (!rule || !aim.scale) continue
      const from = aim.scale.desired
      const woken = this.#woken.has(server)
      aim.scale = autoscale(rule, aim.scale, { calls: calls(server), now, woken })
      if (aim.scale.desired !== from) scaled.push({ server, from, to: aim.scale.desired })
    }
    this.#woken.clear()
    return scaled
  }
}

function desiredOf({ scale, spec }: Aim): number {
  return scale?.desired ?? spec.replication.replicas
}

function nextAim(spec: ServerSpec, past: Aim | undefined, now: number): Aim {
  const hash = past?.spec === spec ? past.specHash : specHash(spec)
  const isSame = past?.specHash === hash
  return {
    spec,
    specHash: hash,
    scale: nextScale(spec, past, now),
    freshFrom: past?.freshFrom ?? 0,
    avoid: isSame ? past.avoid : new Map(),
  }
}

function nextScale(spec: ServerSpec, past: Aim | undefined, now: number): ScaleState | undefined {
  const { autoscale: rule } = spec.replication
  if (!rule) return undefined
  const { desired } = newScale(rule, past ? desiredOf(past) : 0, now)
  return past?.scale ? { ...past.scale, desired } : newScale(rule, desired, now)
}
