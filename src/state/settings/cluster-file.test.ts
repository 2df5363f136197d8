import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadClusterSettings } from './cluster-file.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-cluster-'))
  path = join(folder, 'mcp_settings.json')
})
afterEach(() => rm(folder, { recursive: true }))

const WORKER = { CLUSTER_ENABLED: 'true', CLUSTER_ROLE: 'worker', CLUSTER_MASTER_URL: 'http://c' }

test('[R161] a worker needs no settings file; one that was named must be there', async () => {
  const { settings } = await loadClusterSettings({ path, optional: true, environment: WORKER })
  expect(settings.role).toBe('worker')
  await expect(loadClusterSettings({ path, optional: false, environment: WORKER })).rejects.toMatchObject({
    code: 'settings.unreadable',
  })
})

test('what the file says is read, and where it is wrong is said', async () => {
  const load = () => loadClusterSettings({ path, optional: true, environment: {} })
  await writeFile(path, '{ // mine\n  "cluster": { "enabled": true, "role": "master", "weight": 2 },\n}')
  expect((await load()).settings).toMatchObject({ role: 'coordinator', weight: 2 })
  await writeFile(path, '{\n  "cluster": { "enabled": true, "role": "boss" } }')
  await expect(load()).rejects.toMatchObject({ message: `${path}:2:41: cluster.role: "boss" is no role.` })
  await writeFile(path, '{')
  await expect(load()).rejects.toMatchObject({ message: expect.stringContaining(`${path}:1:`) })
  await writeFile(path, '[]')
  await expect(load()).rejects.toMatchObject({ message: `${path}:1:1: the document must be an object.` })
})

test('keys are looked for only where something is sealed', async () => {
  let asked = 0
  const opener = () => {
    asked += 1
    return Promise.resolve((sealed: string) => `opened-${sealed.length}`)
  }
  const load = () => loadClusterSettings({ path, optional: true, environment: {}, opener })
  const file = (token: string) =>
    writeFile(path, JSON.stringify({ cluster: { enabled: true, role: 'master', security: { token } } }))
  await file('k3Zr9vQ2mW8xLp5T')
  expect((await load()).settings.token).toBe('k3Zr9vQ2mW8xLp5T')
  expect(asked).toBe(0)
  await file('enc:v1:abc:def')
  expect((await load()).settings.token).toBe('opened-14')
  expect(asked).toBe(1)
})
