import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { ClusterMemory } from './memory.ts'

let folder: string
const { logger } = recordingLogger()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-memory-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

test('a coordinator that has never run knows nothing', async () => {
  const { last } = await ClusterMemory.open(folder, logger)
  expect([last.nodes, [...last.flags]]).toEqual([undefined, []])
})

test('it knows after a restart which nodes there were, and what the operator has said of them', async () => {
  const before = await ClusterMemory.open(folder, logger)
  before.save(['w2'], new Map())
  before.save(['w2', 'w1', 'w2'], new Map([['w1', { cordoned: true, draining: false }]]))
  await before.written()
  const { last } = await ClusterMemory.open(folder, logger)
  expect(last.nodes).toEqual(['w1', 'w2'])
  expect([...last.flags]).toEqual([['w1', { cordoned: true, draining: false }]])
})

test('a file of another shape counts for nothing', async () => {
  const before = await ClusterMemory.open(folder, logger)
  before.save(['w1'], new Map())
  await before.written()
  const [name = ''] = await readdir(join(folder, 'cluster'))
  await writeFile(join(folder, 'cluster', name), '{"key":"nodes","value":{"nodes":7}}')
  const { last } = await ClusterMemory.open(folder, logger)
  expect([last.nodes, [...last.flags]]).toEqual([undefined, []])
})
