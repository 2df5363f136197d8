import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { startHub, type TestHub } from './harness/hub.ts'
import { spawnHub } from './harness/hub-process.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

async function toolNames(url: string): Promise<string[]> {
  const client = await connectV1(url)
  const { tools } = await client.listTools()
  await client.close()
  return tools.map((tool) => tool.name)
}

/** Calls one after the other on several sessions until stopped; remembers every failure. */
function load(url: string, tool: string, sessions: number) {
  let stopped = false
  let calls = 0
  const failures: string[] = []
  const running = Array.from({ length: sessions }, async (_, session) => {
    const client = await connectV1(url)
    while (!stopped) {
      const text = `${session}-${calls}`
      calls += 1
      const answer = await client
        .callTool({ name: tool, arguments: { text } })
        .then(textOf, (error: Error) => error.message)
      if (answer !== text) failures.push(answer)
    }
    await client.close()
  })
  return {
    get calls() {
      return calls
    },
    failures,
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

async function pidOf(hub: TestHub, tool: string): Promise<number> {
  const client = await connectV1(`${hub.url}/mcp`)
  const { pid } = JSON.parse(textOf(await client.callTool({ name: tool }))) as { pid: number }
  await client.close()
  return pid
}

/** Writes one text after the other into the settings file; tells the longest time between two of them, ms. */
async function save(hub: TestHub, texts: readonly string[]): Promise<number> {
  const times: number[] = []
  for (const text of texts) {
    await hub.writeSettings(text)
    times.push(performance.now())
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)))
}

describe('editing the settings file', () => {
  test('adds, removes and restarts exactly the servers that changed; calls to the others never fail', async () => {
    await using hub = await startHub({
      mcpServers: { kept: fixture('honest'), changed: fixture('honest'), gone: fixture('minimal') },
    })
    const keptPid = await pidOf(hub, 'kept-pid')
    const changedPid = await pidOf(hub, 'changed-pid')
    const traffic = load(`${hub.url}/mcp`, 'kept-echo', 4)
    const edits = [
      { kept: fixture('honest'), changed: fixture('honest', '--extra', '1'), gone: fixture('minimal') },
      { kept: fixture('honest'), changed: fixture('honest', '--extra', '2') },
      { kept: fixture('honest'), changed: fixture('honest', '--extra', '3'), fresh: fixture('minimal') },
    ]
    for (const [index, mcpServers] of edits.entries()) {
      await hub.writeSettings({ mcpServers })
      await until(`edit ${index} is in force`, async () => {
        const names = await toolNames(`${hub.url}/mcp`)
        return names.filter((name) => name.startsWith('changed-extra')).length === index + 1
      })
    }
    await until('the new server is there', async () =>
      (await toolNames(`${hub.url}/mcp`)).includes('fresh-echo'),
    )
    await traffic.stop()
    expect(traffic.failures).toEqual([])
    expect(traffic.calls).toBeGreaterThan(100)
    expect(await toolNames(`${hub.url}/mcp`)).not.toContain('gone-echo')
    expect(await pidOf(hub, 'kept-pid')).toBe(keptPid)
    expect(await pidOf(hub, 'changed-pid')).not.toBe(changedPid)
  })

  test('a call in flight on a server that changes is finished by the old process', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const client = await connectV1(`${hub.url}/mcp`)
    const call = client.callTool({ name: 's-wait', arguments: { ms: 2_500 } })
    await hub.writeSettings({ mcpServers: { s: fixture('honest', '--extra', '1') } })
    await until('the new process is up', async () =>
      (await toolNames(`${hub.url}/mcp`)).includes('s-extra-000'),
    )
    expect(textOf(await call)).toBe('waited 2500 ms')
  })

  test('a broken file is reported with line and column, and the last good one goes on', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('minimal') } })
    await hub.writeSettings('{\n  "mcpServers": {\n    "s": { "command": 5 }\n  }\n}\n')
    const wrongType = await until('the error is logged', () =>
      hub.logged.find((line) => line.level === 'error'),
    )
    expect(wrongType.message).toMatch(/mcp_settings\.json:3:23: mcpServers\.s\.command/)
    await hub.writeSettings('{\n  "mcpServers": {\n    "s": oops\n')
    const noJson = await until('the next error is logged', () =>
      hub.logged.filter((line) => line.level === 'error').at(1),
    )
    expect(noJson.message).toMatch(/mcp_settings\.json:3:10: it is not JSON/)
    expect(await toolNames(`${hub.url}/mcp`)).toContain('s-echo')
    await hub.writeSettings({ mcpServers: { s: fixture('minimal'), t: fixture('minimal') } })
    await until('the mended file is in force', async () =>
      (await toolNames(`${hub.url}/mcp`)).includes('t-echo'),
    )
  })

  test('a file that was truncated removes nothing: neither servers nor keys', async () => {
    const key = { headers: { authorization: 'Bearer key-of-the-hub' } }
    await using hub = await startHub({
      mcpServers: { s: fixture('minimal') },
      bearerKeys: [{ token: 'key-of-the-hub' }],
    })
    await hub.writeSettings('')
    const refused = await until('the error is logged', () =>
      hub.logged.find((line) => line.level === 'error'),
    )
    expect(refused.message).toMatch(/last good ones stay in force: .*mcp_settings\.json:1:1: it is not JSON/)
    await expect(toolNames(`${hub.url}/mcp`)).rejects.toThrow(/bearer key/)
    const client = await connectV1(`${hub.url}/mcp`, key)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('s-echo')
  })

  test('a file that is saved in two steps counts once it is whole', async () => {
    const whole = JSON.stringify({ mcpServers: { t: fixture('minimal') } })
    const saving = Array.from({ length: 20 }, (_, step) => whole.slice(0, step))
    for (let tries = 1; ; tries += 1) {
      await using hub = await startHub({ mcpServers: { s: fixture('minimal') } })
      const longest = await save(hub, [...saving, whole])
      // Where the machine stood still meanwhile, the file has stayed as it was for as long as one that counts as saved.
      if (longest > 80 && tries < 5) continue
      await until('the new server is there', async () =>
        (await toolNames(`${hub.url}/mcp`)).includes('t-echo'),
      )
      expect(hub.logged.filter((line) => line.level === 'error')).toEqual([])
      return
    }
  }, 60_000)

  test('of several quick changes the last one stays in force', async () => {
    await using hub = await startHub({ mcpServers: {} })
    for (let round = 0; round < 8; round += 1) {
      await hub.writeSettings({ mcpServers: { [`s${round}`]: fixture('minimal') } })
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    await until('the last one is in force', async () =>
      (await toolNames(`${hub.url}/mcp`)).includes('s7-echo'),
    )
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(new Set((await toolNames(`${hub.url}/mcp`)).map((name) => name.split('-')[0]))).toEqual(
      new Set(['s7']),
    )
  })

  test('a server that never answers and is removed does not hold up the report that all are settled', async () => {
    const settings = (mcpServers: Record<string, unknown>) => ({ mcpServers })
    const silent = { command: process.execPath, args: ['--eval', 'setInterval(() => {}, 1000)'] }
    await using hub = await spawnHub(settings({ s: fixture('minimal'), silent }))
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(hub.stderr()).not.toContain('Ready:')
    await writeFile(hub.settingsPath, JSON.stringify(settings({ s: fixture('minimal') })))
    await until('it is ready', () => hub.stderr().includes('Ready: 1 of 1'))
  })

  test('overrides and groups change what is shown without a restart of the server', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const pid = await pidOf(hub, 's-pid')
    const overridden = {
      ...fixture('honest'),
      tools: {
        echo: { enabled: false },
        's-add': { enabled: true, description: 'Adds two numbers, we say.' },
      },
    }
    await hub.writeSettings({
      mcpServers: { s: overridden },
      groups: [{ id: 'g', name: 'few', servers: [{ name: 's', alias: 'x', tools: ['pid', 'echo'] }] }],
    })
    await until('the tool is gone', async () => !(await toolNames(`${hub.url}/mcp`)).includes('s-echo'))
    expect(await toolNames(`${hub.url}/mcp/few`)).toEqual(['x-pid'])
    const client = await connectV1(`${hub.url}/mcp/s`)
    await expect(client.callTool({ name: 'echo', arguments: { text: 'x' } })).rejects.toThrow(
      /Unknown tool: echo/,
    )
    const { tools } = await client.listTools()
    expect(tools.find((tool) => tool.name === 'add')?.description).toBe('Adds two numbers, we say.')
    expect(await pidOf(hub, 's-pid')).toBe(pid)
  })

  test('a ConfigMap that is swapped by its symlink, read-only, is seen', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flotilla-configmap-'))
    const version = async (name: string, servers: Record<string, unknown>) => {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'mcp_settings.json'), JSON.stringify({ mcpServers: servers }))
      await chmod(join(folder, name, 'mcp_settings.json'), 0o444)
      await symlink(name, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    await version('..v1', { a: fixture('minimal') })
    await symlink('..data/mcp_settings.json', join(folder, 'mcp_settings.json'))
    await using hub = await spawnHub(undefined, { env: { MCPHUB_SETTING_PATH: folder } })
    await until('the first version is served', async () =>
      (await toolNames(`${hub.url}/mcp`)).includes('a-echo'),
    )
    await version('..v2', { b: fixture('minimal') })
    await until('the second version is served', async () => {
      const names = await toolNames(`${hub.url}/mcp`)
      return names.includes('b-echo') && !names.includes('a-echo')
    })
    await rm(folder, { recursive: true })
  })
})
