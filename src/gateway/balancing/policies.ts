import type { BalanceStrategy } from '../../domain/cluster.ts'
import type { Random } from '../../kernel/random.ts'

/** A replica as a policy sees it. */
export interface Candidate {
  readonly id: string
  /** Its node's; 1 is usual. */
  readonly weight: number
  /** Calls in flight. */
  readonly load: number
  /** Sessions that are bound to it. */
  readonly sessions: number
  /** How much of its share it should get, 0–1: less than 1 for a replica that does worse than the others. */
  readonly share: number
}

/** What a policy remembers between two choices of one server. */
export interface PolicyState {
  turn: number
  /** What each replica is owed, by id (smooth weighted round-robin). */
  readonly credit: Map<string, number>
}

export function newPolicyState(): PolicyState {
  return { turn: 0, credit: new Map() }
}

/** Which of `candidates` takes the next call or session; undefined if there is none. Changes `state` only. */
export function choose<C extends Candidate>(
  strategy: BalanceStrategy,
  candidates: readonly C[],
  { state, random }: { state: PolicyState; random: Random },
): C | undefined {
  if (candidates.length < 2) return candidates[0]
  switch (strategy) {
    case 'round-robin':
      return candidates.some(({ share }) => share < 1)
        ? smoothly(candidates, state, ({ share }) => share)
        : inTurn(candidates, state)
    case 'weighted':
      return smoothly(candidates, state, ({ weight, share }) => weight * share)
    case 'least-connections':
      return leastBusy(candidates, state)
    case 'random':
      return atRandom(candidates, random)
    default:
      return strategy satisfies never
  }
}

function inTurn<C extends Candidate>(candidates: readonly C[], state: PolicyState): C | undefined {
  state.turn = (state.turn + 1) % TURNS
  return candidates[state.turn % candidates.length]
}

/** So many that the jump at its end does not show. */
const TURNS = 2 ** 30

/**
 * Smooth weighted round-robin, as nginx has it: each round everybody is owed its weight more, and who is owed most is chosen and pays
 * for all. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
 */
function smoothly<C extends Candidate>(
  candidates: readonly C[],
  { credit }: PolicyState,
  weightOf: (candidate: C) => number,
): C | undefined {
  let best: C | undefined
  let bestCredit = Number.NEGATIVE_INFINITY
  let total = 0
  for (const candidate of candidates) {
    const weight = weightOf(candidate)
    total += weight
    const owed = (credit.get(candidate.id) ?? 0) + weight
    credit.set(candidate.id, owed)
    if (owed <= bestCredit) continue
    best = candidate
    bestCredit = owed
  }
  if (best) credit.set(best.id, bestCredit - total)
  return best
}

/** The fewest calls in flight; among equals the fewest sessions, and among those each in its turn. */
function leastBusy<C extends Candidate>(candidates: readonly C[], state: PolicyState): C | undefined {
  state.turn = (state.turn + 1) % TURNS
  let best: C | undefined
  let bestLoad = Number.POSITIVE_INFINITY
  for (let step = 0; step < candidates.length; step += 1) {
    const candidate = candidates[(state.turn + step) % candidates.length]
    if (!candidate) continue
    // One more than there are: an idle replica that does badly is not as good as an idle one that does well.
    const load = candidate.share < 1 ? (candidate.load + 1) / candidate.share - 1 : candidate.load
    if (load > bestLoad || (load === bestLoad && best && candidate.sessions >= best.sessions)) continue
    best = candidate
    bestLoad = load
  }
  return best
}

function atRandom<C extends Candidate>(candidates: readonly C[], random: Random): C | undefined {
  const total = candidates.reduce((sum, { share }) => sum + share, 0)
  let left = random.fraction() * total
  for (const candidate of candidates) {
    left -= candidate.share
    if (left < 0) return candidate
  }
  return candidates.at(-1)
}
