import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type RunningReferenceServer,
  referenceStdioCommand,
  startReferenceServer,
} from '../fixtures/reference-server/start.ts'
import { runClientScenario, runServerScenarios } from './suite.ts'

/** The ceiling: what the suite says about both ends when no hub is in between. */
describe('the reference server alone', () => {
  let reference: RunningReferenceServer

  beforeAll(async () => {
    reference = await startReferenceServer()
  })

  afterAll(() => reference.close())

  it('passes every server scenario of 2025-11-25, without a warning', { timeout: 150_000 }, async () => {
    const results = await runServerScenarios({ url: reference.url, requirements: '2025-11-25' })
    expect(results.filter((result) => !result.passed || result.warnings.length > 0)).toEqual([])
    expect(results.filter((result) => result.scored)).toHaveLength(30)
    expect(results.filter((result) => !result.scored).map((result) => result.name)).toEqual([
      'server-session-lifecycle',
      'json-schema-2020-12',
      'server-sse-polling',
    ])
    // A server that never closes the stream passes this scenario too, but without this check.
    const polling = results.find((result) => result.name === 'server-sse-polling')
    expect(polling?.successes).toContain('server-sse-disconnect-resume')
  })

  it('runs one scenario by its name', async () => {
    const results = await runServerScenarios({
      url: reference.url,
      requirements: '2025-11-25',
      scenarios: ['ping'],
    })
    expect(results).toEqual([
      { name: 'ping', scored: true, passed: true, failures: [], warnings: [], successes: ['ping'] },
    ])
  })

  it('serves the same tools over stdio', async () => {
    const client = new Client({ name: 'stdio-check', version: '1.0.0' })
    await client.connect(new StdioClientTransport(referenceStdioCommand))
    try {
      const { tools } = await client.listTools()
      expect(tools.map((tool) => tool.name)).toContain('json_schema_2020_12_tool')
      const { content } = await client.callTool({ name: 'test_simple_text' })
      expect(content).toEqual([{ type: 'text', text: 'This is a simple text response for testing.' }])
    } finally {
      await client.close()
    }
  })
})

describe('a dead server', () => {
  it('fails with the reason', async () => {
    const [result] = await runServerScenarios({
      url: 'http://localhost:1/mcp',
      requirements: '2025-11-25',
      scenarios: ['ping'],
    })
    expect(result).toMatchObject({ passed: false, failures: [expect.stringContaining('ping: Failed')] })
  })
})

describe("the SDK's client alone", () => {
  const command = [process.execPath, fileURLToPath(new URL('./plain-client.ts', import.meta.url))]

  // Which check it is that succeeds counts: one bare GET is enough for a success in `sse-retry`.
  it.each([
    ['initialize', ['mcp-client-initialization']],
    ['tools_call', ['tool-add-numbers']],
    ['sse-retry', ['client-sse-graceful-reconnect', 'client-sse-retry-timing', 'client-sse-last-event-id']],
    [
      'json-schema-2020-12-preservation',
      [
        'json-schema-2020-12-client-tool-found',
        'json-schema-2020-12-client-echo-completed',
        'json-schema-2020-12-client-$schema-preserved',
        'json-schema-2020-12-client-$defs-preserved',
        'json-schema-2020-12-client-additionalProperties-preserved',
        'sep-2106-client-composition-keywords-preserved',
        'sep-2106-client-conditional-keywords-preserved',
        'sep-2106-client-anchor-keyword-preserved',
      ],
    ],
  ])('passes %s', async (scenario, successes) => {
    const result = await runClientScenario({ scenario, command })
    expect(result).toMatchObject({ name: scenario, passed: true, failures: [], warnings: [], successes })
  })

  it('is reported and ended when it hangs', async () => {
    const hang = [process.execPath, '-e', 'setInterval(() => {}, 1000)']
    const result = await runClientScenario({ scenario: 'tools_call', command: hang, timeoutMs: 1_000 })
    expect(result).toMatchObject({ passed: false, failures: [expect.stringContaining('tool-add-numbers')] })
  })
})
