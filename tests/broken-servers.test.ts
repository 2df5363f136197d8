import { describe, expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { startHub, type TestHub } from './harness/hub.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const broken = (mode: string, ...args: string[]) => fixture('broken', '--mode', mode, ...args)
const calm = { calm: fixture('honest') }

async function expectCalm(url: string): Promise<void> {
  const client = await connectV1(`${url}/mcp`)
  expect(textOf(await client.callTool({ name: 'calm-echo', arguments: { text: 'x' } }))).toBe('x')
  await client.close()
}

async function statusOf(url: string): Promise<Record<string, unknown>> {
  const { data } = (await (await fetch(`${url}/api/servers/s`)).json()) as { data: Record<string, unknown> }
  return data
}

/** What the API does not show to everybody who comes to an open hub. */
function stderrOf(hub: TestHub): readonly string[] {
  return hub.standalone.hub.insight.report('s')?.stderr ?? []
}

describe('one broken server does not disturb the others, and its calls get a clear answer', () => {
  test('one that never answers initialize', async () => {
    await using hub = await startHub(
      { mcpServers: { s: broken('hang-initialize'), ...calm } },
      // The calm one has to answer in this time too.
      { tuning: { initTimeoutMs: 5_000, firstLookMs: 200 } },
    )
    await expectCalm(hub.url)
    // Between two tries it says why the last one has failed.
    const told = async () =>
      /did not answer initialize within 5000 ms/.test(String((await statusOf(hub.url))['error']))
    await until('the reason is shown', told, 20_000)
    await expect(connectV1(`${hub.url}/mcp/s`)).rejects.toThrow(/did not answer initialize/)
  }, 60_000)

  test('one that starts slowly: the first list waits for it a little, the rest come as a change', async () => {
    await using hub = await startHub(
      { mcpServers: { s: broken('slow-start', '--delay', '1500'), ...calm } },
      { tuning: { firstLookMs: 100 } },
    )
    await expectCalm(hub.url)
    expect(await statusOf(hub.url)).toMatchObject({ status: 'connected', catalog: 'fresh' })
  })

  test('one that never answers a call: the call times out after options.timeout and says how to raise it', async () => {
    await using hub = await startHub({
      mcpServers: { s: { ...broken('never-answers'), options: { timeout: 2_000 } }, ...calm },
    })
    const client = await connectV1(`${hub.url}/mcp`)
    await expect(client.callTool({ name: 's-echo', arguments: { text: 'x' } })).rejects.toThrow(
      /did not answer tools\/call within 2000 ms.*options\.timeout/,
    )
    await expectCalm(hub.url)
  })

  test('one that writes garbage between its messages', async () => {
    await using hub = await startHub({ mcpServers: { s: broken('garbage'), ...calm } })
    const client = await connectV1(`${hub.url}/mcp`)
    for (const text of ['one', 'two', 'three'])
      expect(textOf(await client.callTool({ name: 's-echo', arguments: { text } }))).toBe(text)
    expect(stderrOf(hub).join()).toContain('[stdout]')
  })

  test('one that answers twice, and what nobody asked', async () => {
    await using hub = await startHub({ mcpServers: { s: broken('duplicate-answers'), ...calm } })
    const client = await connectV1(`${hub.url}/mcp`)
    for (const text of ['one', 'two', 'three'])
      expect(textOf(await client.callTool({ name: 's-echo', arguments: { text } }))).toBe(text)
  })

  test.each(['object', 'missing', 'null', 'entries'])(
    'one whose tool list is malformed (%s): reported, and empty',
    async (shape) => {
      await using hub = await startHub({ mcpServers: { s: broken('bad-list', '--shape', shape), ...calm } })
      await expectCalm(hub.url)
      const { complaints, status } = await statusOf(hub.url)
      expect(status).toBe('connected')
      expect(String(complaints)).toMatch(/tools\/list/)
    },
  )

  test('one that sends 20 MB in a line: it passes whole', async () => {
    await using hub = await startHub({ mcpServers: { s: broken('huge-line'), ...calm } })
    const client = await connectV1(`${hub.url}/mcp`)
    const bytes = 20 * 1024 * 1024
    const { content } = (await client.callTool({ name: 's-huge', arguments: { bytes } })) as {
      content: { text: string }[]
    }
    expect(content[0]?.text.length).toBeGreaterThanOrEqual(bytes)
  }, 60_000)

  test('one whose line never ends: stopped at the limit, the call fails clearly, the hub stays small', async () => {
    await using hub = await startHub({ mcpServers: { s: broken('endless-line'), ...calm } })
    const client = await connectV1(`${hub.url}/mcp`)
    await expect(client.callTool({ name: 's-flood' })).rejects.toThrow(
      /sent a message of more than \d+ bytes/,
    )
    await expectCalm(hub.url)
  }, 60_000)

  test('one that floods stderr: the last lines are kept, the hub is not slowed down', async () => {
    await using hub = await startHub({ mcpServers: { s: broken('stderr-flood'), ...calm } })
    const client = await connectV1(`${hub.url}/mcp`)
    expect(textOf(await client.callTool({ name: 's-echo', arguments: { text: 'x' } }))).toBe('x')
    expect(stderrOf(hub)).toHaveLength(20)
  })

  test('one that stops reading: calls fail, memory stays bounded', async () => {
    await using hub = await startHub(
      { mcpServers: { s: { ...broken('stops-reading'), options: { timeout: 500 } }, ...calm } },
      { tuning: { firstLookMs: 100 } },
    )
    const client = await connectV1(`${hub.url}/mcp/s`)
    const text = 'x'.repeat(1024 * 1024)
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        client.callTool({ name: 'echo', arguments: { text } }).then(
          () => 'answered',
          (error: Error) => error.message,
        ),
      ),
    )
    expect(answers.every((answer) => /did not answer|does not read|went away|is down/.test(answer))).toBe(
      true,
    )
    await expectCalm(hub.url)
  }, 60_000)

  test('one that changes its tools: the new list is there, its clients are told', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const client = await connectV1(`${hub.url}/mcp`)
    for (let index = 0; index < 30; index += 1)
      await client.callTool({ name: 's-grow', arguments: { name: `n${index}` } })
    await until(
      'all are listed',
      async () => (await client.listTools()).tools.filter(({ name }) => /^s-n\d+$/.test(name)).length === 30,
    )
  })
})
