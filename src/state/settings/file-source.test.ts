import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isMissing, readSettingsFile } from './file-source.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-settings-'))
  path = join(folder, 'mcp_settings.json')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a settings file', () => {
  test('is read whole', async () => {
    await writeFile(path, '{"a": "é"}\n')
    expect(await readSettingsFile(path)).toBe('{"a": "é"}\n')
  })

  test('that is missing is an error that names it and says what to check', async () => {
    await expect(readSettingsFile(path)).rejects.toMatchObject({
      code: 'settings.unreadable',
      message: expect.stringContaining(path),
      cure: expect.stringContaining('exists'),
      cause: { code: 'ENOENT' },
    })
  })

  test('that is a folder is an error too', async () => {
    await expect(readSettingsFile(folder)).rejects.toMatchObject({
      code: 'settings.unreadable',
      cause: { code: 'EISDIR' },
    })
  })

  test('[R36] may be read-only', async () => {
    await writeFile(path, '{}', { mode: 0o400 })
    expect(await readSettingsFile(path)).toBe('{}')
  })

  test('that is missing is told from one that cannot be read', async () => {
    const missing = await readSettingsFile(path).catch((error: unknown) => error)
    const unreadable = await readSettingsFile(folder).catch((error: unknown) => error)
    expect([isMissing(missing), isMissing(unreadable)]).toEqual([true, false])
  })
})
