import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectV1, connectV2, textOf } from './harness/clients.ts'
import { FLOTILLA, runFlotilla, spawnHub } from './harness/hub-process.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-cli-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function settingsFile(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

describe('flotilla', () => {
  test('--help shows commands, flags and examples; --version the version', async () => {
    const help = await runFlotilla(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const word of ['serve', 'config', 'completion', 'flotilla config show --origin'])
      expect(help.stdout).toContain(word)
    const version = await runFlotilla(['--version'])
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('speaks Chinese when the environment does', async () => {
    const { stdout } = await runFlotilla(['--help'], { env: { LANG: 'zh_CN.UTF-8' } })
    expect(stdout).toContain('启动 Hub')
    expect((await runFlotilla(['--lang', 'zh-CN', '--help'])).stdout).toContain('启动 Hub')
  })

  test('wrong use: exit code 1, the reason and the help on stderr, nothing on stdout', async () => {
    const { code, stdout, stderr } = await runFlotilla(['serve', '--prot', '1'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain("unknown option '--prot'")
    expect((await runFlotilla(['serve', '--port', 'many'])).stderr).toContain('"many" is no port')
  })

  test.each(['bash', 'zsh', 'fish', 'powershell'])(
    'completion %s writes a script for that shell',
    async (shell) => {
      const { code, stdout } = await runFlotilla(['completion', shell])
      expect(code).toBe(0)
      expect(stdout).toContain('flotilla')
    },
  )

  test('ends quietly when nobody reads its output any more', () => {
    const { stdout, stderr } = spawnSync(
      '/bin/sh',
      ['-c', '{ "$0" "$1" --help; echo "code $?" >&2; } | true', process.execPath, FLOTILLA],
      { encoding: 'utf8' },
    )
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'code 0\n' })
  })

  test('completion knows commands and flags', async () => {
    const { stdout } = await runFlotilla(['complete', '--', 'serve', '--p'])
    expect(stdout).toContain('--port')
  })
})

describe('flotilla config', () => {
  test('validate accepts a good file and says what is in it; comments are allowed', async () => {
    const path = await settingsFile(
      'good.json',
      '{\n // comment\n "mcpServers": { "a": { "command": "x" }, }, /* more */ "unknownKey": 1 }',
    )
    const { code, stderr } = await runFlotilla(['config', 'validate', path])
    expect(code).toBe(0)
    expect(stderr).toContain('1 servers')
  })

  test('validate: exit code 78, line and column, and with --json one line of JSON', async () => {
    const path = await settingsFile('bad.json', '{\n  "mcpServers": {\n    "a": { "command": 5 }\n  }\n}')
    const plain = await runFlotilla(['config', 'validate', path])
    expect(plain.code).toBe(78)
    expect(plain.stderr).toContain(`${path}:3:23`)
    const json = await runFlotilla(['--json', 'config', 'validate', path])
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'settings.invalid' } })
    expect((await runFlotilla(['config', 'validate', join(folder, 'missing.json')])).code).toBe(78)
  })

  test('[R39] show --origin tells where each value comes from, and no secrets', async () => {
    const path = await settingsFile(
      'show.json',
      JSON.stringify({
        mcpServers: { a: { command: 'x', env: { T: 'canary-env' } } },
        bearerKeys: [{ id: 'k', token: 'canary-token' }],
        systemConfig: { nameSeparator: '__' },
      }),
    )
    const args = ['config', 'show', '--origin', '--host', '127.0.0.2', '-s', path]
    const { code, stdout } = await runFlotilla(args, { env: { PORT: '3100' } })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^port\s+3100\s+environment PORT$/m)
    expect(stdout).toMatch(/^host\s+127\.0\.0\.2\s+flag --host$/m)
    expect(stdout).toMatch(/^logLevel\s+info\s+default$/m)
    expect(stdout).toMatch(/^nameSeparator\s+__\s+file .*show\.json$/m)
    expect(stdout).not.toContain('canary')
    const json = JSON.parse((await runFlotilla([...args, '-o', 'json'])).stdout) as Record<
      string,
      { value: unknown; origin: string }
    >
    expect(json['port']).toEqual({ value: 3000, origin: 'default' })
  })
})

describe('flotilla config show of settings that cannot be used', () => {
  test('exit code 78 and the reason on stderr, nothing on stdout', async () => {
    const wrong = await settingsFile('wrong.json', '{\n  "mcpServers": { "a": { "command": 5 } }\n}')
    const invalid = await runFlotilla(['config', 'show', '-s', wrong])
    expect([invalid.code, invalid.stdout]).toEqual([78, ''])
    expect(invalid.stderr).toContain(`flotilla: ${wrong}:2:37: mcpServers.a.command`)
    const missing = await runFlotilla(['config', 'show', '-s', join(folder, 'missing.json')])
    expect([missing.code, missing.stdout]).toEqual([78, ''])
    expect(missing.stderr).toContain('missing.json cannot be read: ENOENT')
  })
})

describe('flotilla serve', () => {
  test('[R2] [R156] without settings serves the bundled example offline, and says how to connect', async () => {
    await using hub = await spawnHub(undefined)
    await until('it is ready', () => hub.stderr().includes('Ready: 3 of 3'), 30_000)
    for (const text of [
      'Running in standalone mode',
      'claude mcp add --transport http flotilla',
      '"mcpServers"',
      '"servers"',
      `${hub.url}/mcp`,
    ])
      expect(hub.stderr()).toContain(text)
    for (const client of [await connectV1(`${hub.url}/mcp`), await connectV2(`${hub.url}/mcp`)]) {
      const names = (await client.listTools()).tools.map(({ name }) => name)
      expect(names).toEqual(
        expect.arrayContaining(['everything-echo', 'filesystem-read_text_file', 'memory-read_graph']),
      )
      expect(textOf(await client.callTool({ name: 'everything-echo', arguments: { message: 'hi' } }))).toBe(
        'Echo: hi',
      )
      await client.close()
    }
  })

  test('the MCP Inspector lists the tools and calls one', async () => {
    await using hub = await spawnHub({ mcpServers: { s: fixture('honest') } })
    await until('it is ready', () => hub.stderr().includes('Ready: 1 of 1'))
    const inspect = (...args: string[]) =>
      spawnSync(
        join(process.cwd(), 'node_modules/.bin/mcp-inspector'),
        ['--cli', `${hub.url}/mcp`, '--transport', 'http', ...args],
        { encoding: 'utf8', timeout: 25_000 },
      )
    expect(inspect('--method', 'tools/list').stdout).toContain('"s-echo"')
    const call = inspect(
      '--method',
      'tools/call',
      '--tool-name',
      's-echo',
      '--tool-arg',
      'text=from-the-inspector',
    )
    expect({ status: call.status, out: call.stdout }).toMatchObject({
      status: 0,
      out: expect.stringContaining('from-the-inspector'),
    })
  }, 60_000)

  test('a port that is taken: exit code 1 and the cure', async () => {
    await using hub = await spawnHub({ mcpServers: {} })
    const { code, stderr } = await runFlotilla(['serve', '--port', new URL(hub.url).port], {
      cwd: folder,
      env: { MCPHUB_SETTING_PATH: hub.settingsPath },
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(/another program listens there/)
  })

  test('settings that are named but missing: exit code 78', async () => {
    const { code, stderr } = await runFlotilla(['serve'], {
      cwd: folder,
      env: { PORT: '0', MCPHUB_SETTING_PATH: '/nowhere/mcp_settings.json' },
    })
    expect(code).toBe(78)
    expect(stderr).toContain('/nowhere/mcp_settings.json cannot be read')
  })

  test('[R97] /health answers for people and probes', async () => {
    await using hub = await spawnHub({
      mcpServers: { s: fixture('minimal'), bad: { command: '/nowhere/at-all' } },
    })
    const said = ['Ready: 1 of 2', 'Install "/nowhere/at-all"']
    await until('it is settled, and says what to do', () => said.every((text) => hub.stderr().includes(text)))
    const response = await fetch(`${hub.url}/health`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      status: 'degraded',
      servers: { total: 2, connected: 1, disconnected: 1 },
    })
  })

  test('an old Node is told in one line what is missing', () => {
    const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) =>
      /^v(1\d|2[0-3])\./.test(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
    )
    const result = old
      ? spawnSync(old, [FLOTILLA, '--version'], { encoding: 'utf8' })
      : spawnSync(
          process.execPath,
          [
            '--eval',
            `Object.defineProperty(process.versions,'node',{value:'20.1.0'});import(${JSON.stringify(FLOTILLA)})`,
          ],
          { encoding: 'utf8' },
        )
    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(/^flotilla needs Node 24\.15 or later; this is Node \d+\.\d+\.\d+\.\n$/)
  })
})
