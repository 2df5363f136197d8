import { runtimeOf } from '../membership/runtimes.ts'
import type { Board, Wanted } from './placement.ts'
import type { CreateReason, DrainReason, Goal, Plan, PlanReplica } from './plan-model.ts'

/** A replica that has crashed this often in a row is tried on another node; twice as often with each node that has been tried. */
export const CRASHES_BEFORE_MOVE = 5
const MOST_DOUBLINGS = 5
/** Worths closer than this say nothing: loads change from one heartbeat to the next. */
const SAME_WORTH = 10

export interface ServerPlanInput {
  readonly goal: Goal
  /** All of this server, in the order of their ids. */
  readonly replicas: readonly PlanReplica[]
  readonly board: Board
  /** The ids of all replicas of the cluster; new ones are added. */
  readonly taken: Set<string>
  readonly result: Plan
}

/** Adds to `result` what is to be done for one server. */
export function planServer(input: ServerPlanInput): void {
  new ServerPlan(input).make()
}

class ServerPlan {
  readonly #goal: Goal
  readonly #board: Board
  readonly #taken: Set<string>
  readonly #result: Plan
  #wanted: Wanted
  /** Active ones in their right place and under the right settings, pinned ones among them. */
  #keep: PlanReplica[] = []
  /** Active ones whose node is to be left. */
  readonly #leaving: PlanReplica[] = []
  /** Active ones that were started under other settings. */
  readonly #outdated: PlanReplica[] = []
  readonly #draining: PlanReplica[] = []
  readonly #lost: PlanReplica[] = []
  #added = 0

  constructor({ goal, replicas, board, taken, result }: ServerPlanInput) {
    this.#goal = goal
    this.#board = board
    this.#taken = taken
    this.#result = result
    const { spec, avoid } = goal
    const { affinity } = spec.replication
    this.#wanted = { name: spec.name, affinity, runtime: runtimeOf(spec), avoid }
    for (const replica of replicas) this.#classify(replica)
  }

  make(): void {
    this.#leaveCrashing()
    this.#board.focus([...this.#keep, ...this.#leaving, ...this.#outdated].map(({ node }) => node))
    this.#spread()
    this.#dropSurplus()
    this.#fill()
    this.#retire()
  }

  #classify(replica: PlanReplica): void {
    const node = this.#board.living(replica.node)
    if (!node) {
      if (replica.origin === 'managed' && replica.stage === 'active') this.#lost.push(replica)
      else this.#result.remove.push({ id: replica.id, reason: 'gone' })
    } else if (replica.origin === 'pinned') this.#classifyPinned(replica, node.draining)
    else if (replica.stage === 'draining') this.#draining.push(replica)
    else if (replica.stage === 'active') {
      if (node.draining || !this.#board.mayStay(this.#wanted, replica.node)) this.#leaving.push(replica)
      else if (this.#isOutdated(replica)) this.#outdated.push(replica)
      else this.#keep.push(replica)
    }
  }

  /** A pinned replica runs as its node's settings say; it is never stopped from here, and counts unless it only ever crashes. */
  #classifyPinned(replica: PlanReplica, nodeDrains: boolean): void {
    if (nodeDrains) {
      if (replica.stage === 'active') this.#leaving.push(replica)
      return
    }
    if (replica.stage === 'draining') this.#result.restore.push(replica.id)
    if (!this.#isCrashing(replica)) this.#keep.push(replica)
  }

  #isOutdated({ specHash, epoch }: PlanReplica): boolean {
    return specHash !== this.#goal.specHash || epoch < this.#goal.freshFrom
  }

  #isReady({ phase, node }: PlanReplica): boolean {
    return phase === 'running' && this.#board.living(node)?.state === 'online'
  }

  #isCrashing({ phase, failures }: PlanReplica): boolean {
    const doublings = Math.min(this.#wanted.avoid.length, MOST_DOUBLINGS)
    return phase === 'error' && failures >= CRASHES_BEFORE_MOVE * 2 ** doublings
  }

  #leaveCrashing(): void {
    for (const replica of this.#keep) {
      if (replica.origin === 'pinned' || !this.#isCrashing(replica)) continue
      const wanted = { ...this.#wanted, avoid: [...this.#wanted.avoid, replica.node] }
      if (!this.#board.hasFresh(wanted)) continue
      this.#wanted = wanted
      this.#keep = this.#keep.filter((other) => other !== replica)
      this.#result.remove.push({ id: replica.id, reason: 'crashing' })
    }
  }

  /**
   * Replicas that share a node end with it: one of them moves to a node that has none. Only where sessions may move unnoticed, one at a
   * time, and while nothing else is to be done.
   */
  #spread(): void {
    if (this.#goal.spec.replication.stateLoss !== 'stateless') return
    if (this.#leaving.length + this.#outdated.length + this.#draining.length + this.#lost.length > 0) return
    const crowded = this.#mostCrowded()
    if (!crowded || !(this.#maySpread(crowded.node) || this.#isSpreading())) return
    this.#keep = this.#keep.filter((replica) => replica !== crowded)
    this.#leaving.push(crowded)
  }

  #maySpread(node: string): boolean {
    const isSettled = this.#keep.length === this.#goal.desired && this.#keep.every((r) => this.#isReady(r))
    return isSettled && this.#board.hasBetter(this.#wanted, node)
  }

  /** A successor is on its way, alone on its node: without this it would be one too many, and go first. */
  #isSpreading(): boolean {
    const [coming, ...others] = this.#keep.filter((replica) => !this.#isReady(replica))
    if (!coming || others.length > 0 || this.#keep.length !== this.#goal.desired + 1) return false
    return this.#keep.filter(({ node }) => node === coming.node).length === 1
  }

  /** Of the managed replicas that share a node with others the newest, where there are most. */
  #mostCrowded(): PlanReplica | undefined {
    const copies = Map.groupBy(this.#keep, ({ node }) => node)
    const sharing = this.#keep.filter(
      ({ node, origin }) => origin === 'managed' && (copies.get(node)?.length ?? 0) > 1,
    )
    const rank = ({ node, createdAt }: PlanReplica) => [copies.get(node)?.length ?? 0, createdAt]
    return sharing.sort((a, b) => compare(rank(b), rank(a)))[0]
  }

  /** What does not serve goes first; what does serve stays until enough others do. */
  #dropSurplus(): void {
    const { desired } = this.#goal
    for (let surplus = this.#keep.length - desired; surplus > 0; surplus -= 1) {
      const ready = this.#keep.filter((replica) => this.#isReady(replica)).length
      const worst = this.#worstOf(
        this.#keep.filter(
          (replica) => replica.origin === 'managed' && (ready > desired || !this.#isReady(replica)),
        ),
      )
      if (!worst) return
      this.#drain(worst, 'surplus')
      this.#keep = this.#keep.filter((replica) => replica !== worst)
      this.#board.focus([...this.#keep, ...this.#leaving, ...this.#outdated].map(({ node }) => node))
    }
  }

  #worstOf(replicas: readonly PlanReplica[]): PlanReplica | undefined {
    let worst: { replica: PlanReplica; rank: readonly number[] } | undefined
    for (const replica of replicas) {
      const worth = Math.round(this.#board.worth(this.#wanted, replica.node) / SAME_WORTH)
      const rank = [this.#isReady(replica) ? 1 : 0, worth, -replica.createdAt]
      // They come in the order of their ids: among equals the last one goes.
      if (!worst || compare(rank, worst.rank) <= 0) worst = { replica, rank }
    }
    return worst?.replica
  }

  #fill(): void {
    const going = this.#leaving.length + this.#outdated.length
    const missing = this.#goal.desired - this.#keep.length
    const additions = Math.max(0, missing - going)
    for (let n = 0; n < additions; n += 1) if (!this.#add(this.#reasonToAdd())) break
    const successors = Math.max(0, Math.min(missing - additions, going))
    if (successors > 0) this.#addSuccessors(successors)
    const enough = this.#keep.length + this.#added + going >= this.#goal.desired
    for (const { id } of this.#lost)
      if (enough) this.#result.remove.push({ id, reason: 'gone' })
      else this.#result.lost.push(id)
  }

  /** A node is left at once; other settings come to one replica at a time, so that bad ones do no more harm than that. */
  #addSuccessors(wanted: number): void {
    const coming = this.#keep.filter((replica) => !this.#isReady(replica) && replica.origin === 'managed')
    const onTheirWay = coming.filter(({ phase }) => phase !== 'error').length
    const moves = Math.min(wanted, this.#leaving.length - onTheirWay)
    for (let n = 0; n < moves; n += 1) if (!this.#add('moved')) return
    if (moves > 0 || this.#outdated.length === 0 || coming.length > 0 || this.#added > 0) return
    if (!this.#add('changed')) this.#makeRoom()
  }

  /** Nothing fits in beside the old ones: one of them has to end before its successor starts. */
  #makeRoom(): void {
    if (this.#draining.length > 0) return
    const at = this.#outdated.findIndex(({ node }) => this.#board.couldPlace(this.#wanted, node))
    const [replica] = at === -1 ? [] : this.#outdated.splice(at, 1)
    if (replica) this.#drain(replica, 'no-room')
  }

  #reasonToAdd(): CreateReason {
    if (this.#lost.length > 0) return 'lost'
    return this.#wanted.avoid.length > this.#goal.avoid.length ? 'moved' : 'new'
  }

  /** Returns false when no node takes one more. */
  #add(reason: CreateReason): boolean {
    if (this.#restoreOne()) return true
    const { name } = this.#wanted
    const node = this.#board.place(this.#wanted)
    if (node === undefined) {
      if (reason !== 'changed')
        this.#result.short.push({ server: name, reason: this.#board.refusal(this.#wanted) })
      return false
    }
    const id = this.#lost.shift()?.id ?? this.#freeId(name)
    this.#added += 1
    this.#result.create.push({ id, server: name, node, reason })
    return true
  }

  /** One that drains and is still good is better than a new one. */
  #restoreOne(): boolean {
    const at = this.#draining.findIndex(
      (replica) =>
        this.#isReady(replica) &&
        !this.#isOutdated(replica) &&
        this.#board.couldPlace(this.#wanted, replica.node),
    )
    const [replica] = at === -1 ? [] : this.#draining.splice(at, 1)
    if (!replica) return false
    this.#result.restore.push(replica.id)
    this.#keep.push(replica)
    return true
  }

  #freeId(server: string): string {
    for (let n = 1; ; n += 1) {
      const id = `${server}-replica-${n}`
      if (this.#taken.has(id)) continue
      this.#taken.add(id)
      return id
    }
  }

  /** Those that have been replaced end, and only while as many serve as should. */
  #retire(): void {
    const { desired } = this.#goal
    let total = this.#keep.length + this.#added + this.#leaving.length + this.#outdated.length
    let ready = [...this.#keep, ...this.#leaving, ...this.#outdated].filter((r) => this.#isReady(r)).length
    const retire = (replica: PlanReplica, reason: DrainReason) => {
      const serves = this.#isReady(replica)
      if (serves ? ready <= desired : total <= desired) return
      total -= 1
      if (serves) ready -= 1
      this.#drain(replica, reason)
    }
    const serveLast = (a: PlanReplica, b: PlanReplica) => Number(this.#isReady(a)) - Number(this.#isReady(b))
    for (const replica of this.#leaving.toSorted(serveLast)) retire(replica, 'moved')
    for (const replica of this.#outdated.toSorted(serveLast)) retire(replica, 'changed')
  }

  #drain({ id }: PlanReplica, reason: DrainReason): void {
    this.#result.drain.push({ id, reason })
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
