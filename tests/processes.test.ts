import { rm } from 'node:fs/promises'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { describe, expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { spawnHub } from './harness/hub-process.ts'
import { fixture, official } from './harness/servers.ts'
import { isAlive, until } from './harness/wait.ts'

/** Pids of a server and its grandchild, as the fixture tells them. */
async function family(url: string, tool: string): Promise<number[]> {
  const client = await connectV1(`${url}/mcp`)
  const pids = JSON.parse(textOf(await client.callTool({ name: tool }))) as Record<string, number>
  await client.close()
  return Object.values(pids)
}

/** Begins a call that takes so long, and comes back when its server is at work on it. */
async function callFor(client: Client, ms: number): Promise<{ readonly answer: Promise<string> }> {
  const begun = Promise.withResolvers<void>()
  const answer = client
    .callTool({ name: 'plain-progress', arguments: { steps: 1, delayMs: ms } }, undefined, {
      onprogress: () => begun.resolve(),
    })
    .then(textOf)
  await Promise.race([begun.promise, answer])
  return { answer }
}

const withFamilies = {
  mcpServers: {
    plain: fixture('honest'),
    near: fixture('broken', '--mode', 'grandchild'),
    far: fixture('broken', '--mode', 'grandchild', '--detached'),
    stubborn: fixture('broken', '--mode', 'ignores-eof'),
    everything: official('everything'),
    npx: { command: 'npx', args: ['--no-install', 'mcp-server-memory'], cwd: process.cwd() },
  },
}

describe('no process outlives the hub', () => {
  test('[R27] SIGKILL to the hub: after 2 s none of its children or grandchildren runs', async () => {
    await using hub = await spawnHub(withFamilies)
    await until('all servers run', () => hub.stderr().includes('Ready: 6 of 6'), 30_000)
    const pids = [
      ...(await family(hub.url, 'near-pids')),
      ...(await family(hub.url, 'far-pids')),
      ...(await childrenOf(hub.pid)),
    ]
    expect(pids.length).toBeGreaterThanOrEqual(9)
    expect(pids.filter(isAlive)).toEqual(pids)
    hub.kill('SIGKILL')
    await until('they are all gone', () => pids.filter(isAlive).length === 0, 2_000)
  })

  test('SIGTERM: calls in flight finish, everything ends, exit code 0', async () => {
    await using hub = await spawnHub(withFamilies)
    await until('all servers run', () => hub.stderr().includes('Ready: 6 of 6'), 30_000)
    const pids = [...(await family(hub.url, 'near-pids')), ...(await family(hub.url, 'far-pids'))]
    const client = await connectV1(`${hub.url}/mcp`)
    const call = await callFor(client, 5_000)
    hub.kill('SIGTERM')
    await until('new work is refused', async () => {
      const health = await fetch(`${hub.url}/health`).catch(() => undefined)
      return health?.status === 503
    })
    expect(await call.answer).toBe('1 steps')
    expect(await hub.exit).toBe(0)
    await until('they are all gone', () => pids.filter(isAlive).length === 0, 2_000)
  }, 60_000)

  test('a second SIGTERM ends the hub at once, and its children with it', async () => {
    await using hub = await spawnHub(withFamilies)
    await until('all servers run', () => hub.stderr().includes('Ready: 6 of 6'), 30_000)
    const pids = await family(hub.url, 'far-pids')
    const client = await connectV1(`${hub.url}/mcp`)
    const call = await callFor(client, 60_000)
    call.answer.catch(() => undefined)
    hub.kill('SIGTERM')
    await until('it says that it stops', () => hub.stderr().includes('Stopping'))
    hub.kill('SIGTERM')
    expect(await hub.exit).toBe(143)
    await until('they are all gone', () => pids.filter(isAlive).length === 0, 2_000)
    await client.close()
    await expect(call.answer).rejects.toThrow()
  })

  test('a server that is restarted leaves no grandchild behind, not even a detached one', async () => {
    await using hub = await startHub({
      mcpServers: { far: fixture('broken', '--mode', 'grandchild', '--detached') },
    })
    const pids = await family(hub.url, 'far-pids')
    await hub.writeSettings({ mcpServers: {} })
    await until('they are gone', () => pids.filter(isAlive).length === 0, 8_000)
  })
})

describe('a server that crashes', () => {
  test('ten times in a row: each call in flight fails clearly, and afterwards calls work', async () => {
    const backoff = { initialMs: 20, maxMs: 100, factor: 2, healthyAfterMs: 60_000 }
    await using hub = await startHub(
      { mcpServers: { s: fixture('broken', '--mode', 'crash-on-call'), calm: fixture('honest') } },
      { tuning: { backoff } },
    )
    const client = await connectV1(`${hub.url}/mcp`)
    for (let round = 1; round <= 10; round += 1) {
      await expect(client.callTool({ name: 's-crash' })).rejects.toThrow(
        /Server "s" went away during the call.*exit code 7/,
      )
      expect(textOf(await client.callTool({ name: 's-echo', arguments: { text: `round ${round}` } }))).toBe(
        `round ${round}`,
      )
      expect(textOf(await client.callTool({ name: 'calm-echo', arguments: { text: 'calm' } }))).toBe('calm')
    }
  })

  test('at its start: state, reason and the last lines of stderr can be read, and others go on', async () => {
    await using hub = await startHub({
      mcpServers: { s: fixture('broken', '--mode', 'exit-at-once'), calm: fixture('honest') },
    })
    // It is tried again and again: between two tries it is down, and says why.
    const data = await until('it is down', async () => {
      const answer = await fetch(`${hub.url}/api/servers/s`)
      const { data } = (await answer.json()) as { data: Record<string, unknown> }
      return data['status'] === 'disconnected' ? data : undefined
    })
    expect(data['error']).toMatch(/exit code 3/)
    // Over the API stderr is for those who may read logs.
    expect(hub.standalone.hub.insight.report('s')?.stderr.length).toBeGreaterThanOrEqual(3)
    const client = await connectV1(`${hub.url}/mcp`)
    expect((await client.listTools()).tools.every((tool) => tool.name.startsWith('calm-'))).toBe(true)
    await expect(connectV1(`${hub.url}/mcp/s`)).rejects.toThrow(/exit code 3/)
  })
})

describe('many servers', () => {
  test('100 stdio servers: all tools within 1 s of a second start, every server live within 60 s', async () => {
    const mcpServers = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [
        `s${index}`,
        fixture('minimal', '--name', `s${index}`, '--tools', '2'),
      ]),
    )
    const first = await startHub({ mcpServers })
    const expected = 100 * 6
    await until('all lists are read', () => countTools(first.url).then((count) => count === expected), 60_000)
    await first.stop()

    const startAgain = async () => {
      const startedAt = performance.now()
      const hub = await spawnHub(
        { mcpServers },
        { folder: first.folder, env: { DATA_DIR: `${first.folder}/data` } },
      )
      const client = await connectV1(`${hub.url}/mcp`)
      const { tools, _meta } = await client.listTools()
      const listedAfter = performance.now() - hub.listeningSince
      expect(tools).toHaveLength(expected)
      // Servers of which the hub knows only what it has kept.
      const stale = (_meta?.['flotilla/stale'] ?? []) as string[]
      return { hub, client, startedAt, quick: listedAfter < 1_000 && stale.length > 0, listedAfter, stale }
    }
    // The servers start at the same time: a machine that they leave no time now and then has three tries.
    let second = await startAgain()
    for (let tries = 1; tries < 3 && !second.quick; tries += 1) {
      await second.client.close()
      await second.hub[Symbol.asyncDispose]()
      second = await startAgain()
    }
    const { hub, client, startedAt, listedAfter, stale } = second
    expect(listedAfter).toBeLessThan(1_000)
    expect(stale).not.toEqual([])
    await until(
      'every server is live',
      () => connected(hub.url).then((count) => count === 100),
      60_000 - (performance.now() - startedAt),
    )
    // The last one is up a moment before its lists have been read.
    await until('no list is stale', async () => (await client.listTools())._meta === undefined, 10_000)
    expect(textOf(await client.callTool({ name: 's99-echo', arguments: { text: 'there' } }))).toBe('there')
    await client.close()
    await hub[Symbol.asyncDispose]()
    await rm(first.folder, { recursive: true, force: true })
  }, 150_000)
})

async function countTools(url: string): Promise<number> {
  const client = await connectV1(`${url}/mcp`)
  const { tools } = await client.listTools()
  await client.close()
  return tools.length
}

async function connected(url: string): Promise<number> {
  const health = (await (await fetch(`${url}/health`)).json()) as { servers: { connected: number } }
  return health.servers.connected
}

async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}
