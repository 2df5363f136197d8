import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../../../tests/harness/wait.ts'
import type { HubError } from '../../domain/errors.ts'
import { SettingsFile } from './file-source.ts'

type Change = { text: string } | { error: HubError }

let folder: string
let path: string
const open: SettingsFile[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-settings-'))
  path = join(folder, 'mcp_settings.json')
})

afterEach(async () => {
  for (const file of open.splice(0)) await file.close()
  await rm(folder, { recursive: true, force: true })
})

/** Reads the file as the hub does at its start, and keeps what is said of it from then on. */
async function watched(at = path): Promise<{ file: SettingsFile; changes: Change[] }> {
  const file = new SettingsFile(at)
  open.push(file)
  await file.read()
  const changes: Change[] = []
  file.watch((change) => changes.push(change))
  // The first look of `watchFile` is the one that all others are compared with.
  await pause()
  return { file, changes }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 250))
}

/** The texts so far; the code of an error in its place. */
function told(changes: readonly Change[]): string[] {
  return changes.map((change) => ('text' in change ? change.text : change.error.code))
}

function untilTold(changes: readonly Change[], expected: string): Promise<boolean> {
  return until(`the change to ${expected}`, () => told(changes).at(-1) === expected, 5_000)
}

describe('a settings file', () => {
  test('is read whole', async () => {
    await writeFile(path, '{"a": "é"}\n')
    expect(await new SettingsFile(path).read()).toBe('{"a": "é"}\n')
  })

  test('that is missing is an error that names it and says what to check', async () => {
    await expect(new SettingsFile(path).read()).rejects.toMatchObject({
      code: 'settings.unreadable',
      message: expect.stringContaining(path),
      cure: expect.stringContaining('exists'),
      cause: { code: 'ENOENT' },
    })
  })

  test('that is a folder is an error too', async () => {
    await expect(new SettingsFile(folder).read()).rejects.toMatchObject({
      code: 'settings.unreadable',
      cause: { code: 'EISDIR' },
    })
  })

  test('[R36] may be read-only', async () => {
    await writeFile(path, '{}', { mode: 0o400 })
    expect(await new SettingsFile(path).read()).toBe('{}')
  })
})

describe('watching a settings file tells', () => {
  test('of text that was written in place', async () => {
    await writeFile(path, 'one')
    const { changes } = await watched()
    await writeFile(path, 'two')
    await untilTold(changes, 'two')
    expect(told(changes)).toEqual(['two'])
  })

  test('of a file that was renamed over it, as many editors do, again and again', async () => {
    await writeFile(path, 'one')
    const { changes } = await watched()
    for (const text of ['two', 'three']) {
      await writeFile(`${path}.tmp`, text)
      await rename(`${path}.tmp`, path)
      await untilTold(changes, text)
    }
    expect(told(changes)).toEqual(['two', 'three'])
  })

  test('[R36] of the symlink swap by which Kubernetes changes a ConfigMap', async () => {
    for (const [version, text] of [
      ['..v1', 'one'],
      ['..v2', 'two'],
    ] as const) {
      await mkdir(join(folder, version))
      await writeFile(join(folder, version, 'mcp_settings.json'), text, { mode: 0o444 })
      await chmod(join(folder, version), 0o555)
    }
    await symlink('..v1', join(folder, '..data'))
    await symlink(join('..data', 'mcp_settings.json'), path)
    const { changes } = await watched()
    await symlink('..v2', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await untilTold(changes, 'two')
    expect(told(changes)).toEqual(['two'])
  })

  test('of its deletion, and of its return', async () => {
    await writeFile(path, 'one')
    const { changes } = await watched()
    await rm(path)
    await untilTold(changes, 'settings.unreadable')
    await writeFile(path, 'two')
    await untilTold(changes, 'two')
    expect(told(changes)).toEqual(['settings.unreadable', 'two'])
  })

  test('nothing when the text is the same as before, however the file was touched', async () => {
    await writeFile(path, 'one')
    const { changes } = await watched()
    await writeFile(`${path}.tmp`, 'one')
    await rename(`${path}.tmp`, path)
    await writeFile(path, 'one')
    // A change that does count shows that the ones before were looked at.
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    await writeFile(path, 'two')
    await untilTold(changes, 'two')
    expect(told(changes)).toEqual(['two'])
  })

  test('of a file that was not there at first', async () => {
    const file = new SettingsFile(path)
    open.push(file)
    const changes: Change[] = []
    file.watch((change) => changes.push(change))
    await pause()
    await writeFile(path, 'one')
    await untilTold(changes, 'one')
  })

  test('nothing any more after close, which may be called twice', async () => {
    await writeFile(path, 'one')
    const { file, changes } = await watched()
    const witness = await watched()
    await file.close()
    await file.close()
    await writeFile(path, 'two')
    await untilTold(witness.changes, 'two')
    expect(changes).toEqual([])
  })

  test.fails('of a change between reading and watching', async () => {
    // The hub reads its settings, starts everything, and only then watches: what is written meanwhile is the state that
    // `watchFile` compares with, and is seen only with the change after it. One look right after `watchFile` would do.
    await writeFile(path, 'one')
    const file = new SettingsFile(path)
    open.push(file)
    await file.read()
    await writeFile(path, 'two')
    const changes: Change[] = []
    file.watch((change) => changes.push(change))
    await until('the change', () => changes.length > 0, 2_000)
  })
})
