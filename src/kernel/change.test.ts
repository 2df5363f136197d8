import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../tests/harness/fake-clock.ts'
import { Change } from './change.ts'

test('whoever waits for a change goes on when it is told, or when the time is over', async () => {
  const clock = new FakeClock()
  const change = new Change(clock)
  const over: string[] = []
  void change.next(100).then(() => over.push('told'))
  change.tell()
  await settle()
  expect([over, clock.pending]).toEqual([['told'], 0])
  void change.next(100).then(() => over.push('late'))
  await clock.advance(99)
  expect(over).toEqual(['told'])
  await clock.advance(1)
  expect([over, clock.pending]).toEqual([['told', 'late'], 0])
  change.tell()
})
