import { describe, expect, test } from 'vitest'
import { counterparts, identitiesOf } from './item-identity.ts'

describe('the items of a list', () => {
  test('are known by their id, else by their name', () => {
    expect(identitiesOf([{ id: '1', name: 'a' }, { name: 'b' }, { username: 'c' }])).toEqual([
      'id:1',
      'name:b',
      'username:c',
    ])
  })

  test.each([[['a']], [[{ id: 1 }]], [[{ id: '1' }, { id: '1' }]], [[{ id: '1' }, null]]])(
    '%j cannot be told apart by name',
    (items) => expect(identitiesOf(items)).toBeUndefined(),
  )

  test('stand for those of the same name, wherever these are', () => {
    const [a, b] = [
      { id: 'a', v: 1 },
      { id: 'b', v: 2 },
    ]
    expect(counterparts([{ id: 'b' }, { id: 'c' }, { id: 'a' }], [a, b])).toEqual([b, undefined, a])
  })

  test('without names stand for those at the same place, if the lists are as long', () => {
    expect(counterparts([1, 2], ['a', 'b'])).toEqual(['a', 'b'])
    expect(counterparts([1], ['a', 'b'])).toEqual([undefined])
  })
})
