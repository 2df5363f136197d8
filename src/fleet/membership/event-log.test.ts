import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { EventLog, KEPT_EVENTS } from './event-log.ts'

function filled(count: number): EventLog {
  const log = new EventLog(new FakeClock())
  for (let n = 1; n <= count; n += 1) log.add({ kind: 'placed', text: `event ${n}` })
  return log
}

describe('the event log', () => {
  test('numbers events from 1 and gives those after a number, oldest first', () => {
    const log = filled(5)
    expect(log.since(0, 2).map(({ number }) => number)).toEqual([1, 2])
    expect(log.since(3, 10).map(({ number, text }) => [number, text])).toEqual([
      [4, 'event 4'],
      [5, 'event 5'],
    ])
    expect(log.since(5, 10)).toEqual([])
    expect(log.since(99, 10)).toEqual([])
    expect(log.since(0, 0)).toEqual([])
  })

  test('keeps the newest thousand', () => {
    const log = filled(KEPT_EVENTS + 5)
    expect(log.since(0, 1)[0]?.number).toBe(6)
    expect(log.since(0, 2_000)).toHaveLength(KEPT_EVENTS)
    expect(log.since(1_004, 2_000).map(({ number }) => number)).toEqual([1_005])
  })
})
