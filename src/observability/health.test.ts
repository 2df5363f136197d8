import { describe, expect, test } from 'vitest'
import { healthReport, type ServerStatus } from './health.ts'

const NOW = Date.UTC(2026, 10, 20, 12, 0, 0)

function report(statuses: ServerStatus[], stopping = false) {
  return healthReport(statuses, stopping, NOW)
}

describe('[R59] what /health says', () => {
  test('healthy, when every enabled server is connected or sleeps until it is called', () => {
    expect(report(['connected', 'idle', 'disabled'])).toEqual({
      status: 'healthy',
      message: '2 of 2 servers are connected.',
      servers: { total: 2, connected: 2, disconnected: 0 },
      timestamp: '2026-11-20T12:00:00.000Z',
    })
  })

  test('healthy, without any servers', () => {
    expect(report([])).toMatchObject({ status: 'healthy', servers: { total: 0 } })
    expect(report(['disabled'])).toMatchObject({ status: 'healthy', servers: { total: 0 } })
  })

  test.each<[ServerStatus]>([['disconnected'], ['connecting']])(
    'degraded, when one server is %s: the others are served all the same',
    (status) => {
      expect(report(['connected', status])).toMatchObject({
        status: 'degraded',
        message: '1 of 2 servers are connected.',
        servers: { total: 2, connected: 1, disconnected: 1 },
      })
    },
  )

  test('stopping, whatever the servers do', () => {
    for (const statuses of [['connected'], ['disconnected'], []] as ServerStatus[][])
      expect(report(statuses, true)).toMatchObject({ status: 'stopping', message: 'The hub is stopping.' })
  })
})
