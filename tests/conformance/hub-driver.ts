import { subscribe } from 'node:diagnostics_channel'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { connectV1, textOf } from '../harness/clients.ts'
import { startHub } from '../harness/hub.ts'

/**
 * Run by the suite as `hub-driver.ts <url of the mock server>`: a hub with the mock as its only server, and a client
 * of the hub that does what the scenario demands. Ends by itself once the hub has stopped; a hub that keeps a timer or
 * a connection shows as a client that hangs.
 */
const scenario = process.env['MCP_CONFORMANCE_SCENARIO']
const mock = new URL(process.argv.at(-1) ?? '')

const play: Record<string, (client: Client) => Promise<void>> = {
  initialize: async () => undefined,

  async tools_call(client) {
    const { tools } = await client.listTools()
    expectEqual(
      tools.map((tool) => tool.name),
      ['add_numbers'],
    )
    const result = await client.callTool({ name: 'add_numbers', arguments: { a: 2, b: 3 } })
    expectEqual(textOf(result), 'The sum of 2 and 3 is 5')
  },

  async 'sse-retry'(client) {
    // The mock gives the call's result to the next GET, whichever that is.
    await standaloneStream
    const result = await client.callTool({ name: 'test_reconnection', arguments: {} })
    expectEqual(textOf(result), 'Reconnection test completed successfully')
  },

  async 'elicitation-sep1034-client-defaults'(client) {
    // The client fills in the defaults of the schema that reaches it.
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: {} }))
    // The mock asks on the standalone stream, although it asks because of the call.
    await standaloneStream
    const result = await client.callTool({ name: 'test_client_elicitation_defaults', arguments: {} })
    const content = { name: 'John Doe', age: 30, score: 95.5, status: 'active', verified: true }
    expectEqual(textOf(result), `Elicitation completed: ${JSON.stringify(content)}`)
  },

  async 'json-schema-2020-12-preservation'(client) {
    const { tools } = await client.listTools()
    const schema = tools.find((tool) => tool.name === 'json_schema_2020_12_tool')?.inputSchema
    const result = await client.callTool({ name: 'json_schema_echo', arguments: { schema } })
    expectEqual(textOf(result), 'echoed')
  },
}

const standaloneStream = new Promise<void>((resolve) => {
  subscribe('undici:request:headers', (message) => {
    const { request } = message as { request: { method: string; origin: string | URL } }
    if (request.method === 'GET' && String(request.origin).startsWith(mock.origin)) resolve()
  })
})

function expectEqual(actual: unknown, expected: unknown): void {
  const [is, ought] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== ought) throw new Error(`${scenario}: got ${is} instead of ${ought}`)
}

await using hub = await startHub({ mcpServers: { mock: { type: 'streamable-http', url: mock.href } } })
const capabilities = { elicitation: { form: { applyDefaults: true } } }
const client = await connectV1(`${hub.url}/mcp/mock`, { capabilities })
const act = play[scenario ?? '']
if (!act) throw new Error(`The driver does not know the scenario ${scenario}.`)
await act(client)
await client.close()
