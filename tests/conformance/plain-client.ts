import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

/**
 * The SDK's client, run by the suite as `plain-client.ts <url of the mock server>`. It shows what
 * a client scenario asks for when no hub is in between.
 */
const scenario = process.env.MCP_CONFORMANCE_SCENARIO
const url = process.argv.at(-1) ?? ''

const client = new Client({ name: 'plain-client', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(url)))
switch (scenario) {
  case 'tools_call':
    await client.callTool({ name: 'add_numbers', arguments: { a: 2, b: 3 } })
    break
  case 'sse-retry':
    await client.callTool({ name: 'test_reconnection', arguments: {} })
    break
  case 'json-schema-2020-12-preservation': {
    const { tools } = await client.listTools()
    const schema = tools.find((tool) => tool.name === 'json_schema_2020_12_tool')?.inputSchema
    await client.callTool({ name: 'json_schema_echo', arguments: { schema } })
    break
  }
}
await client.close()
