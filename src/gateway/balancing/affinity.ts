import type { Candidate } from './policies.ts'

/** A replica as affinity sees it. */
export interface Placed extends Candidate {
  readonly node: string
}

/**
 * Weighted rendezvous hashing: every replica draws a number for the session, and the highest wins. Whoever comes or goes
 * moves only what it wins or had won. https://www.ietf.org/archive/id/draft-ietf-bess-weighted-hrw-02.html
 */
export function byHash<C extends Candidate>(sessionId: string, candidates: readonly C[]): C | undefined {
  if (candidates.length < 2) return candidates[0]
  const seed = hash(sessionId, SEED)
  let best: C | undefined
  let bestScore = Number.NEGATIVE_INFINITY
  for (const candidate of candidates) {
    const drawn = (finish(hash(candidate.id, seed)) + 0.5) / 2 ** 32
    const score = -(candidate.weight * candidate.share) / Math.log(drawn)
    // Of equals the smaller id, so that the order of candidates decides nothing.
    if (score < bestScore || (score === bestScore && best && candidate.id > best.id)) continue
    best = candidate
    bestScore = score
  }
  return best
}

/** The session's replica on the node that it prefers; undefined if none is there. */
export function onNode<C extends Placed>(
  node: string,
  sessionId: string,
  candidates: readonly C[],
): C | undefined {
  return byHash(
    sessionId,
    candidates.filter((candidate) => candidate.node === node),
  )
}

/** FNV-1a, which is fast on short texts and nobody's secret. */
function hash(text: string, seed: number): number {
  let value = seed
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value
}

/** The last step of MurmurHash3: FNV alone leaves ids that differ in their last character close together. */
function finish(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const SEED = 0x811c9dc5
