import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { findRuntimes, LoadMeter, machineFacts } from './machine-load.ts'
import { runtimeOf } from './runtimes.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-path-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('runtimes are found where PATH says, if they can be run', async () => {
  for (const name of ['uvx', 'docker', 'other']) await writeFile(join(folder, name), '')
  await chmod(join(folder, 'uvx'), 0o755)
  await chmod(join(folder, 'other'), 0o755)
  expect(await findRuntimes([join(folder, 'missing'), folder, '', '.'].join(delimiter))).toEqual(['uvx'])
  expect(await findRuntimes(undefined)).toEqual([])
})

test.each([
  ['npx', 'npx'],
  ['/usr/local/bin/uvx', 'uvx'],
  ['C:\\Program Files\\nodejs\\node.exe', 'node'],
  ['npx.cmd', 'npx'],
  ['my-server', undefined],
  ['npx-like', undefined],
])('the command %s needs %s', (command, expected) => {
  const transport = { kind: 'stdio', command, args: [], env: {}, cwd: undefined } as const
  expect(runtimeOf(serverSpec('a', { transport }))).toBe(expected)
})

test('a server that is reached over HTTP needs no runtime', () => {
  const transport = { kind: 'auto', url: 'http://npx', headers: {} } as const
  expect(runtimeOf(serverSpec('a', { transport }))).toBeUndefined()
})

describe('the machine', () => {
  test('[R85] tells its load in percent', async () => {
    const meter = new LoadMeter()
    for (let busy = 0; busy < 3e7; busy += 1) Math.sqrt(busy)
    const { cpuPercent, memoryPercent, activeCalls } = await meter.sample(4)
    expect(cpuPercent).toBeGreaterThanOrEqual(0)
    expect(cpuPercent).toBeLessThanOrEqual(100)
    expect(memoryPercent).toBeGreaterThan(0)
    expect(memoryPercent).toBeLessThan(100)
    expect(activeCalls).toBe(4)
  })

  test('does not let a burst decide, but what lasts', async () => {
    let time = { busy: 0, total: 0, processors: 2 }
    const meter = new LoadMeter(() => time, 0.4)
    const later = async (seconds: number, share: number) => {
      const total = seconds * 1_000 * time.processors
      time = { ...time, busy: time.busy + share * total, total: time.total + total }
      return (await meter.sample(0)).cpuPercent
    }
    expect((await meter.sample(0)).cpuPercent).toBe(20)
    expect(await later(0.25, 1)).toBeLessThan(23)
    expect(await later(5, 1)).toBeGreaterThan(40)
    expect(await later(30, 1)).toBeGreaterThan(95)
    expect(await later(30, 0)).toBeLessThan(5)
  })

  test('says which system it runs, and not who built it', () => {
    expect(machineFacts().os).toMatch(/^[a-z_]+( \d+(\.\d+)?)?$/)
    expect(machineFacts().hostname).not.toBe('')
  })
})
