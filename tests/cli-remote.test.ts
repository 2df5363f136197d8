import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runFlotilla, spawnHub } from './harness/hub-process.ts'
import { logIn, makeKey } from './harness/rest.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

const PASSWORD = 'correct horse battery'

test('[R2] [R54] the command line asks a hub that runs alone and is open, without a key', async () => {
  await using hub = await spawnHub({ mcpServers: { s: fixture('minimal') } })
  await until('it is ready', () => hub.stderr().includes('Ready: 1 of 1'))
  const env = { FLOTILLA_URL: hub.url }
  const status = await runFlotilla(['status'], { env })
  expect({ code: status.code, stderr: status.stderr }).toEqual({ code: 0, stderr: '' })
  expect(status.stdout).toMatch(/^Cluster +standalone \(node-/)
  expect(status.stdout).toMatch(/^Replicas +1 of 1 healthy$/m)
  const list = await runFlotilla(['server', 'replicas', 's', '--json'], { env })
  expect(JSON.parse(list.stdout)).toMatchObject({ replicas: [{ id: 's-replica-1', status: 'running' }] })
  const drain = await runFlotilla(['server', 'restart', 's'], { env })
  expect(drain.code).toBe(1)
  expect(drain.stderr).toContain('cluster:write')
})

test('with a key from a file it may change things, and the key is never shown', async () => {
  await using hub = await spawnHub(
    { mcpServers: { s: fixture('minimal') } },
    { env: { ADMIN_PASSWORD: PASSWORD } },
  )
  await until('it is ready', () => hub.stderr().includes('Ready: 1 of 1'))
  const admin = { login: await logIn(hub.url, 'admin', PASSWORD) }
  const { token } = await makeKey(hub.url, admin, { name: 'ops', owner: null, rest: 'admin' })
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-key-'))
  const keyFile = join(folder, 'key')
  await writeFile(keyFile, `${token}\n`)
  const env = { PORT: new URL(hub.url).port }
  const restart = await runFlotilla(['server', 'restart', 's', '--key-file', keyFile], { env })
  expect(restart).toMatchObject({ code: 0, stderr: expect.stringContaining('started anew') })
  const scale = await runFlotilla(['server', 'scale', 's', '2', '--key-file', keyFile], { env })
  expect(scale).toMatchObject({ code: 0, stderr: expect.stringContaining('runs alone') })
  const none = await runFlotilla(['server', 'restart', 's'], { env })
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('--key-file') })
  for (const { stdout, stderr } of [restart, scale, none]) expect(`${stdout}${stderr}`).not.toContain(token)
  await rm(folder, { recursive: true })
})

test('a hub that runs alone has no events to tell', async () => {
  await using hub = await spawnHub({ mcpServers: {} })
  const { code, stdout, stderr } = await runFlotilla(['events'], { env: { FLOTILLA_URL: hub.url } })
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: 'Nothing has happened yet.\n' })
})
