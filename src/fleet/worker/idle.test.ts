import { describe, expect, test } from 'vitest'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { untilIdle } from './idle.ts'

function start(ms = 1_000) {
  const clock = new FakeClock()
  const upstream = new FakeUpstream()
  let seen: boolean | 'waiting' = 'waiting'
  void untilIdle(upstream, ms, clock).then((idle) => {
    seen = idle
  })
  return { clock, upstream, seen: () => seen }
}

describe('waiting until an upstream is idle', () => {
  test('ends when no call has been in flight for so long', async () => {
    const { clock, seen } = start()
    await clock.advance(999)
    expect(seen()).toBe('waiting')
    await clock.advance(1)
    expect(seen()).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('counts from the end of the last call', async () => {
    const { clock, upstream, seen } = start()
    await clock.advance(600)
    upstream.idleSince = 600
    await clock.advance(999)
    expect(seen()).toBe('waiting')
    await clock.advance(1)
    expect(seen()).toBe(true)
  })

  test('does not end while a call is in flight, and at the latest one such time after that', async () => {
    const { clock, upstream, seen } = start()
    upstream.idleSince = undefined
    await clock.advance(10_500)
    expect(seen()).toBe('waiting')
    upstream.idleSince = 10_500
    await clock.advance(999)
    expect(seen()).toBe('waiting')
    await clock.advance(501)
    expect(seen()).toBe(true)
  })

  test('ends with "no" when the upstream ends before, and no timer is left', async () => {
    const { clock, upstream, seen } = start()
    await clock.advance(500)
    upstream.end()
    await settle()
    expect(seen()).toBe(false)
    expect(clock.pending).toBe(0)
  })
})
