import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { STANDALONE } from '../../domain/cluster-settings.ts'
import { systemRandom } from '../../kernel/random.ts'
import { nodeFacts } from './facts.ts'

let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'flotilla-facts-'))
})
afterAll(() => rm(dataDir, { recursive: true }))

/** Where a worker that listens on `host` says that others reach it. */
async function addressOf(host: string, coordinator: string, advertised?: string) {
  const settings = {
    ...STANDALONE,
    coordinators: [coordinator],
    advertise: { host: advertised, port: undefined },
  }
  const options = { settings, role: 'worker' as const, dataDir, environment: {}, host, port: 3001 }
  const facts = await nodeFacts(options, systemRandom)
  return facts.host === undefined ? facts.port : `${facts.host}:${facts.port}`
}

test.each([
  ['127.0.0.1', 'http://127.0.0.1:3000', '127.0.0.1:3001'],
  ['127.0.0.1', 'http://[::1]:3000', '127.0.0.1:3001'],
  ['10.0.0.7', 'http://hub.example.com:3000', '10.0.0.7:3001'],
])('a worker on %s tells the coordinator at %s that address', async (host, coordinator, told) => {
  expect(await addressOf(host, coordinator)).toBe(told)
})

test.each([
  ['0.0.0.0', 'http://hub.example.com:3000'],
  ['::', 'http://127.0.0.1:3000'],
  ['127.0.0.1', 'http://hub.example.com:3000'],
])('a worker on %s tells the coordinator at %s none', async (host, coordinator) => {
  expect(await addressOf(host, coordinator)).toBeUndefined()
  expect(await addressOf(host, coordinator, 'worker.example.com')).toBe('worker.example.com:3001')
})
