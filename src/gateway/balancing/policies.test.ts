import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../tests/harness/seeded-random.ts'
import type { BalanceStrategy } from '../../domain/cluster.ts'
import { type Candidate, choose, newPolicyState } from './policies.ts'

function candidate(id: string, parts: Partial<Candidate> = {}): Candidate {
  return { id, weight: 1, load: 0, sessions: 0, share: 1, ...parts }
}

function make(strategy: BalanceStrategy) {
  const fraction = seededRandom(7)
  const deps = { state: newPolicyState(), random: { fraction, id: () => '' } }
  const next = (candidates: readonly Candidate[]) => choose(strategy, candidates, deps)?.id
  const count = (candidates: readonly Candidate[], times: number) => {
    const counts: Record<string, number> = {}
    for (let call = 0; call < times; call += 1) {
      const id = next(candidates) ?? 'none'
      counts[id] = (counts[id] ?? 0) + 1
    }
    return counts
  }
  return { next, count }
}

const ABC = [candidate('a'), candidate('b'), candidate('c')]

describe.each(['round-robin', 'least-connections', 'weighted', 'random'] as const)('%s', (strategy) => {
  test('chooses nothing from nothing, and the only one there is', () => {
    expect(make(strategy).next([])).toBeUndefined()
    expect(make(strategy).next([candidate('a')])).toBe('a')
  })

  test('gives equals the same', () => {
    const counts = make(strategy).count(ABC, 3_000)
    for (const id of ['a', 'b', 'c']) expect(counts[id]).toBeGreaterThan(900)
  })

  test('gives less to one that does worse', () => {
    const counts = make(strategy).count([candidate('a'), candidate('b', { share: 0.25 })], 1_000)
    expect(counts['b'] ?? 0).toBeLessThan(260)
  })
})

test('[R122] round-robin takes each in its turn', () => {
  const { next } = make('round-robin')
  const seen = Array.from({ length: 6 }, () => next(ABC))
  expect(seen.slice(0, 3).sort()).toEqual(['a', 'b', 'c'])
  expect(seen.slice(3)).toEqual(seen.slice(0, 3))
})

describe('[R123] least-connections', () => {
  test('takes the one with the fewest calls in flight', () => {
    const { next } = make('least-connections')
    expect(
      next([candidate('a', { load: 3 }), candidate('b', { load: 1 }), candidate('c', { load: 2 })]),
    ).toBe('b')
  })

  test('of equally busy ones takes the one with the fewest sessions', () => {
    const { next } = make('least-connections')
    const all = [
      candidate('a', { sessions: 5 }),
      candidate('b', { sessions: 4 }),
      candidate('c', { sessions: 6 }),
    ]
    expect([next(all), next(all), next(all)]).toEqual(['b', 'b', 'b'])
  })

  test('gives a replica that does badly a call when the others are busy', () => {
    const { next } = make('least-connections')
    expect(next([candidate('a', { load: 9 }), candidate('b', { share: 0.25 })])).toBe('b')
  })
})

test('[R124] weighted gives each node its weight, in small steps', () => {
  const { next, count } = make('weighted')
  const all = [candidate('a', { weight: 5 }), candidate('b'), candidate('c')]
  expect(Array.from({ length: 7 }, () => next(all)).join('')).toBe('aabacaa')
  expect(count(all, 700)).toEqual({ a: 500, b: 100, c: 100 })
})
