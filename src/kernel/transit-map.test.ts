import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { TransitMap } from './transit-map.ts'

describe('what comes and goes', () => {
  test('is found while it is there', () => {
    const map = new TransitMap<number, { name: string }>()
    const [a, b] = [{ name: 'a' }, { name: 'b' }]
    map.set(1, a)
    map.set(2, b)
    expect([map.size, map.get(1), map.has(2), map.get(3), map.has(3)]).toEqual([2, a, true, undefined, false])
    expect([...map.values()]).toEqual([a, b])
    expect([...map.entries()]).toEqual([
      [1, a],
      [2, b],
    ])
    expect([map.delete(1), map.delete(1), map.size, map.get(1)]).toEqual([true, false, 1, undefined])
    map.set(2, a)
    expect([...map.values()]).toEqual([a])
    map.clear()
    expect([map.size, [...map.values()]]).toEqual([0, []])
  })

  test('may be removed while others are looked at', () => {
    const map = new TransitMap<number, object>()
    for (let n = 0; n < 5; n += 1) map.set(n, { n })
    const seen = []
    for (const [key, value] of map.entries()) {
      seen.push(value)
      map.delete(key)
      map.delete(key + 1)
    }
    expect(seen).toEqual([{ n: 0 }, { n: 2 }, { n: 4 }])
    expect(map.size).toBe(0)
  })

  test('is collected without a full collection, though a table of the map has grown old', () => {
    setFlagsFromString('--expose-gc')
    const collect: (options?: { type: 'minor' }) => void = runInNewContext('gc')
    const map = new TransitMap<number, number[]>()
    let next = 0
    const comeAndGo = (count: number) => {
      for (const end = next + count; next < end; next += 1) {
        map.set(next, new Array(1_000).fill(next))
        map.delete(next - 16)
      }
    }
    comeAndGo(100)
    collect()
    const before = process.memoryUsage().heapUsed
    comeAndGo(2_000)
    collect({ type: 'minor' })
    // All that came are 16 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000_000)
  })
})
