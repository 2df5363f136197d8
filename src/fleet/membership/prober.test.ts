import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { systemClock } from '../../kernel/clock.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { httpProbe, PROBE_TIMEOUT_MS } from './http-probe.ts'
import { PROBE_INTERVAL_MS, Prober } from './prober.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function listen(handler: RequestListener): Promise<number> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function probeOn(clock = systemClock) {
  const made = httpProbe({ clock, log: recordingLogger().logger, token: () => 'secret' })
  ends.push(() => made.close())
  return (port: number) => made.probe({ id: 'w1', host: '127.0.0.1', port }, new AbortController().signal)
}

describe('a probe', () => {
  test('[R131] asks GET /health with the token', async () => {
    const seen: unknown[] = []
    const port = await listen(({ method, url, headers }, response) => {
      seen.push([method, url, headers['x-cluster-token']])
      response.end('{}')
    })
    expect(await probeOn()(port)).toBe(true)
    expect(seen).toEqual([['GET', '/health', 'secret']])
  })

  test.each([
    [204, true],
    [302, false],
    [401, false],
    [500, false],
    [503, false],
  ])('[R132] takes status %i for healthy: %s', async (status, expected) => {
    const port = await listen((_request, response) => response.writeHead(status, { location: '/x' }).end())
    expect(await probeOn()(port)).toBe(expected)
  })

  test('fails when nobody listens', async () => {
    expect(await probeOn()(1)).toBe(false)
  })

  test('[R130] fails when no answer has come after three seconds', async () => {
    const clock = new FakeClock()
    const asked = Promise.withResolvers<void>()
    const port = await listen(() => asked.resolve())
    const outcome = probeOn(clock)(port)
    await asked.promise
    await clock.advance(PROBE_TIMEOUT_MS)
    expect(await outcome).toBe(false)
  })
})

describe('the prober', () => {
  test('[R130] asks each doubtful node every five seconds, and none twice at once', async () => {
    const clock = new FakeClock()
    const tasks = new TaskGroup(recordingLogger().logger)
    ends.push(() => tasks.close())
    const asked: string[] = []
    const told: [string, boolean][] = []
    const slow = Promise.withResolvers<boolean>()
    const prober = new Prober({
      clock,
      tasks,
      probe: ({ id }) => {
        asked.push(id)
        return id === 'slow' ? slow.promise : Promise.resolve(false)
      },
      doubtful: () => ['slow', 'w2'].map((id) => ({ id, host: 'h', port: 1 })),
      probed: (id, isOk) => told.push([id, isOk]),
    })
    prober.start()
    await clock.advance(PROBE_INTERVAL_MS * 2)
    expect(asked).toEqual(['slow', 'w2', 'w2'])
    slow.resolve(true)
    await clock.advance(0)
    expect(told).toEqual([
      ['w2', false],
      ['w2', false],
      ['slow', true],
    ])
    prober.close()
    expect(clock.pending).toBe(0)
  })
})
