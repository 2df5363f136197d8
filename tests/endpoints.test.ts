import { describe, expect, test } from 'vitest'
import { connectSse, connectV1, makeV1, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

describe('/mcp/<server>', () => {
  test('is transparent: own names, identity, instructions and capabilities', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest', '--name', 'the-honest-one') } })
    const client = await connectV1(`${hub.url}/mcp/s`)
    expect(client.getServerVersion()?.name).toBe('the-honest-one')
    expect(client.getInstructions()).toBeTruthy()
    expect(client.getServerCapabilities()).toMatchObject({
      tools: {},
      prompts: {},
      resources: { subscribe: true },
      logging: {},
      completions: {},
    })
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('echo')
    expect(textOf(await client.callTool({ name: 'echo', arguments: { text: 'x' } }))).toBe('x')
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0)
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toContain('honest://static/one')
  })

  test('what the server does not have, the endpoint does not declare', async () => {
    await using hub = await startHub({ mcpServers: { m: fixture('minimal') } })
    const client = await connectV1(`${hub.url}/mcp/m`)
    expect(Object.keys(client.getServerCapabilities() ?? {})).toEqual(['tools'])
  })
})

describe('/mcp and groups', () => {
  test('prompts, completion, resources and templates lead to their server', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest'), m: fixture('minimal') } })
    const client = await connectV1(`${hub.url}/mcp`)
    const { prompts } = await client.listPrompts()
    const prompt = prompts.find(({ arguments: args }) => (args ?? []).length > 0)
    expect(prompt?.name).toMatch(/^s-/)
    const args = Object.fromEntries((prompt?.arguments ?? []).map(({ name }) => [name, 'x']))
    expect(await client.getPrompt({ name: prompt?.name ?? '', arguments: args })).toHaveProperty('messages')
    const completion = await client.complete({
      ref: { type: 'ref/prompt', name: prompt?.name ?? '' },
      argument: { name: 'style', value: 'f' },
    })
    expect(completion.completion.values).toEqual(['formal'])
    const ids = await client.complete({
      ref: { type: 'ref/resource', uri: 'honest://item/{id}' },
      argument: { name: 'id', value: '24' },
    })
    expect(ids.completion.values).toContain('249')
    expect((await client.listResourceTemplates()).resourceTemplates[0]?.uriTemplate).toBe(
      'honest://item/{id}',
    )
    expect(await client.readResource({ uri: 'honest://item/7' })).toMatchObject({
      contents: [{ text: 'item 7' }],
    })
    expect(await client.readResource({ uri: 'honest://blob' })).toMatchObject({
      contents: [{ blob: 'AAECf4D/' }],
    })
    await expect(client.readResource({ uri: 'nobody://has/this' })).rejects.toThrow(/-32002|No server/)
  })

  test('every page of every upstream list is read', async () => {
    await using hub = await startHub({
      mcpServers: { s: fixture('honest', '--page', '3', '--extra', '100') },
    })
    const client = await connectV1(`${hub.url}/mcp`)
    const names = (await client.listTools()).tools.map((tool) => tool.name)
    expect(names.filter((name) => name.startsWith('s-extra-'))).toHaveLength(100)
    expect(new Set(names).size).toBe(names.length)
  })

  test('a server that pages for ever is cut off and reported', async () => {
    await using hub = await startHub({
      mcpServers: { s: fixture('broken', '--mode', 'endless-pages'), calm: fixture('minimal') },
    })
    const client = await connectV1(`${hub.url}/mcp`)
    await until('it is reported', () => hub.logged.find(({ message }) => message.includes('does not end')))
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('calm-echo')
  })

  test('names that clash are reported and both stay reachable', async () => {
    await using hub = await startHub({
      mcpServers: { a: fixture('honest', '--extra', '1'), 'a-extra': fixture('minimal', '--tools', '1') },
      systemConfig: { nameSeparator: '-' },
      groups: [
        {
          id: 'g',
          name: 'clash',
          servers: [
            { name: 'a', alias: 'x', tools: ['echo'] },
            { name: 'a-extra', alias: 'x', tools: ['echo'] },
          ],
        },
      ],
    })
    const client = await connectV1(`${hub.url}/mcp/clash`)
    const names = (await client.listTools()).tools.map((tool) => tool.name)
    expect(names).toHaveLength(2)
    expect(names[0]).toBe('x-echo')
    expect(names[1]).toMatch(/^x-echo_[0-9a-f]{8}$/)
    for (const name of names)
      expect(textOf(await client.callTool({ name, arguments: { text: name } }))).toBe(name)
    expect(
      hub.logged.find(({ level, message }) => level === 'warn' && message.includes('"x-echo" is claimed by')),
    ).toBeDefined()
  })

  test('long names and names in Chinese are exposed in a form that every client takes', async () => {
    const long = 'a-server-with-a-name-that-is-much-longer-than-anybody-should-ever-choose'
    await using hub = await startHub({
      mcpServers: { [long]: fixture('minimal'), 文件系统: fixture('minimal') },
    })
    const client = await connectV1(`${hub.url}/mcp`)
    const names = (await client.listTools()).tools.map((tool) => tool.name)
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_.-]{1,64}$/)
    for (const name of names.filter((each) => each.includes('echo')))
      expect(textOf(await client.callTool({ name, arguments: { text: 'x' } }))).toBe('x')
    const chinese = await connectV1(`${hub.url}/mcp/${encodeURIComponent('文件系统')}`)
    expect((await chinese.listTools()).tools.map((tool) => tool.name)).toContain('echo')
  })

  test('the same endpoints exist under /sse', async () => {
    await using hub = await startHub({
      mcpServers: { s: fixture('honest'), m: fixture('minimal') },
      groups: [{ id: 'g', name: 'only-m', servers: ['m'] }],
    })
    const server = await connectSse(`${hub.url}/sse/s`)
    expect((await server.listTools()).tools.map((tool) => tool.name)).toContain('whoami')
    const group = await connectSse(`${hub.url}/sse/only-m`)
    expect((await group.listTools()).tools.every((tool) => tool.name.startsWith('m-'))).toBe(true)
    await server.close()
    await group.close()
  })
})

describe('isolation "session"', () => {
  test('each session has a process of its own that ends with it, and sees the real client', async () => {
    await using hub = await startHub({ mcpServers: { s: { ...fixture('honest'), perSessionClient: true } } })
    const ann = makeV1({ name: 'ann', capabilities: { roots: {} } })
    const { StreamableHTTPClientTransport } = await import(
      '@modelcontextprotocol/sdk/client/streamableHttp.js'
    )
    const transport = new StreamableHTTPClientTransport(new URL(`${hub.url}/mcp/s`))
    await ann.connect(transport as never)
    const bob = await connectV1(`${hub.url}/mcp`, { name: 'bob' })
    for (let round = 1; round <= 3; round += 1)
      expect(textOf(await ann.callTool({ name: 'counter' }))).toBe(String(round))
    expect(textOf(await bob.callTool({ name: 's-counter' }))).toBe('1')
    expect(JSON.parse(textOf(await ann.callTool({ name: 'whoami' })))).toMatchObject({
      clientInfo: { name: 'ann' },
      capabilities: { roots: {} },
    })
    const { pid } = JSON.parse(textOf(await ann.callTool({ name: 'pid' }))) as { pid: number }
    await transport.terminateSession()
    const { isAlive } = await import('./harness/wait.ts')
    await until('its process has ended', () => !isAlive(pid))
    expect(textOf(await bob.callTool({ name: 's-counter' }))).toBe('2')
  })

  test('an upstream that is idle too long is stopped and started again with the next call', async () => {
    await using hub = await startHub({
      mcpServers: { s: { ...fixture('honest'), isolation: 'session', idleTimeoutMs: 3_000 } },
    })
    const client = await connectV1(`${hub.url}/mcp/s`)
    expect(textOf(await client.callTool({ name: 'counter' }))).toBe('1')
    expect(textOf(await client.callTool({ name: 'counter' }))).toBe('2')
    await until('it is stopped', async () => {
      const { data } = (await (await fetch(`${hub.url}/api/servers/s`)).json()) as {
        data: { sessionUpstreams: number }
      }
      return data.sessionUpstreams === 0
    })
    expect(textOf(await client.callTool({ name: 'counter' }))).toBe('1')
  })

  test('startOnDemand: a shared server sleeps when idle and wakes with a call', async () => {
    await using hub = await startHub({
      mcpServers: { s: { ...fixture('honest'), startOnDemand: true, idleTimeoutMs: 300 } },
    })
    const client = await connectV1(`${hub.url}/mcp`)
    expect(textOf(await client.callTool({ name: 's-counter' }))).toBe('1')
    await until('it sleeps', async () => {
      const { data } = (await (await fetch(`${hub.url}/api/servers/s`)).json()) as {
        data: { status: string }
      }
      return data.status === 'idle'
    })
    expect((await client.listTools()).tools.map((tool) => tool.name)).toContain('s-counter')
    expect(textOf(await client.callTool({ name: 's-counter' }))).toBe('1')
  })
})
