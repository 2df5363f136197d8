import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  type RunningReferenceServer,
  referenceStdioCommand,
  startReferenceServer,
} from '../fixtures/reference-server/start.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { fixture } from '../harness/servers.ts'
import { expectComplete } from './complete.ts'
import { startNameMappingProxy } from './name-mapping-proxy.ts'
import { runServerScenarios } from './suite.ts'

/** Some tools of the reference server take a second, and the suite runs them one after the other. */
const TIMEOUT_MS = 150_000

let http: RunningReferenceServer

beforeAll(async () => {
  http = await startReferenceServer()
})

afterAll(() => http.close())

/** The suite's URL must say `localhost`; the hub's own says 127.0.0.1. */
function endpoint(hub: TestHub, path: string): string {
  return `http://localhost:${hub.standalone.port}${path}`
}

describe.each([
  ['stdio', () => referenceStdioCommand],
  ['streamable HTTP', () => ({ type: 'streamable-http', url: http.url })],
])('the hub in front of the reference server over %s', (_transport, upstream) => {
  it('passes 2025-11-25 at /mcp/<server>', { timeout: TIMEOUT_MS }, async () => {
    await using hub = await startHub({ mcpServers: { reference: upstream() } })
    const url = endpoint(hub, '/mcp/reference')
    expectComplete(await runServerScenarios({ url, requirements: '2025-11-25' }))
  })

  it('passes 2025-11-25 at /mcp, names mapped, with a second server', { timeout: TIMEOUT_MS }, async () => {
    await using hub = await startHub({ mcpServers: { honest: fixture('honest'), reference: upstream() } })
    const proxy = await startNameMappingProxy({ target: endpoint(hub, '/mcp'), prefix: 'reference-' })
    try {
      expectComplete(await runServerScenarios({ url: proxy.url, requirements: '2025-11-25' }))
    } finally {
      await proxy.close()
    }
  })
})
