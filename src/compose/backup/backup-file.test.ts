import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { type BackupHead, type BackupLine, openBackup, writeBackup } from './backup-file.ts'

const HEAD: BackupHead = {
  format: 'flotilla-backup',
  version: 1,
  at: '2026-11-21T00:00:00.000Z',
  flotilla: '1.2.3',
}

let folder = ''
let path = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-'))
  path = join(folder, 'hub.backup')
})

afterEach(() => rm(folder, { recursive: true }))

async function written(lines: readonly BackupLine[]): Promise<number> {
  return writeBackup(path, HEAD, async (take) => {
    for (const line of lines) await take(line)
  })
}

async function read(): Promise<unknown[]> {
  const lines: unknown[] = []
  for await (const line of (await openBackup(path)).lines()) lines.push(line)
  return lines
}

/** Writes the backup anew with its text changed. */
async function tamper(change: (text: string) => string): Promise<void> {
  await writeFile(path, gzipSync(change(gunzipSync(await readFile(path)).toString())))
}

const ROWS: readonly BackupLine[] = [
  { file: { kind: 'settings', name: 'mcp_settings.json', text: '{ "a": "ü\u2028\n" }' } },
  ...Array.from({ length: 5_000 }, (_, n) => ({
    table: 'users',
    row: { n, name: `user ${n} ${'x'.repeat(n % 200)}` },
  })),
]

describe('a backup', () => {
  test('gives back what was put in, more than once', async () => {
    expect(await written(ROWS)).toBe(ROWS.length + 1)
    expect(await read()).toEqual(ROWS)
    const { head, lines } = await openBackup(path)
    expect(head).toEqual(HEAD)
    for (let time = 0; time < 2; time += 1) {
      let count = 0
      for await (const _ of lines()) count += 1
      expect(count).toBe(ROWS.length)
    }
  })

  test('is for its owner alone, and leaves nothing beside it', async () => {
    await written(ROWS)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['hub.backup'])
  })

  test('that fails in the middle leaves the one before as it was', async () => {
    await written(ROWS)
    const failing = writeBackup(path, HEAD, async (take) => {
      await take({ table: 'users', row: { n: 1 } })
      throw new HubError('storage.unavailable', 'The database went away.')
    })
    await expect(failing).rejects.toMatchObject({ code: 'storage.unavailable' })
    expect(await read()).toEqual(ROWS)
    expect(await readdir(folder)).toEqual(['hub.backup'])
  })

  test.each([join('no', 'such', 'folder', 'x'), ''])('that cannot be written says so (%j)', async (where) => {
    const failing = writeBackup(join(folder, where), HEAD, async () => undefined)
    await expect(failing).rejects.toMatchObject({ code: 'settings.unwritable' })
  })
})

describe('what is no whole backup is not opened', () => {
  test.each<[string, (text: string) => string]>([
    ['its end is missing', (text) => text.replace(/\{"end".*\n/, '')],
    ['a line is missing', (text) => text.replace(/\{"table".*\n/, '')],
    ['a line was changed', (text) => text.replace('user 7 ', 'user 8 ')],
    ['a line was added', (text) => `${text}{"table":"users","row":{}}\n`],
    ['it is something else', () => '{"format":"other"}\n'],
    ['it is no JSON', () => 'hello\n'],
    ['it is empty', () => ''],
  ])('%s', async (_what, change) => {
    await written(ROWS)
    await tamper(change)
    await expect(openBackup(path)).rejects.toMatchObject({ code: 'settings.invalid' })
  })

  test('a newer format is named', async () => {
    await written(ROWS)
    await tamper((text) => text.replace('"version":1', '"version":2'))
    await expect(openBackup(path)).rejects.toMatchObject({ cure: expect.stringContaining('1.2.3') })
  })

  test('a file that is cut off, is not compressed, or is not there', async () => {
    await written(ROWS)
    const bytes = await readFile(path)
    await writeFile(path, bytes.subarray(0, bytes.length - 100))
    await expect(openBackup(path)).rejects.toMatchObject({ code: 'settings.invalid' })
    await writeFile(path, 'plain text')
    await expect(openBackup(path)).rejects.toMatchObject({ code: 'settings.invalid' })
    await rm(path)
    await expect(openBackup(path)).rejects.toMatchObject({ code: 'settings.invalid' })
  })
})
