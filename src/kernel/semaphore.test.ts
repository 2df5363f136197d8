import { describe, expect, test } from 'vitest'
import { settle } from '../../tests/harness/fake-clock.ts'
import { Semaphore } from './semaphore.ts'

/** Asks for a slot and notes under `name` when it is there. */
function enter(semaphore: Semaphore, inside: string[], name: string): Promise<() => void> {
  return semaphore.acquire().then((release) => {
    inside.push(name)
    return release
  })
}

describe('Semaphore', () => {
  test('lets as many in as it has slots, and the others one by one as slots become free', async () => {
    const semaphore = new Semaphore(2)
    const inside: string[] = []
    const first = await enter(semaphore, inside, 'a')
    await enter(semaphore, inside, 'b')
    void enter(semaphore, inside, 'c')
    void enter(semaphore, inside, 'd')
    await settle()
    expect(inside).toEqual(['a', 'b'])
    first()
    await settle()
    expect(inside).toEqual(['a', 'b', 'c'])
  })

  test('serves those who wait in the order in which they came', async () => {
    const semaphore = new Semaphore(1)
    const inside: string[] = []
    const first = await enter(semaphore, inside, 'a')
    const second = enter(semaphore, inside, 'b')
    const third = enter(semaphore, inside, 'c')
    first()
    const release = await second
    release()
    await third
    expect(inside).toEqual(['a', 'b', 'c'])
  })

  test('giving a slot back twice frees it once', async () => {
    const semaphore = new Semaphore(1)
    const inside: string[] = []
    const release = await enter(semaphore, inside, 'a')
    release()
    release()
    await enter(semaphore, inside, 'b')
    void enter(semaphore, inside, 'c')
    await settle()
    expect(inside).toEqual(['a', 'b'])
  })

  test('a slot that nobody waits for is there for the next who asks', async () => {
    const semaphore = new Semaphore(1)
    for (let round = 0; round < 3; round += 1) {
      const release = await semaphore.acquire()
      release()
    }
    const inside: string[] = []
    await enter(semaphore, inside, 'a')
    expect(inside).toEqual(['a'])
  })
})
