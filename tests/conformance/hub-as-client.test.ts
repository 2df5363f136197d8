import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runClientScenario } from './suite.ts'

describe('the hub as a client', () => {
  const command = [process.execPath, fileURLToPath(new URL('./hub-driver.ts', import.meta.url))]

  // Which check it is that succeeds counts: one bare GET is enough for a success in `sse-retry`.
  it.each([
    ['initialize', ['mcp-client-initialization']],
    ['tools_call', ['tool-add-numbers']],
    [
      'elicitation-sep1034-client-defaults',
      [
        'client-elicitation-sep1034-string-default',
        'client-elicitation-sep1034-integer-default',
        'client-elicitation-sep1034-number-default',
        'client-elicitation-sep1034-enum-default',
        'client-elicitation-sep1034-boolean-default',
      ],
    ],
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
    const result = await runClientScenario({ scenario, command, timeoutMs: 20_000 })
    expect(result).toMatchObject({ name: scenario, passed: true, failures: [], warnings: [], successes })
  })
})
