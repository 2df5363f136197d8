import { describe, expect, test } from 'vitest'
import type { Autoscale } from '../../domain/replication.ts'
import { autoscale, newScale, type ScaleState } from './autoscale.ts'

const rule: Autoscale = { min: 1, max: 4, targetCalls: 8, upAfterMs: 10_000, downAfterMs: 60_000 }

/** Looks once a second for `seconds`; returns the state and when the number changed. */
function run(from: ScaleState, seconds: number, calls: number | ((second: number) => number), own = rule) {
  let state = from
  const steps: [number, number][] = []
  for (let second = 1; second <= seconds; second += 1) {
    const now = state.at + 1_000
    const next = autoscale(own, state, {
      calls: typeof calls === 'number' ? calls : calls(second),
      now,
      woken: false,
    })
    if (next.desired !== state.desired) steps.push([second, next.desired])
    state = next
  }
  return { state, steps }
}

describe('[R167] autoscaling', () => {
  test('adds one replica after each time in which the load asked for more, up to the most', () => {
    const { steps } = run(newScale(rule, 1, 0), 100, 100)
    expect(steps.map(([, desired]) => desired)).toEqual([2, 3, 4])
    const [first = 0, second = 0] = steps.map(([at]) => at)
    expect(first).toBeGreaterThanOrEqual(10)
    expect(second - first).toBeGreaterThanOrEqual(10)
    expect(second - first).toBeLessThanOrEqual(12)
  })

  test('takes one away after each time in which the load asked for fewer, down to the fewest', () => {
    const { steps } = run(newScale(rule, 3, 0), 300, 1)
    expect(steps.map(([, desired]) => desired)).toEqual([2, 1])
    expect(steps[0]?.[0]).toBeGreaterThanOrEqual(60)
  })

  test('leaves the number alone that fits the load', () => {
    expect(run(newScale(rule, 2, 0), 600, 12).steps.filter(([, desired]) => desired > 2)).toEqual([])
    expect(run({ ...newScale(rule, 2, 0), calls: 12 }, 600, 12).steps).toEqual([])
  })

  test('is not moved by a moment: load that comes and goes does not count as lasting', () => {
    const burst = (second: number) => (second % 20 < 3 ? 30 : 0)
    expect(run(newScale(rule, 1, 0), 600, burst).steps).toEqual([])
  })

  test('keeps within limits that have changed, at once', () => {
    const state = newScale(rule, 4, 0)
    expect(autoscale({ ...rule, max: 2 }, state, { calls: 100, now: 1, woken: false }).desired).toBe(2)
    expect(autoscale({ ...rule, min: 6, max: 9 }, state, { calls: 0, now: 1, woken: false }).desired).toBe(6)
  })
})

describe('a server that may have none', () => {
  const toZero: Autoscale = { ...rule, min: 0 }

  test('has none after a time without calls, and one at once with the next call', () => {
    const { state, steps } = run(newScale(toZero, 1, 0), 200, 0, toZero)
    expect(steps).toEqual([[60, 0]].map(([at = 0, to = 0]) => [at + 1, to]))
    const woken = autoscale(toZero, state, { calls: 0, now: state.at + 1, woken: true })
    expect(woken.desired).toBe(1)
    expect(autoscale(toZero, state, { calls: 1, now: state.at + 1, woken: false }).desired).toBe(1)
  })

  test('stays at none without a call', () => {
    expect(run(newScale(toZero, 0, 0), 100, 0, toZero).steps).toEqual([])
  })
})
