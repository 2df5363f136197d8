import { describe, expect, test } from 'vitest'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import { RecordIds } from './ids.ts'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The milliseconds that an id was made from. */
function timeOf(id: string): number {
  return Number.parseInt(id.replace('-', '').slice(0, 12), 16)
}

describe('ids of records', () => {
  test('are UUIDs of version 7 that begin with the time', () => {
    const clock = new FakeClock()
    const id = new RecordIds(clock, systemRandom).next()
    expect(id).toMatch(UUID_V7)
    expect(timeOf(id)).toBe(clock.now())
  })

  test('sort in the order in which they were made, within a millisecond and beyond it', async () => {
    const clock = new FakeClock()
    const ids = new RecordIds(clock, systemRandom)
    const made: string[] = []
    for (let tick = 0; tick < 3; tick += 1) {
      for (let n = 0; n < 10_000; n += 1) made.push(ids.next())
      await clock.advance(1)
    }
    expect(made.toSorted()).toEqual(made)
    expect(new Set(made).size).toBe(30_000)
    expect(made.every((id) => UUID_V7.test(id))).toBe(true)
  })

  test('go on growing when the clock goes back', () => {
    let now = 1_700_000_000_500
    const clock = Object.assign(new FakeClock(), { now: () => now })
    const ids = new RecordIds(clock, systemRandom)
    const before = ids.next()
    now -= 60_000
    const after = ids.next()
    expect(after > before).toBe(true)
    expect(timeOf(after)).toBe(1_700_000_000_500)
  })

  test('of two nodes differ at the same moment', () => {
    const clock = new FakeClock()
    const [one, other] = [new RecordIds(clock, systemRandom), new RecordIds(clock, systemRandom)]
    expect(one.next()).not.toBe(other.next())
  })

  test('are valid however short the dice fall', () => {
    expect(new RecordIds(new FakeClock(), fixedRandom(0)).next()).toMatch(UUID_V7)
  })
})
