import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import type { ActivityKind } from './batches.ts'
import { Retention, type RetentionDays } from './retention.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

function make(days: RetentionDays = { usage: 30, access: 30, audit: 365 }) {
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  /** Ages of the records of each kind, in days, and what has been asked of the store. */
  const ages: Record<ActivityKind, number[]> = { usage: [], access: [], audit: [] }
  const asked: [ActivityKind, number][] = []
  const broken = new Map<ActivityKind, Error>()
  const settings = { days }
  const retention = new Retention({
    store: {
      async prune(kind, before, limit) {
        asked.push([kind, limit])
        const error = broken.get(kind)
        if (error) throw error
        const old = ages[kind].filter((age) => clock.now() - age * DAY_MS < before).slice(0, limit)
        ages[kind] = ages[kind].filter((age) => !old.includes(age))
        return old.length
      },
    },
    clock,
    log: logger,
    days: () => settings.days,
  })
  return { clock, lines, ages, asked, broken, settings, retention }
}

describe('[R213] [R262] old records', () => {
  test('are removed by age, each kind by its own; 0 days keep them for ever', async () => {
    const { ages, retention } = make({ usage: 30, access: 0, audit: 365 })
    for (const kind of ['usage', 'access', 'audit'] as const) ages[kind] = [1, 29, 31, 364, 366]
    await retention.prune()
    expect(ages).toEqual({ usage: [1, 29], access: [1, 29, 31, 364, 366], audit: [1, 29, 31, 364] })
  })

  test('go in small portions, with a pause between them', async () => {
    const { ages, asked, clock, retention, lines } = make()
    ages.usage = Array.from({ length: 2_500 }, (_, n) => 31 + n / 10_000)
    const pruning = retention.prune()
    await clock.advance(0)
    expect(asked).toEqual([['usage', 1000]])
    await clock.advance(1_000)
    await pruning
    expect(asked.filter(([kind]) => kind === 'usage')).toHaveLength(3)
    expect([ages.usage, lines[0]?.fields]).toEqual([[], { kind: 'usage', removed: 2_500 }])
  })

  test('are looked for soon after the start and every hour, by the settings of the moment, until the end', async () => {
    const { ages, clock, retention, settings } = make()
    const end = new AbortController()
    const running = retention.run(end.signal)
    ages.usage = [20, 40]
    await clock.advance(60_000)
    expect(ages.usage).toEqual([20])
    settings.days = { ...settings.days, usage: 10 }
    await clock.advance(HOUR_MS - 1)
    expect(ages.usage).toEqual([20])
    await clock.advance(1)
    expect(ages.usage).toEqual([])
    end.abort()
    await running
    expect(clock.pending).toBe(0)
  })

  test('that cannot be removed now do not keep others from being removed', async () => {
    const { ages, broken, lines, retention } = make()
    ages.audit = [400]
    broken.set('usage', new HubError('storage.unavailable', 'Away.'))
    broken.set('access', new HubError('storage.invalid', 'Odd.'))
    await retention.prune()
    expect(ages.audit).toEqual([])
    expect(lines.map(({ level }) => level)).toEqual(['debug', 'warn', 'info'])
  })
})
