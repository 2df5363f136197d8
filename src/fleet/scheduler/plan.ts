import { Board } from './placement.ts'
import type { Goal, Plan, PlanInput, PlanReplica } from './plan-model.ts'
import { planServer } from './server-plan.ts'

/**
 * What to do so that the replicas become those that are wanted, one safe step at a time: made again and again on what is then the case, it
 * comes to an end. The same input always gives the same plan.
 */
export function plan(input: PlanInput): Plan {
  const board = new Board(input.nodes, input.runsServers)
  const result: Plan = { create: [], drain: [], restore: [], remove: [], lost: [], short: [] }
  const byServer = new Map<string, PlanReplica[]>()
  const taken = new Set<string>()
  for (const replica of input.replicas) {
    taken.add(replica.id)
    board.add(replica.node, replica.phase === 'pending' || replica.phase === 'starting')
    const own = byServer.get(replica.server)
    if (own) own.push(replica)
    else byServer.set(replica.server, [replica])
  }
  for (const goal of inOrder(input.goals, byServer)) {
    const replicas = (byServer.get(goal.spec.name) ?? []).sort(byId)
    byServer.delete(goal.spec.name)
    planServer({ goal, replicas, board, taken, result })
  }
  for (const replicas of byServer.values()) planWithoutGoal(replicas.sort(byId), board, result)
  return result
}

function byId(a: PlanReplica, b: PlanReplica): number {
  return a.id < b.id ? -1 : 1
}

/** Where there is not room for all, servers that have nothing come first. */
function inOrder(goals: readonly Goal[], byServer: ReadonlyMap<string, readonly PlanReplica[]>): Goal[] {
  const rank = ({ spec }: Goal) => (byServer.get(spec.name)?.some(({ phase }) => phase === 'running') ? 1 : 0)
  return goals
    .map((goal) => ({ goal, rank: rank(goal) }))
    .sort((a, b) => a.rank - b.rank || (a.goal.spec.name < b.goal.spec.name ? -1 : 1))
    .map(({ goal }) => goal)
}

/** The coordinator's settings do not name the server: managed replicas end, and pinned ones are their nodes' own. */
function planWithoutGoal(replicas: readonly PlanReplica[], board: Board, result: Plan): void {
  const isServing = ({ node: id, phase }: PlanReplica) => {
    const node = board.living(id)
    return phase === 'running' && node?.state === 'online' && !node.draining
  }
  const hasOther = replicas.some((replica) => replica.origin === 'pinned' && isServing(replica))
  for (const replica of replicas) {
    const node = board.living(replica.node)
    if (!node) result.remove.push({ id: replica.id, reason: 'gone' })
    else if (replica.origin === 'managed') {
      if (replica.stage !== 'stopping') result.remove.push({ id: replica.id, reason: 'unwanted' })
    } else if (node.draining && hasOther && replica.stage === 'active')
      result.drain.push({ id: replica.id, reason: 'moved' })
    else if (!node.draining && replica.stage === 'draining') result.restore.push(replica.id)
  }
}
