import { describe, expect, test } from 'vitest'
import { type LogLine, LogLines } from './log-lines.ts'

const line = (msg: string, more: Record<string, unknown> = {}) =>
  `${JSON.stringify({ level: 'info', time: '2026-01-01T00:00:00.000Z', msg, ...more })}\n`
const messages = (lines: readonly LogLine[]) => lines.map(({ message }) => message)

describe('the last lines of the log', () => {
  test('come oldest first, with what people look at', () => {
    const lines = new LogLines()
    lines.take(line('a', { server: 's' }))
    lines.take(line('b', { level: 'warn' }))
    expect(lines.recent(10)).toEqual([
      { timestamp: Date.UTC(2026, 0, 1), level: 'info', message: 'a', server: 's' },
      { timestamp: Date.UTC(2026, 0, 1), level: 'warn', message: 'b', server: undefined },
    ])
    expect(messages(lines.recent(1))).toEqual(['b'])
    expect(messages(lines.recent(10, 's'))).toEqual(['a'])
    expect(lines.recent(10, 'other')).toEqual([])
  })

  test('are a thousand at most, can be forgotten, and leave out what is no JSON', () => {
    const lines = new LogLines()
    lines.take('for people only')
    for (let n = 0; n < 1_200; n += 1) lines.take(line(String(n)))
    const kept = lines.recent(5_000)
    expect([kept.length, kept[0]?.message]).toEqual([1_000, '200'])
    lines.clear()
    expect(lines.recent(10)).toEqual([])
  })

  test('go on as long as somebody follows', async () => {
    const lines = new LogLines()
    const end = new AbortController()
    const seen: string[] = []
    const following = (async () => {
      for await (const { message } of lines.follow(end.signal, 's')) {
        seen.push(message)
        if (message === 'last') end.abort()
      }
    })()
    lines.take(line('of another', { server: 'other' }))
    lines.take(line('first', { server: 's' }))
    await new Promise((resolve) => setImmediate(resolve))
    lines.take(line('last', { server: 's' }))
    await following
    expect(seen).toEqual(['first', 'last'])
    lines.take(line('too late', { server: 's' }))
    expect(seen).toHaveLength(2)
  })

  test('miss what came while the follower did not read, rather than filling the memory', async () => {
    const lines = new LogLines()
    const end = new AbortController()
    const follower = lines.follow(end.signal)
    const first = follower.next()
    for (let n = 0; n < 3_000; n += 1) lines.take(line(String(n)))
    expect((await first).value).toMatchObject({ message: '2000' })
    end.abort()
    await follower.return(undefined)
  })
})
