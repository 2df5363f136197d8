import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Maintenance } from '../src/compose/maintenance.ts'
import type { KeyRecord, UserRecord } from '../src/domain/accounts.ts'
import type { UsageRecord } from '../src/domain/activity.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { readTargets } from '../src/state/storage/dsn.ts'
import { Storage } from '../src/state/storage/storage.ts'
import { EVERYTHING } from './fixtures/settings/mcphub-document.ts'
import { type DatabaseServer, startMariaDb, startPostgres } from './harness/databases.ts'
import { startHub } from './harness/hub.ts'
import { runFlotilla } from './harness/hub-process.ts'
import { recordingLogger } from './harness/recording-logger.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const parts = { clock: systemClock, random: systemRandom, log: recordingLogger().logger }

let folder = ''
let settingsPath = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-data-'))
  settingsPath = join(folder, 'mcp_settings.json')
  return () => rm(folder, { recursive: true, force: true })
})

const flotilla = (...args: string[]) => runFlotilla(args, { cwd: folder })

describe('the settings file of an MCPHub', () => {
  const text = `// kept by hand\n${JSON.stringify({ ...EVERYTHING, madeUp: { by: ['the', 'operator'] } }, undefined, 2)}`
  const whole = { ...EVERYTHING, madeUp: { by: ['the', 'operator'] } }

  test('[R224] [R225] [R228] goes to the database and back without losing anything', async () => {
    await writeFile(settingsPath, text)
    const migrated = await flotilla('migrate', '--from', 'file', '--to', 'database')
    expect(migrated.stderr).toContain('"msg":"Starting data migration from JSON to SQLite..."')
    expect(migrated.stderr).toContain('"msg":"Data migration completed successfully"')
    expect(migrated.stderr).toContain('3 servers, 1 groups')
    expect(migrated.code).toBe(0)
    const backups = (await readdir(folder)).filter((name) => name.startsWith('mcp_settings.json.backup.'))
    expect(await readFile(join(folder, backups[0] ?? ''), 'utf8')).toBe(text)

    // The database is the store now: what happens to the file does not matter.
    await rm(settingsPath)
    const exported = await flotilla('config', 'export', '--secrets', 'open')
    expect(JSON.parse(exported.stdout)).toEqual(whole)
    const masked = await flotilla('config', 'export')
    expect(masked.stdout).not.toMatch(/token-of-first|Bearer x/)

    expect((await flotilla('migrate', 'rollback')).code).toBe(0)
    const { stdout } = await flotilla('config', 'export', '--secrets', 'open')
    expect(JSON.parse(stdout)).toEqual(whole)
    expect(await readFile(settingsPath, 'utf8')).not.toContain('token-of-first')
  })

  test('is not migrated twice, nor when it is broken or missing', async () => {
    await writeFile(settingsPath, '{ "mcpServers": ')
    expect((await flotilla('migrate')).code).toBe(78)
    await writeFile(settingsPath, text)
    expect((await flotilla('migrate')).code).toBe(0)
    const again = await flotilla('migrate')
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('in the database already')
    const strange = await flotilla('migrate', '--to', 'paper')
    expect(strange.stderr).toContain('cannot be migrated from file to paper')
  })
})

test('[R227] with --dual-write the file follows every change of the database', async () => {
  const settings = { mcpServers: { one: fixture('minimal') } }
  await writeFile(settingsPath, JSON.stringify(settings))
  const environment = { ...process.env, ADMIN_PASSWORD: 'a password for the test' }
  const dataDir = join(folder, 'data')
  const options = { dataDir, settingsPath, settingsOptional: false, environment }
  await new Maintenance(options, parts).migrate({ dualWrite: true })
  await using hub = await startHub(settings, { folder, environment })
  const json = { 'content-type': 'application/json' }
  const login = await fetch(`${hub.url}/api/auth/login`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ username: 'admin', password: environment.ADMIN_PASSWORD }),
  })
  const { token } = (await login.json()) as { token: string }
  const changed = await fetch(`${hub.url}/api/servers/one/toggle`, {
    method: 'POST',
    headers: { ...json, 'x-auth-token': token },
    body: '{"enabled":false}',
  })
  expect(changed.status).toBe(200)
  await until('the file has it too', async () => {
    const { mcpServers } = JSON.parse(await readFile(settingsPath, 'utf8'))
    return mcpServers.one.enabled === false
  })
  // What somebody writes into the file meanwhile is not the settings.
  await hub.writeSettings({ mcpServers: {} })
  const { stdout } = await runFlotilla(['config', 'export'], { cwd: folder, env: { DATA_DIR: dataDir } })
  expect(JSON.parse(stdout)).toHaveProperty('mcpServers.one.enabled', false)
})

test('secrets are sealed anew under another CRYPTO_SECRET', async () => {
  const secret = { headers: { Authorization: 'Bearer canary-of-rotation' } }
  await writeFile(settingsPath, JSON.stringify({ mcpServers: { a: { url: 'http://h/mcp', ...secret } } }))
  const first = { CRYPTO_SECRET: 'the first secret of this test 1' }
  const second = { CRYPTO_SECRET: 'the second secret of this test 2' }
  const run = (args: string[], env: Record<string, string>) => runFlotilla(args, { cwd: folder, env })
  expect((await run(['migrate'], first)).code).toBe(0)
  const locked = await run(['config', 'export', '--secrets', 'open'], second)
  expect(locked.stdout).not.toContain('canary-of-rotation')
  const rotated = await run(['secrets', 'rotate'], { ...second, CRYPTO_SECRET_OLD: first.CRYPTO_SECRET })
  expect(rotated.code).toBe(0)
  const open = await run(['config', 'export', '--secrets', 'open'], second)
  expect(open.stdout).toContain('canary-of-rotation')
  expect((await run(['config', 'export', '--secrets', 'open'], first)).stdout).not.toContain('canary-of')
})

describe('a backup of everything', () => {
  let postgres: DatabaseServer
  let mariaDb: DatabaseServer

  beforeAll(async () => {
    ;[postgres, mariaDb] = await Promise.all([startPostgres(), startMariaDb()])
  }, 300_000)

  afterAll(() => Promise.all([postgres.close(), mariaDb.close()]))

  const user: UserRecord = {
    username: '名字 ü',
    role: 'admin',
    status: 'disabled',
    passwordHash: '$argon2id$x',
    email: undefined,
    fullName: "O'Neill \\ \u{1f6a2}",
    origin: 'api',
    declaredHash: undefined,
    createdAt: 1_700_000_000_000,
    lastLoginAt: undefined,
  }
  const key: KeyRecord = {
    id: 'k',
    name: 'key',
    tokenHash: 'a'.repeat(64),
    prefix: 'flk_a',
    owner: user.username,
    scope: {
      kind: 'some',
      groups: new Set(['g']),
      servers: new Set(),
      tools: new Map([['s', new Set(['t'])]]),
    },
    rest: 'read',
    grants: [],
    enabled: false,
    expiresAt: 2_000_000_000_000,
    requestsPerMinute: 3,
    maxConcurrent: undefined,
    createdAt: 1_700_000_000_000,
    createdBy: undefined,
    lastUsedAt: undefined,
  }
  const call = (n: number): UsageRecord => ({
    id: `call-${String(n).padStart(6, '0')}`,
    timestamp: 1_700_000_000_000 + n,
    username: undefined,
    keyId: 'k',
    server: 's',
    tool: 't',
    success: n % 2 === 0,
    durationMs: n,
    error: n % 2 === 0 ? undefined : 'no',
    arguments: undefined,
    ip: '127.0.0.1',
    userAgent: undefined,
    sessionId: undefined,
    node: 'n',
  })

  function hubAt(place: string, environment: Record<string, string> = {}) {
    const dataDir = join(folder, place)
    const options = {
      dataDir,
      settingsPath: join(dataDir, 'mcp_settings.json'),
      settingsOptional: true,
      environment,
    }
    return {
      maintenance: new Maintenance(options, parts),
      targets: readTargets(environment, dataDir),
      dataDir,
    }
  }

  async function contents({ targets }: ReturnType<typeof hubAt>) {
    const storage = await Storage.open(targets, parts)
    try {
      const { items } = await storage.activity.usage({}, { limit: 2_000 })
      return {
        users: await storage.users.list(),
        keys: await storage.keys.list(),
        calls: items,
        document: await storage.document.read(),
        revisions: await storage.revisions.list({ limit: 10 }),
      }
    } finally {
      await storage.close()
    }
  }

  test('[R204] goes from one engine to the next, whole, over what is there', async () => {
    const first = hubAt('sqlite')
    const storage = await Storage.open(first.targets, parts)
    await storage.users.create(user)
    await storage.keys.create(key)
    await storage.activity.appendUsage(Array.from({ length: 1_234 }, (_, n) => call(n)))
    await storage.close()
    const text = JSON.stringify({ mcpServers: { a: { url: 'http://h/mcp' } } })
    await writeFile(join(first.dataDir, 'mcp_settings.json'), text)
    await first.maintenance.migrate({ dualWrite: false })
    const wanted = await contents(first)
    expect(wanted.calls).toHaveLength(1_234)
    expect(wanted.users).toEqual([user])
    expect(wanted.keys).toEqual([key])

    const chain = [
      hubAt('postgres', { SQL_DSN: await postgres.createDatabase() }),
      hubAt('mariadb', { SQL_DSN: await mariaDb.createDatabase() }),
      hubAt('sqlite-again'),
    ]
    let from = first
    for (const [n, to] of chain.entries()) {
      const file = join(folder, `${n}.backup`)
      await from.maintenance.backup(file, { withSecrets: true })
      // Twice: the second replaces what the first has brought.
      await to.maintenance.restore(file)
      await to.maintenance.restore(file)
      expect(await contents(to)).toEqual(wanted)
      expect(await to.maintenance.exportSettings('open')).toBe(await first.maintenance.exportSettings('open'))
      from = to
    }
  }, 120_000)

  test('that is damaged changes nothing', async () => {
    const hub = hubAt('hub')
    const file = join(folder, 'x.backup')
    await hub.maintenance.backup(file, { withSecrets: false })
    const before = await contents(hub)
    await writeFile(file, (await readFile(file)).subarray(0, -20))
    await expect(hub.maintenance.restore(file)).rejects.toMatchObject({ code: 'settings.invalid' })
    expect(await contents(hub)).toEqual(before)
  })

  test('is taken while the hub runs, and put back only on demand', async () => {
    await using hub = await startHub({ mcpServers: { one: fixture('minimal') } }, { folder })
    const env = { DATA_DIR: join(folder, 'data') }
    const run = (...args: string[]) => runFlotilla(args, { cwd: folder, env })
    const made = await run('backup', 'now.backup', '--json')
    expect(JSON.parse(made.stdout)).toMatchObject({ file: join(folder, 'now.backup') })
    expect((await fetch(`${hub.url}/health`)).status).toBe(200)
    const unsure = await run('restore', 'now.backup')
    expect(unsure.code).toBe(1)
    expect(unsure.stderr).toContain('add --yes')
    expect((await run('restore', 'now.backup', '--yes')).code).toBe(0)
    expect((await fetch(`${hub.url}/api/status`)).status).toBe(200)
  })
})
