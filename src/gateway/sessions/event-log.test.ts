import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventLog } from './event-log.ts'

function append(log: EventLog, text: string, now = 0): string {
  return log.append((seq) => Buffer.from(`${seq}:${text}`), now).toString()
}

function rest(log: EventLog, seq: number): string[] {
  return log.after(seq).map(String)
}

describe('what was sent on a stream', () => {
  test('is numbered from 1', () => {
    const log = new EventLog(1_000)
    expect(log.lastSeq).toBe(0)
    expect([append(log, 'a'), append(log, 'b')]).toEqual(['1:a', '2:b'])
    expect(log.lastSeq).toBe(2)
  })

  test('can be had again from any number on, oldest first', () => {
    const log = new EventLog(1_000)
    for (const text of ['a', 'b', 'c']) append(log, text)
    expect(rest(log, 0)).toEqual(['1:a', '2:b', '3:c'])
    expect(rest(log, 2)).toEqual(['3:c'])
    expect(rest(log, 3)).toEqual([])
    expect(rest(log, 99)).toEqual([])
  })

  test('is kept within the budget: the oldest goes first', () => {
    const log = new EventLog(9)
    for (const text of ['a', 'b', 'c', 'd']) append(log, text)
    expect(rest(log, 0)).toEqual(['2:b', '3:c', '4:d'])
    expect(log.bytes).toBe(9)
  })

  test('keeps its last event, however large: it may be the result that nobody has collected', () => {
    const log = new EventLog(5)
    append(log, 'a')
    append(log, 'x'.repeat(100))
    expect(rest(log, 0)).toEqual([`2:${'x'.repeat(100)}`])
    append(log, 'b')
    expect(rest(log, 0)).toEqual(['3:b'])
  })

  test('is forgotten when it is older than asked for; numbers go on', () => {
    const log = new EventLog(1_000)
    append(log, 'a', 10)
    append(log, 'b', 20)
    append(log, 'c', 30)
    log.dropBefore(20)
    expect(rest(log, 0)).toEqual(['2:b', '3:c'])
    log.dropBefore(1_000)
    expect([log.bytes, log.lastSeq]).toEqual([0, 3])
    log.dropBefore(2_000)
    expect(append(log, 'd', 40)).toBe('4:d')
  })

  test('is always the end of what was appended, as much as fits', () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), fc.array(fc.nat({ max: 30 })), (budget, sizes) => {
        const log = new EventLog(budget)
        for (const size of sizes) log.append(() => Buffer.alloc(size), 0)
        const kept = log.after(0).map((bytes) => bytes.length)
        expect(kept).toEqual(sizes.slice(sizes.length - kept.length))
        const total = kept.reduce((sum, size) => sum + size, 0)
        expect(log.bytes).toBe(total)
        if (kept.length > 1) expect(total).toBeLessThanOrEqual(budget)
        if (sizes.length > 0) expect(kept.length).toBeGreaterThan(0)
        const dropped = sizes.at(-kept.length - 1)
        if (dropped !== undefined) expect(total + dropped).toBeGreaterThan(budget)
      }),
    )
  })
})
