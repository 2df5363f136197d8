import { expect } from 'vitest'
import type { ScenarioResult } from './suite.ts'

/** As complete as the reference server alone, except that a hub has no reason to close a stream during a call. */
export function expectComplete(results: readonly ScenarioResult[]): void {
  expect(results.filter((result) => !result.passed || result.warnings.length > 0)).toEqual([])
  const passed = results.filter((result) => result.passed)
  expect(passed.filter((result) => result.scored).map((result) => result.name)).toHaveLength(30)
  expect(passed.filter((result) => !result.scored).map((result) => result.name)).toEqual([
    'server-session-lifecycle',
    'json-schema-2020-12',
    'server-sse-polling',
  ])
  const successes = (name: string) => results.find((result) => result.name === name)?.successes
  expect(successes('server-session-lifecycle')).toEqual(
    expect.arrayContaining(['server-session-delete-accepted', 'server-session-terminated-returns-404']),
  )
  expect(successes('server-sse-polling')).toEqual(
    expect.arrayContaining(['server-sse-priming-event', 'server-sse-retry-field']),
  )
}
