import { describe, expect, test } from 'vitest'
import { connectSse, connectV1, connectV2, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { fixture, official } from './harness/servers.ts'

describe('one endpoint over many servers', () => {
  test('[R42] [R105] [R106] tools of two servers are listed and called by v1, v2 and SSE clients', async () => {
    await using hub = await startHub({ mcpServers: { one: fixture('honest'), two: official('everything') } })
    for (const client of [
      await connectV1(`${hub.url}/mcp`),
      await connectV2(`${hub.url}/mcp`),
      await connectSse(`${hub.url}/sse`),
    ]) {
      const { tools } = await client.listTools()
      expect(tools.map((tool) => tool.name)).toEqual(expect.arrayContaining(['one-echo', 'two-echo']))
      expect(textOf(await client.callTool({ name: 'one-echo', arguments: { text: 'hello' } }))).toBe('hello')
      expect(textOf(await client.callTool({ name: 'two-echo', arguments: { message: 'hello' } }))).toBe(
        'Echo: hello',
      )
      await client.close()
    }
  })
})
