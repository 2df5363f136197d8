import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectV1, textOf } from './harness/clients.ts'
import { type HubProcess, spawnHub } from './harness/hub-process.ts'
import { type RawAnswer, raw } from './harness/raw.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const PASSWORD = 'a-password-for-these-tests-1'
const settings = { mcpServers: { m: fixture('minimal') }, systemConfig: { nameSeparator: '-' } }

let folder: string
let disk: string
let hub: HubProcess
let token: string

/** A hub whose settings file is on a disk of its own, of 256 KiB; everything else is elsewhere. */
async function startOnItsDisk(): Promise<void> {
  hub = await spawnHub(settings, {
    folder: disk,
    env: { DATA_DIR: join(folder, 'data'), ADMIN_PASSWORD: PASSWORD },
  })
  const { json } = await api('POST', '/auth/login', { username: 'admin', password: PASSWORD })
  token = String((json as { token?: string } | undefined)?.token)
}

function api(method: string, path: string, body?: object): Promise<RawAnswer> {
  return raw(`${hub.url}/api${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token ? { 'x-auth-token': token } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
}

const separate = (nameSeparator: string) => api('PUT', '/system-config', { nameSeparator })
const file = () => readFile(hub.settingsPath, 'utf8')

/** Tools can be called and the settings be read, whatever has happened to their file. */
async function expectToServe(): Promise<void> {
  const { json } = await api('POST', '/auth/keys', { name: `key of ${performance.now()}` })
  const key = (json as unknown as { data: { token: string } }).data.token
  const client = await connectV1(`${hub.url}/mcp/m`, { headers: { authorization: `Bearer ${key}` } })
  const result = await until('the tool answers', () =>
    client.callTool({ name: 'echo', arguments: { text: 'on' } }).catch(() => undefined),
  )
  expect(textOf(result)).toBe('on')
  await client.close()
  expect((await api('GET', '/settings')).status).toBe(200)
  expect((await api('GET', '/settings/revisions')).status).toBe(200)
  expect((await api('GET', '/servers')).status).toBe(200)
}

/** Writes until nothing fits any more. */
async function fill(path: string): Promise<void> {
  const filler = await open(path, 'w')
  try {
    for (;;) await filler.write(Buffer.alloc(1024))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await filler.close()
  }
}

function isUnmounted(): boolean {
  return spawnSync('umount', [disk]).status === 0
}

const isRoot = process.getuid?.() === 0

// Only root may mount what can be filled, and for root no folder is closed by its mode.
describe.runIf(isRoot)('a hub that can no longer write its settings file', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flotilla-unwritable-'))
    disk = join(folder, 'disk')
    token = ''
    await mkdir(disk)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk])
    await startOnItsDisk()
  })
  afterEach(async () => {
    await hub?.[Symbol.asyncDispose]()
    await until('what the hub has started has ended too', () => isUnmounted())
    await rm(folder, { recursive: true, force: true })
  })

  test('[R36] since its folder takes no changes any more: says so, serves on, and writes again later', async () => {
    expect((await separate('_')).status).toBe(200)
    const before = await file()
    execFileSync('mount', ['-o', 'remount,ro', disk])
    const refused = await separate('.')
    expect(refused.status).toBe(409)
    expect(refused.json).toMatchObject({
      success: false,
      code: 'settings.read-only',
      message: expect.stringContaining('mounted read-only'),
      cure: expect.stringMatching(/\w/),
    })
    expect(await file()).toBe(before)
    await expectToServe()
    execFileSync('mount', ['-o', 'remount,rw', disk])
    expect((await separate('.')).status).toBe(200)
    expect(JSON.parse(await file())).toMatchObject({ systemConfig: { nameSeparator: '.' } })
  })

  test('[R215] since the disk is full: says so, serves on, keeps the file, and writes again later', async () => {
    expect((await separate('_')).status).toBe(200)
    const before = await file()
    const { etag } = (await api('GET', '/settings')).headers
    await fill(join(disk, 'filler'))
    for (let tries = 0; tries < 3; tries += 1) {
      const refused = await separate('.')
      expect(refused.status).toBe(507)
      expect(refused.json).toMatchObject({
        success: false,
        code: 'settings.unwritable',
        message: expect.stringContaining('the disk is full'),
        cure: expect.stringContaining('Make room'),
      })
      expect(await file()).toBe(before)
    }
    await expectToServe()
    // Neither the revision nor anything on the disk is of a change that was refused.
    expect((await api('GET', '/settings')).headers.etag).toBe(etag)
    expect((await readdir(disk)).filter((name) => name.includes('.tmp.'))).toEqual([])
    await rm(join(disk, 'filler'))
    expect((await separate('.')).status).toBe(200)
    expect(JSON.parse(await file())).toMatchObject({ systemConfig: { nameSeparator: '.' } })
  })
})
