import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backupsOf } from '../src/state/settings/backups.ts'
import { numberedDocument, numberOf } from './fixtures/settings/content.ts'
import { killRounds } from './harness/kill-rounds.ts'

const LANES = 4
const KILLS = 500
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/settings/${name}.ts`, import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-kill-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const documentIn = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>

describe('a settings file whose writer is killed at any moment', () => {
  test(`[R215] is whole and never older than what was acknowledged, ${KILLS} times`, {
    timeout: 120_000,
  }, async () => {
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      const home = join(folder, `lane-${lane}`)
      const path = join(home, 'mcp_settings.json')
      await mkdir(home)
      await writeFile(path, JSON.stringify(numberedDocument(1)))
      const acknowledged = await killRounds({
        script: fixture('file-writer'),
        args: [path],
        rounds: KILLS / LANES,
        longestMs: 5,
        cache: join(folder, 'cache'),
        verify: async (least) => expect(numberOf(await documentIn(path))).toBeGreaterThanOrEqual(least),
      })
      return { path, acknowledged }
    })
    // Also when one has failed: the others must not go on writing.
    await Promise.allSettled(lanes)
    for (const { path, acknowledged } of await Promise.all(lanes)) {
      expect(acknowledged).toBeGreaterThan(KILLS / LANES / 4)
      const stamps = await backupsOf(path)
      // One more than the ten, when the last writer was killed before it could clear up.
      expect([10, 11]).toContain(stamps.length)
      for (const stamp of stamps)
        expect(numberOf(await documentIn(`${path}.backup.${stamp}`))).toBeGreaterThan(0)
      const leftovers = (await readdir(join(path, '..'))).filter((name) => name.includes('.tmp.'))
      expect(leftovers.length).toBeLessThanOrEqual(1)
    }
  })
})

test('of processes that write at once none loses a change', async () => {
  const path = join(folder, 'shared.json')
  const names = ['a', 'b', 'c']
  const codes = await Promise.all(
    names.map(async (name) => {
      const child = spawn(process.execPath, [fixture('file-adder'), path, name, '30'], { stdio: 'inherit' })
      const [code] = await once(child, 'exit')
      return code
    }),
  )
  expect(codes).toEqual([0, 0, 0])
  expect(Object.keys(await documentIn(path))).toHaveLength(90)
})
