import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { VERSION } from '../kernel/version.ts'
import { runCli } from './program.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-cli-'))
  path = join(folder, 'mcp_settings.json')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

/** Runs `flotilla` with these arguments and this environment only. */
async function flotilla(args: string[], environment: Record<string, string> = {}) {
  const out = { data: '', talk: '' }
  const code = await runCli({
    argv: ['node', 'flotilla', ...args],
    environment,
    output: {
      data: (text) => {
        out.data += `${text}\n`
      },
      talk: (text) => {
        out.talk += `${text}\n`
      },
    },
    exitNow: () => undefined,
  })
  return { code, ...out }
}

const SETTINGS = `{
  // two servers
  "mcpServers": { "a": { "command": "x", "env": { "TOKEN": "hunter2" } }, "b": { "url": "http://h/mcp", "enabled": false } },
  "groups": [{ "name": "g", "servers": ["a", "gone"] }],
  "bearerKeys": [{ "id": "ci", "token": "secret-token" }],
  "systemConfig": { "nameSeparator": "__" }
}`

describe('flotilla config validate', () => {
  test('says that a file is valid, and warns of what is odd', async () => {
    await writeFile(path, SETTINGS)
    const { code, talk } = await flotilla(['config', 'validate', path])
    expect(code).toBe(0)
    expect(talk).toContain(`${path} is valid: 2 servers, 1 groups.`)
    expect(talk).toContain('there is no server "gone"')
  })

  test('takes the file of the environment when none is named', async () => {
    await writeFile(path, '{}')
    const { code, talk } = await flotilla(['config', 'validate'], { MCPHUB_SETTING_PATH: path })
    expect([code, talk]).toEqual([0, `${path} is valid: 0 servers, 0 groups.\n`])
  })

  test('ends with 78 and says where a file is wrong', async () => {
    await writeFile(path, '{\n  "groups": 7\n}')
    const { code, talk } = await flotilla(['config', 'validate', path])
    expect(code).toBe(78)
    expect(talk).toContain(`flotilla: ${path}:2:13: groups: `)
  })

  test('ends with 78 when the file is missing, and says what to check', async () => {
    const { code, talk } = await flotilla(['config', 'validate', path])
    expect(code).toBe(78)
    expect(talk).toContain(`${path} cannot be read`)
    expect(talk).toContain('Check that it exists')
  })

  test('with --json says it in one line for programs', async () => {
    const { code, talk } = await flotilla(['--json', 'config', 'validate', path])
    expect(code).toBe(78)
    expect(JSON.parse(talk)).toMatchObject({
      error: {
        code: 'settings.unreadable',
        message: expect.stringContaining(path),
        cure: expect.any(String),
      },
    })
  })
})

describe('flotilla config show', () => {
  test('shows what is in force, and no secrets', async () => {
    await writeFile(path, SETTINGS)
    const { code, data } = await flotilla(['config', 'show', '-s', path, '-o', 'json'], { PORT: '3100' })
    expect(code).toBe(0)
    expect(JSON.parse(data)).toMatchObject({
      port: 3_100,
      nameSeparator: '__',
      sessionTimeoutMs: 3_600_000,
      keys: ['ci'],
      groups: ['g'],
      'servers.a': 'stdio, shared',
      'servers.b': 'auto, shared, disabled',
    })
    expect(data).not.toMatch(/hunter2|secret-token/)
  })

  test('with --origin also says where each value comes from', async () => {
    await writeFile(path, SETTINGS)
    const { data } = await flotilla(['config', 'show', '--origin', '-o', 'json', '-s', path, '-p', '1'], {
      LOG_LEVEL: 'warn',
    })
    expect(JSON.parse(data)).toMatchObject({
      port: { value: 1, origin: 'flag --port' },
      logLevel: { value: 'warn', origin: 'environment LOG_LEVEL' },
      host: { value: '127.0.0.1', origin: 'default' },
      nameSeparator: { value: '__', origin: `file ${path}` },
      bearerAuth: { value: true, origin: 'default' },
    })
  })

  test('[R148] of a cluster shows each value with its origin, and no token', async () => {
    const security = { token: 'canary-token-of-cluster', oldTokens: ['canary-older-token'] }
    const cluster = { enabled: true, role: 'master', nodeId: 'from-file', weight: 2, security }
    await writeFile(path, JSON.stringify({ cluster }))
    const args = ['config', 'show', '--origin', '-s', path, '--name', 'Node 1', '--labels', 'gpu=yes']
    const { code, data } = await flotilla([...args, '-o', 'json'], { CLUSTER_NODE_ID: 'from-environment' })
    expect(code).toBe(0)
    expect(data).not.toContain('canary')
    expect(JSON.parse(data)).toMatchObject({
      'cluster.enabled': { value: true, origin: `file ${path} cluster.enabled` },
      'cluster.role': { value: 'coordinator', origin: `file ${path} cluster.role` },
      'cluster.nodeId': { value: 'from-environment', origin: 'environment CLUSTER_NODE_ID' },
      'cluster.nodeName': { value: 'Node 1', origin: 'flag --name' },
      'cluster.labels': { value: { gpu: 'yes' }, origin: 'flag --labels' },
      'cluster.weight': { value: 2, origin: `file ${path} cluster.weight` },
      'cluster.token': { value: '********', origin: `file ${path} cluster.security.token` },
      'cluster.oldTokens': { value: ['********'] },
      'cluster.maxServers': { value: null, origin: 'default' },
      'cluster.heartbeatIntervalMs': { value: 5_000, origin: 'default' },
      'cluster.sticky.cookieName': { value: 'MCPHUB_NODE', origin: 'default' },
      'cluster.tls.enabled': { value: false, origin: 'default' },
    })
    const table = await flotilla(args)
    expect(table.data).toMatch(/^cluster\.token +\*{8} +file .*security\.token$/m)
    expect(table.data).toMatch(/^cluster\.maxServers +- +default$/m)
  })

  test('of a cluster that cannot be ends with 78 and says why', async () => {
    await writeFile(path, '{}')
    const { code, talk } = await flotilla(['config', 'show', '-s', path, '--role', 'worker'])
    expect(code).toBe(78)
    expect(talk).toContain('flotilla: --role: a worker needs the URL of its coordinator')
    expect(talk).toContain('CLUSTER_MASTER_URL')
  })

  test('is a table for people', async () => {
    await writeFile(path, SETTINGS)
    const { data } = await flotilla(['config', 'show', '--origin', '-s', path])
    const lines = data.trimEnd().split('\n')
    expect(lines.find((line) => line.startsWith('port '))).toMatch(/^port +3000 +default$/)
    expect(lines.find((line) => line.startsWith('servers.a'))).toMatch(/^servers\.a +stdio, shared +file \//)
  })

  test('of a file that is missing ends with 78 and says what to check, as validate does', async () => {
    const { code, talk } = await flotilla(['config', 'show', '-s', path])
    expect(code).toBe(78)
    expect(talk).toContain(`The settings file ${path} cannot be read`)
    expect(talk).not.toContain('bug')
  })

  test('of a file that is wrong ends with 78 and says where', async () => {
    await writeFile(path, '{\n  "mcpServers": { "a": { "command": 5 } }\n}')
    const { code, data, talk } = await flotilla(['config', 'show', '-s', path])
    expect([code, data]).toEqual([78, ''])
    expect(talk).toContain(`flotilla: ${path}:2:37: mcpServers.a.command: `)
    expect(talk).toContain('flotilla config validate')
  })

  test('of a file that cannot be read ends with 78 and says why', async () => {
    await symlink(path, path)
    for (const unreadable of [path, join(path, 'below')]) {
      const { code, data, talk } = await flotilla(['config', 'show', '-s', unreadable])
      expect([code, data]).toEqual([78, ''])
      expect(talk).toContain(`The settings file ${unreadable} cannot be read: ELOOP`)
    }
    await mkdir(join(folder, 'both', 'mcp_settings.json'), { recursive: true })
    const { code, talk } = await flotilla(['config', 'show', '-s', join(folder, 'both')])
    expect(code).toBe(78)
    expect(talk).toContain('cannot be read: EISDIR')
  })
})

describe('wrong use', () => {
  test.each([
    [['--nope']],
    [['config', 'nope']],
    [['config', 'validate', '--port', '1']],
    [['serve', '-l', 'loud']],
  ])('%j ends with 1 and shows help', async (args) => {
    const { code, talk } = await flotilla(args)
    expect(code).toBe(1)
    expect(talk).toContain('error:')
    expect(talk).toContain('Usage:')
  })

  test('of an option ends with 78 and names it', async () => {
    const { code, talk } = await flotilla(['config', 'show', '--port', 'x'])
    expect(code).toBe(78)
    expect(talk).toContain('flotilla: --port: "x" is no port.')
  })
})

describe('what the command line says of itself', () => {
  test('its version', async () => {
    expect(await flotilla(['--version'])).toMatchObject({ code: 0, data: `${VERSION}\n` })
  })

  test('help with examples, in the language of the user', async () => {
    const { code, data } = await flotilla(['--help'])
    expect(code).toBe(0)
    expect(data).toContain('Examples:')
    for (const [args, environment] of [
      [['--lang', 'zh-CN', '--help'], {}],
      [['--lang=zh', '--help'], { LANG: 'en_US.UTF-8' }],
      [['--help'], { LANG: 'zh_CN.UTF-8' }],
      [['--help'], { LC_ALL: 'zh_CN.UTF-8', LANG: 'en_US.UTF-8' }],
      [['--help'], { LC_MESSAGES: 'zh_CN', LANG: 'en_US.UTF-8' }],
    ] as const)
      expect((await flotilla([...args], { ...environment })).data).toContain('示例：')
  })

  test('takes a variable that is empty for one that is not set, as POSIX has it', async () => {
    expect((await flotilla(['--help'], { LC_ALL: '', LANG: 'zh_CN.UTF-8' })).data).toContain('示例：')
  })
})
