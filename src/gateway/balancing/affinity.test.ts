import { describe, expect, test } from 'vitest'
import { byHash, onNode, type Placed } from './affinity.ts'

function placed(id: string, parts: Partial<Placed> = {}): Placed {
  return { id, node: `node-${id}`, weight: 1, load: 0, sessions: 0, share: 1, ...parts }
}

const SESSIONS = Array.from({ length: 10_000 }, (_, n) => `session-${n}`)
const FOUR = ['fetch-replica-1', 'fetch-replica-2', 'fetch-replica-3', 'fetch-replica-4'].map((id) =>
  placed(id),
)

function spread(candidates: readonly Placed[]): Map<string, string> {
  return new Map(SESSIONS.map((session) => [session, byHash(session, candidates)?.id ?? 'none']))
}

function counts(spread: ReadonlyMap<string, string>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const id of spread.values()) counts[id] = (counts[id] ?? 0) + 1
  return counts
}

describe('[R19] the hash of a session id', () => {
  test('leads to the same replica each time, in whatever order they are named', () => {
    expect(spread(FOUR)).toEqual(spread([...FOUR].reverse()))
  })

  test('spreads sessions evenly over replicas whose ids differ in one character', () => {
    for (const count of Object.values(counts(spread(FOUR)))) expect(Math.abs(count - 2_500)).toBeLessThan(200)
  })

  test('gives nodes their weights', () => {
    const [first = placed('x'), ...others] = FOUR
    const heavy = counts(spread([{ ...first, weight: 3 }, ...others]))
    expect(Math.abs((heavy[first.id] ?? 0) - 5_000)).toBeLessThan(250)
    for (const { id } of others) expect(Math.abs((heavy[id] ?? 0) - 1_667)).toBeLessThan(200)
  })

  test('moves nothing between those that stay when one goes: only its own, to all the others', () => {
    const before = spread(FOUR)
    const gone = 'fetch-replica-3'
    const after = spread(FOUR.filter(({ id }) => id !== gone))
    const moved = SESSIONS.filter((session) => before.get(session) !== after.get(session))
    expect(moved).toEqual(SESSIONS.filter((session) => before.get(session) === gone))
    expect(new Set(moved.map((session) => after.get(session))).size).toBe(3)
  })

  test('moves to one that comes its share, and nothing else', () => {
    const before = spread(FOUR)
    const after = spread([...FOUR, placed('fetch-replica-5')])
    const moved = SESSIONS.filter((session) => before.get(session) !== after.get(session))
    expect(new Set(moved.map((session) => after.get(session)))).toEqual(new Set(['fetch-replica-5']))
    expect(Math.abs(moved.length - 2_000)).toBeLessThan(200)
  })

  test('leads nowhere when there is nothing', () => {
    expect(byHash('s', [])).toBeUndefined()
  })
})

describe('the node that a session prefers', () => {
  test('has its session, on one of its replicas', () => {
    const two = [placed('a', { node: 'n1' }), placed('b', { node: 'n2' }), placed('c', { node: 'n2' })]
    const chosen = SESSIONS.map((session) => onNode('n2', session, two)?.id)
    expect(new Set(chosen)).toEqual(new Set(['b', 'c']))
    expect(onNode('n2', 's', two)).toBe(onNode('n2', 's', two))
  })

  test('may have no replica', () => {
    expect(onNode('n9', 's', FOUR)).toBeUndefined()
  })
})
