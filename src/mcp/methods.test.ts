import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLoggingLevel, LOGGING_LEVELS, mostVerbose, reachesLevel } from './methods.ts'

const level = fc.constantFrom(...LOGGING_LEVELS)

describe('logging levels', () => {
  test('are those of RFC 5424, least severe first', () => {
    expect(LOGGING_LEVELS).toEqual([
      'debug',
      'info',
      'notice',
      'warning',
      'error',
      'critical',
      'alert',
      'emergency',
    ])
    expect(LOGGING_LEVELS.every(isLoggingLevel)).toBe(true)
    expect(['warn', 'DEBUG', '', 3, null, undefined].some(isLoggingLevel)).toBe(false)
  })

  test('a message is shown to those who asked for its level or a less severe one', () => {
    expect(reachesLevel('warning', 'warning')).toBe(true)
    expect(reachesLevel('error', 'warning')).toBe(true)
    expect(reachesLevel('notice', 'warning')).toBe(false)
    expect(LOGGING_LEVELS.every((each) => reachesLevel(each, 'debug'))).toBe(true)
  })

  test('a message of a level that we do not know is always shown', () => {
    expect(reachesLevel('verbose', 'emergency')).toBe(true)
    expect(reachesLevel(undefined, 'emergency')).toBe(true)
  })

  test('several listeners together want the most verbose of their levels; nobody wants none', () => {
    expect(mostVerbose(['error', 'info', 'warning'])).toBe('info')
    expect(mostVerbose(['emergency'])).toBe('emergency')
    expect(mostVerbose([])).toBeUndefined()
  })

  test('whatever reaches one listener reaches their common level', () => {
    fc.assert(
      fc.property(level, fc.array(level, { minLength: 1 }), (message, thresholds) => {
        const common = mostVerbose(thresholds) ?? 'emergency'
        expect(reachesLevel(message, common)).toBe(thresholds.some((each) => reachesLevel(message, each)))
      }),
    )
  })
})
