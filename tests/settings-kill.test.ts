import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RevisionSummary } from '../src/domain/settings-revision.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { backupsOf } from '../src/state/settings/backups.ts'
import { SettingsFileStore } from '../src/state/settings/file-store.ts'
import { numberedDocument, numberOf } from './fixtures/settings/content.ts'
import { openStorage, settingsService, wholeNumber } from './fixtures/settings/service.ts'
import { killRounds } from './harness/kill-rounds.ts'
import { recordingLogger } from './harness/recording-logger.ts'

const LANES = 4
const KILLS = 500
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/settings/${name}.ts`, import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-kill-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const stores = { clock: systemClock, log: recordingLogger().logger, check: () => undefined }
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
      return { home, path, acknowledged }
    })
    // Also when one has failed: the others must not go on writing.
    await Promise.allSettled(lanes)
    for (const { home, path, acknowledged } of await Promise.all(lanes)) {
      expect(acknowledged).toBeGreaterThan(KILLS / LANES / 4)
      // Writers that were killed one after the other may have left more than the next whole write leaves.
      await new SettingsFileStore(path, stores).write(numberedDocument(acknowledged + 10))
      const stamps = await backupsOf(path)
      expect(stamps).toHaveLength(10)
      for (const stamp of stamps)
        expect(numberOf(await documentIn(`${path}.backup.${stamp}`))).toBeGreaterThan(0)
      const leftovers = (await readdir(home)).filter((name) => name.includes('.tmp.'))
      expect(leftovers).toEqual([])
    }
  })
})

describe('a settings database whose writer is killed at any moment', () => {
  test(`[R215] opens, is whole and never older than what was acknowledged, ${KILLS} times`, {
    timeout: 600_000,
  }, async () => {
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      const home = join(folder, `database-${lane}`)
      const acknowledged = await killRounds({
        script: fixture('database-writer'),
        args: [home],
        rounds: KILLS / LANES,
        longestMs: 8,
        cache: join(folder, 'cache'),
        // The next writer looks at the whole of it, as a hub opens it.
        verify: async (least) => expect(latestIn(home)).toBeGreaterThanOrEqual(least),
      })
      return { home, acknowledged }
    })
    await Promise.allSettled(lanes)
    for (const { home, acknowledged } of await Promise.all(lanes)) {
      expect(acknowledged).toBeGreaterThan(KILLS / LANES / 4)
      expect(integrityOf(home)).toBe('ok')
      const storage = await openStorage(home)
      const latest = await wholeNumber(storage)
      expect(latest).toBeGreaterThanOrEqual(acknowledged)
      const revisions = await storage.revisions.list({ limit: latest + 10 })
      expect(revisions.map(({ number }) => number)).toEqual(downFrom(latest))
      await storage.close()
    }
  })
})

/** The latest revision in a database that nobody has opened since its writer was killed. */
function latestIn(home: string): number {
  using database = new DatabaseSync(join(home, 'flotilla.db'))
  return Number(database.prepare('select max(number) as number from settings_revisions').get()?.['number'])
}

/** What SQLite says of the whole file; damage that any of the kills had done would still be there. */
function integrityOf(home: string): unknown {
  using database = new DatabaseSync(join(home, 'flotilla.db'))
  return database.prepare('pragma integrity_check').get()?.['integrity_check']
}

function downFrom(number: number): number[] {
  return Array.from({ length: number }, (_, index) => number - index)
}

/** Runs a writer for each name, all at once. */
async function together(script: string, names: readonly string[], args: (name: string) => string[]) {
  const codes = names.map(async (name) => {
    const child = spawn(process.execPath, [fixture(script), ...args(name)], { stdio: 'inherit' })
    const [code] = await once(child, 'exit')
    return code
  })
  expect(await Promise.all(codes)).toEqual(names.map(() => 0))
}

test('of processes that write at once none loses a change', async () => {
  const path = join(folder, 'shared.json')
  await together('file-adder', ['a', 'b', 'c'], (name) => [path, name, '30'])
  expect(Object.keys(await documentIn(path))).toHaveLength(90)
})

describe('processes that change the settings at once, as nodes do', () => {
  const names = ['a', 'b', 'c']
  const each = 30
  test.each(['file', 'database'])(
    '[R215] lose no change in the %s, and all have a revision',
    async (store) => {
      const home = join(folder, `shared-${store}`)
      const path = store === 'file' ? join(home, 'mcp_settings.json') : undefined
      await (await openStorage(home)).close()
      await together('service-adder', names, (name) => [home, name, String(each), ...(path ? [path] : [])])
      const storage = await openStorage(home)
      const service = settingsService({ storage, path })
      const { number, document } = await service.current()
      const revisions = await service.list({ limit: 1_000 })
      await storage.close()
      expect(number).toBe(names.length * each)
      expect(revisions.map((revision) => revision.number)).toEqual(downFrom(number))
      const wanted = names.flatMap((name) => Array.from({ length: each }, (_, index) => `${name}-${index}`))
      expect(Object.keys(document).toSorted()).toEqual(wanted.toSorted())
      // Each revision holds the one change that it was made for, so that nobody undid another's on the way.
      expect(revisions.map(changeOf).toSorted()).toEqual(wanted.toSorted())
    },
  )
})

function changeOf({ author, reason, changes }: RevisionSummary): string {
  expect(changes.map(({ path, kind }) => `${kind} ${path}`)).toEqual([`added /${author}-${reason}`])
  return `${author}-${reason}`
}
