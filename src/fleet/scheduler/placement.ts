import type { NodeAffinity, NodeView } from '../../domain/cluster.ts'

/** What placement looks at in a node. */
export type PlacementNode = Pick<
  NodeView,
  'id' | 'role' | 'state' | 'cordoned' | 'draining' | 'labels' | 'maxServers' | 'runtimes' | 'load'
>

/** What a server asks of a node. */
export interface Wanted {
  readonly name: string
  readonly affinity: NodeAffinity
  /** The program that starts it, if it is one of which nodes tell. */
  readonly runtime: string | undefined
  /** Nodes where it crashed again and again: only if there is no other. */
  readonly avoid: readonly string[]
}

/** Loads change while one looks at them: nodes whose scores differ by no more than this count as equally good. */
const SAME_SCORE = 5
/** What another copy on the node counts. */
const COPY_COST = 20
/** A node must be so much better that a replica is moved to it. Loads that change do not send it back and forth. */
const WORTH_A_MOVE = 10
/** What a replica that has not started yet will cost, in percent of a processor: the last heartbeat could not know of it. */
const STARTING_CPU_PERCENT = 2

export interface ScoreParts {
  /** Of the same server, on the node. */
  readonly copies: number
  readonly cpuPercent: number
  readonly memoryPercent: number
  readonly preferred: boolean
}

/** How well a node suits a replica: 100 − 20 × copies − 0.5 × cpu% − 0.5 × memory% + 30 if preferred. Higher is better. */
export function scoreOf({ copies, cpuPercent, memoryPercent, preferred }: ScoreParts): number {
  return 100 - COPY_COST * copies - 0.5 * cpuPercent - 0.5 * memoryPercent + (preferred ? 30 : 0)
}

interface Seat {
  readonly node: PlacementNode
  /** All replicas on the node. */
  replicas: number
  /** Those that are still to start. */
  starting: number
  /** Of the server in focus. */
  copies: number
  /** Scratch space of one choice. */
  score: number
}

interface Eligible {
  readonly workers: readonly Seat[]
  readonly coordinators: readonly Seat[]
}

/** The nodes with what is placed on them, while one plan is made. */
export class Board {
  /** In the order of their ids, which decides between equals. */
  readonly #seats: readonly Seat[]
  readonly #byId: ReadonlyMap<string, Seat>
  readonly #runsServers: boolean | 'auto'
  readonly #eligible = new Map<string, Eligible>()
  #focus: readonly Seat[] = []

  /** @param runsServers whether coordinators are candidates; `auto`: only where no worker is */
  constructor(nodes: readonly PlacementNode[], runsServers: boolean | 'auto') {
    this.#seats = nodes
      .map((node) => ({ node, replicas: 0, starting: 0, copies: 0, score: 0 }))
      .sort((a, b) => (a.node.id < b.node.id ? -1 : 1))
    this.#byId = new Map(this.#seats.map((seat) => [seat.node.id, seat]))
    this.#runsServers = runsServers
  }

  /** The node, unless it is offline or unknown. */
  living(id: string): PlacementNode | undefined {
    const node = this.#byId.get(id)?.node
    return node?.state === 'offline' ? undefined : node
  }

  /** Counts a replica that is on a node. */
  add(id: string, isStarting: boolean): void {
    const seat = this.#byId.get(id)
    if (!seat) return
    seat.replicas += 1
    if (isStarting) seat.starting += 1
  }

  /** Says where the copies of the server are that the next calls are about. */
  focus(copies: readonly string[]): void {
    for (const seat of this.#focus) seat.copies = 0
    this.#focus = copies.flatMap((id) => this.#byId.get(id) ?? [])
    for (const seat of this.#focus) seat.copies += 1
  }

  /** Chooses a node for one more replica of the server in focus, and counts it there. */
  place(wanted: Wanted): string | undefined {
    const seat = this.#choose(wanted)
    if (!seat) return undefined
    seat.replicas += 1
    seat.starting += 1
    seat.copies += 1
    this.#focus = [...this.#focus, seat]
    return seat.node.id
  }

  /** Whether there is room on a node where the server has not been seen to crash again and again. */
  hasFresh(wanted: Wanted): boolean {
    const { workers, coordinators } = this.#candidates(wanted)
    return [...workers, ...coordinators].some((seat) => hasRoom(seat) && !wanted.avoid.includes(seat.node.id))
  }

  /** Whether a replica of the server in focus would be better off on a node that has none. */
  hasBetter(wanted: Wanted, id: string): boolean {
    const seat = this.#choose(wanted)
    if (!seat || seat.copies > 0 || wanted.avoid.includes(seat.node.id)) return false
    return score(seat, wanted) > this.worth(wanted, id) + COPY_COST + WORTH_A_MOVE
  }

  /** Whether its affinity lets the server be on the node. */
  mayStay(wanted: Wanted, id: string): boolean {
    const seat = this.#byId.get(id)
    return seat !== undefined && allowedBy(wanted.affinity, seat.node)
  }

  /** Whether the node would take a replica if it had room for it. */
  couldPlace(wanted: Wanted, id: string): boolean {
    const { workers, coordinators } = this.#candidates(wanted)
    return [...workers, ...coordinators].some(({ node }) => node.id === id)
  }

  /** How well a replica of the server in focus is where it is: the lowest goes first. */
  worth(wanted: Wanted, id: string): number {
    const seat = this.#byId.get(id)
    return seat ? score(seat, wanted) : Number.NEGATIVE_INFINITY
  }

  /** Why no node takes another replica, as a sentence for people. */
  refusal(wanted: Wanted): string {
    const reasons = new Map<string, number>()
    for (const seat of this.#seats) {
      const reason = this.#objection(seat.node, wanted) ?? `full (maxServers ${seat.node.maxServers})`
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
    const told = [...reasons].map(([reason, count]) => `${count} ${reason}`)
    return `No node can take a replica of "${wanted.name}": ${told.join(', ') || 'no node has joined'}.`
  }

  #choose(wanted: Wanted): Seat | undefined {
    const { workers, coordinators } = this.#candidates(wanted)
    return best(workers, wanted) ?? best(coordinators, wanted)
  }

  /** Where only room and score decide. Most servers ask for the same, so that this is worked out a few times per plan. */
  #candidates(wanted: Wanted): Eligible {
    const key = JSON.stringify([wanted.runtime, wanted.affinity.labels, wanted.affinity.excludeNodeIds])
    const known = this.#eligible.get(key)
    if (known) return known
    const seats = this.#seats.filter(({ node }) => this.#objection(node, wanted) === undefined)
    const isSecond = ({ node }: Seat) => node.role === 'coordinator' && this.#runsServers === 'auto'
    const found = {
      workers: seats.filter((seat) => !isSecond(seat)),
      coordinators: seats.filter(isSecond),
    }
    this.#eligible.set(key, found)
    return found
  }

  /** Why the node is no candidate, whatever room it has; reads well after a number of nodes. */
  #objection(node: PlacementNode, { affinity, runtime }: Wanted): string | undefined {
    if (node.role === 'coordinator' && this.#runsServers === false)
      return 'a coordinator that runs no servers'
    if (node.state !== 'online') return node.state
    if (node.draining) return 'draining'
    if (node.cordoned) return 'cordoned'
    if (affinity.excludeNodeIds.includes(node.id)) return 'excluded by its affinity'
    if (!allowedBy(affinity, node)) return `without the labels ${labelText(affinity)}`
    if (runtime !== undefined && !node.runtimes.includes(runtime)) return `without the program "${runtime}"`
    return undefined
  }
}

function best(seats: readonly Seat[], wanted: Wanted): Seat | undefined {
  if (wanted.avoid.length === 0) return bestOf(seats, wanted)
  const fresh = seats.filter(({ node }) => !wanted.avoid.includes(node.id))
  return bestOf(fresh, wanted) ?? bestOf(seats, wanted)
}

/** Of those whose score is about the highest the one with the fewest replicas, else the first. */
function bestOf(seats: readonly Seat[], wanted: Wanted): Seat | undefined {
  let highest = Number.NEGATIVE_INFINITY
  for (const seat of seats) {
    seat.score = hasRoom(seat) ? score(seat, wanted) : Number.NEGATIVE_INFINITY
    if (seat.score > highest) highest = seat.score
  }
  if (highest === Number.NEGATIVE_INFINITY) return undefined
  let chosen: Seat | undefined
  for (const seat of seats)
    if (seat.score >= highest - SAME_SCORE && (!chosen || seat.replicas < chosen.replicas)) chosen = seat
  return chosen
}

function score({ node, copies, starting }: Seat, { affinity }: Wanted): number {
  return scoreOf({
    copies,
    cpuPercent: Math.min(100, node.load.cpuPercent + starting * STARTING_CPU_PERCENT),
    memoryPercent: node.load.memoryPercent,
    preferred: affinity.nodeIds.includes(node.id),
  })
}

function hasRoom({ node, replicas }: Seat): boolean {
  return node.maxServers === undefined || replicas < node.maxServers
}

function allowedBy({ excludeNodeIds, labels }: NodeAffinity, node: PlacementNode): boolean {
  if (excludeNodeIds.includes(node.id)) return false
  return Object.entries(labels).every(([key, value]) => node.labels[key] === value)
}

function labelText({ labels }: NodeAffinity): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
