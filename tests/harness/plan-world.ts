import type { Replication } from '../../src/domain/replication.ts'
import type { PlacementNode } from '../../src/fleet/scheduler/placement.ts'
import { plan } from '../../src/fleet/scheduler/plan.ts'
import type { Goal, Plan, PlanReplica } from '../../src/fleet/scheduler/plan-model.ts'
import { serverSpec } from '../fakes/domain.ts'

export function planNode(id: string, parts: Partial<PlacementNode> = {}): PlacementNode {
  return {
    id,
    role: 'worker',
    state: 'online',
    cordoned: false,
    draining: false,
    labels: {},
    maxServers: undefined,
    runtimes: [],
    load: { cpuPercent: 0, memoryPercent: 0, activeCalls: 0 },
    ...parts,
  }
}

export function goal(
  name: string,
  desired: number,
  parts: Partial<Omit<Goal, 'spec'>> & { replication?: Partial<Replication>; command?: string } = {},
): Goal {
  const { replication, command = name, ...rest } = parts
  const spec = serverSpec(name, {
    transport: { kind: 'stdio', command, args: [], env: {}, cwd: undefined },
  })
  return {
    spec: { ...spec, replication: { ...spec.replication, ...replication } },
    specHash: 'v1',
    desired,
    freshFrom: 0,
    avoid: [],
    ...rest,
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A cluster of which only the planning is real: nodes do what the plan says, at the pace of the test. */
export class PlanWorld {
  nodes: PlacementNode[] = []
  goals: Goal[] = []
  readonly replicas = new Map<string, Mutable<PlanReplica>>()
  runsServers: boolean | 'auto' = 'auto'
  /** Sentences about what must never be. */
  readonly wrongs: string[] = []
  #epoch = 0
  #time = 0

  constructor(nodes: readonly PlacementNode[] = [], goals: readonly Goal[] = []) {
    this.nodes = [...nodes]
    this.goals = [...goals]
  }

  node(id: string): PlacementNode | undefined {
    return this.nodes.find((node) => node.id === id)
  }

  change(id: string, parts: Partial<PlacementNode>): void {
    this.nodes = this.nodes.map((node) => (node.id === id ? { ...node, ...parts } : node))
  }

  aim(name: string, parts: Partial<Goal>): void {
    this.goals = this.goals.map((each) => (each.spec.name === name ? { ...each, ...parts } : each))
  }

  put(id: string, node: string, parts: Partial<PlanReplica> = {}): void {
    const [server = ''] = id.split(/-replica-|@/)
    this.#time += 1
    this.replicas.set(id, {
      id,
      epoch: 1,
      server,
      origin: id.includes('@') ? 'pinned' : 'managed',
      node,
      specHash: 'v1',
      phase: 'running',
      stage: 'active',
      failures: 0,
      createdAt: this.#time,
      ...parts,
    })
  }

  of(server: string): PlanReplica[] {
    return [...this.replicas.values()].filter((replica) => replica.server === server)
  }

  serving(server: string): PlanReplica[] {
    return this.of(server).filter(
      ({ phase, stage, node }) =>
        phase === 'running' && stage !== 'stopping' && this.node(node)?.state === 'online',
    )
  }

  /** Plans, and does what the plan says. */
  plan(): Plan {
    const made = plan({
      nodes: this.nodes,
      runsServers: this.runsServers,
      goals: this.goals,
      replicas: [...this.replicas.values()],
    })
    for (const { id, reason } of made.remove) {
      if (reason === 'gone') this.replicas.delete(id)
      else this.#set(id, { stage: 'stopping' })
    }
    for (const { id } of made.drain) this.#set(id, { stage: 'draining' })
    for (const id of made.restore) this.#set(id, { stage: 'active' })
    for (const id of made.lost) this.#set(id, { phase: 'stopped' })
    for (const creation of made.create) this.#create(creation)
    return made
  }

  /** What is told to end ends; what was placed comes to run, or fails. */
  work(fails: (replica: PlanReplica) => boolean = () => false): void {
    for (const replica of this.replicas.values()) {
      const node = this.node(replica.node)
      if (!node || node.state === 'offline') continue
      const ends =
        replica.stage === 'stopping' || (replica.stage === 'draining' && replica.origin === 'managed')
      if (ends) this.replicas.delete(replica.id)
      else if (fails(replica)) {
        replica.phase = 'error'
        replica.failures += 1
      } else if (replica.phase !== 'running') replica.phase = 'running'
    }
  }

  /** Goes on until a plan has nothing to do; returns how many rounds it took, or undefined when it does not come to an end. */
  converge(most = 200): number | undefined {
    for (let round = 0; round < most; round += 1) {
      const { create, drain, restore, remove } = this.plan()
      if (create.length + drain.length + restore.length + remove.length === 0 && !this.#isBusy()) return round
      this.work()
    }
    return undefined
  }

  #isBusy(): boolean {
    return [...this.replicas.values()].some(
      ({ node, phase, stage, origin }) =>
        this.node(node)?.state === 'online' &&
        (phase !== 'running' || (stage !== 'active' && origin === 'managed')),
    )
  }

  #set(id: string, parts: Partial<PlanReplica>): void {
    const replica = this.replicas.get(id)
    if (replica) Object.assign(replica, parts)
    else this.wrongs.push(`${id} is not there`)
  }

  #create({ id, server, node: target }: Plan['create'][number]): void {
    const node = this.node(target)
    const before = this.replicas.get(id)
    const old = before && this.node(before.node)
    if (old && old.state !== 'offline') this.wrongs.push(`${id} is placed while an older one of it lives`)
    if (node?.state !== 'online' || node.cordoned || node.draining)
      this.wrongs.push(`${id} is placed on a node that takes none`)
    this.#epoch += 1
    this.put(id, target, {
      server,
      epoch: this.#epoch + 1,
      phase: 'pending',
      specHash: this.goals.find(({ spec }) => spec.name === server)?.specHash ?? '',
    })
    const count = [...this.replicas.values()].filter((each) => each.node === target).length
    if (node?.maxServers !== undefined && count > node.maxServers)
      this.wrongs.push(`node ${target} has more than ${node.maxServers}`)
  }
}
