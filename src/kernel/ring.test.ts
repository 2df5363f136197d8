import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ring } from './ring.ts'

describe('Ring', () => {
  test('is empty at first', () => {
    expect(new Ring(3).items()).toEqual([])
  })

  test('keeps the newest items, oldest first', () => {
    const ring = new Ring<number>(3)
    for (const item of [1, 2, 3, 4, 5]) ring.push(item)
    expect(ring.items()).toEqual([3, 4, 5])
  })

  test('holds exactly the end of whatever was pushed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.array(fc.integer()), (capacity, items) => {
        const ring = new Ring<number>(capacity)
        for (const item of items) ring.push(item)
        expect(ring.items()).toEqual(items.slice(-capacity))
      }),
    )
  })
})
