import { describe, expect, test, vi } from 'vitest'
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

  test('who no longer wants to wait leaves the queue; those behind are not held up', async () => {
    const semaphore = new Semaphore(1)
    const inside: string[] = []
    const release = await enter(semaphore, inside, 'a')
    const abort = new AbortController()
    const refused = expect(semaphore.acquire(abort.signal)).rejects.toThrow('changed my mind')
    void enter(semaphore, inside, 'c')
    abort.abort(new Error('changed my mind'))
    await refused
    release()
    await settle()
    expect(inside).toEqual(['a', 'c'])
  })

  test('who no longer wanted to wait before does not take a slot, even a free one', async () => {
    const semaphore = new Semaphore(1)
    await expect(semaphore.acquire(AbortSignal.abort(new Error('no')))).rejects.toThrow('no')
    const inside: string[] = []
    await enter(semaphore, inside, 'a')
    expect(inside).toEqual(['a'])
  })

  test('who is in stays in, whatever his signal says later; the signal is let go of', async () => {
    const semaphore = new Semaphore(1)
    const inside: string[] = []
    const release = await semaphore.acquire()
    const abort = new AbortController()
    const removed = vi.spyOn(abort.signal, 'removeEventListener')
    const second = semaphore.acquire(abort.signal)
    release()
    await second
    expect(removed).toHaveBeenCalledOnce()
    abort.abort()
    void enter(semaphore, inside, 'c')
    await settle()
    expect(inside).toEqual([])
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
