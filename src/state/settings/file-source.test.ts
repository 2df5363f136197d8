import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { until } from '../../../tests/harness/wait.ts'
import { systemClock } from '../../kernel/clock.ts'
import { type SettingsChange as Change, isMissing, readSettingsFile, SettingsFile } from './file-source.ts'

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
  const file = new SettingsFile(at, systemClock)
  open.push(file)
  await file.read()
  const changes: Change[] = []
  file.watch((change) => {
    changes.push(change)
  })
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
    const file = new SettingsFile(path, systemClock)
    open.push(file)
    const changes: Change[] = []
    file.watch((change) => {
      changes.push(change)
    })
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

  test('of a change between reading and watching', async () => {
    await writeFile(path, 'one')
    const file = new SettingsFile(path, systemClock)
    open.push(file)
    await file.read()
    await writeFile(path, 'two')
    const changes: Change[] = []
    file.watch((change) => {
      changes.push(change)
    })
    await until('the change', () => changes.length > 0, 2_000)
  })

  test('of a missing file that it is missing, once', async () => {
    const file = new SettingsFile(path, systemClock)
    open.push(file)
    const changes: Change[] = []
    file.watch((change) => {
      changes.push(change)
    })
    await until('the error', () => changes.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(changes.map((change) => 'error' in change && isMissing(change.error))).toEqual([true])
  })

  test('of one change after the other: the next waits until the first is dealt with', async () => {
    await writeFile(path, 'one')
    const file = new SettingsFile(path, systemClock)
    open.push(file)
    await file.read()
    const steps: string[] = []
    const { promise: dealtWith, resolve } = Promise.withResolvers<void>()
    file.watch(async (change) => {
      const [text = ''] = told([change])
      steps.push(`begin ${text}`)
      if (text === 'two') await dealtWith
      steps.push(`end ${text}`)
    })
    await writeFile(path, 'two')
    await until('the first change is taken', () => steps.length > 0)
    await writeFile(path, 'three')
    await new Promise((pass) => setTimeout(pass, 1_000))
    expect(steps).toEqual(['begin two'])
    resolve()
    await until('the second change is dealt with', () => steps.length === 4)
    expect(steps).toEqual(['begin two', 'end two', 'begin three', 'end three'])
  })
})

describe('a file in the middle of being saved', () => {
  async function saving() {
    await writeFile(path, 'old')
    const clock = new FakeClock()
    const file = new SettingsFile(path, clock)
    open.push(file)
    await file.read()
    const changes: Change[] = []
    return { clock, file, changes, watch: () => file.watch((change) => void changes.push(change)) }
  }
  const untilWaiting = (clock: FakeClock) => until('it waits to look again', () => clock.pending === 1)

  test('does not count until two reads, 100 ms apart, agree', async () => {
    const { clock, changes, watch } = await saving()
    await writeFile(path, '')
    watch()
    for (const text of ['{"mcp', '{"mcpServers": {}}']) {
      await untilWaiting(clock)
      await clock.advance(99)
      expect(clock.pending).toBe(1)
      await writeFile(path, text)
      await clock.advance(1)
    }
    await untilWaiting(clock)
    expect(changes).toEqual([])
    await clock.advance(100)
    await until('the change', () => changes.length > 0)
    expect(told(changes)).toEqual(['{"mcpServers": {}}'])
  })

  test('that ends with the text of before is no change', async () => {
    const { clock, file, changes, watch } = await saving()
    await rm(path)
    watch()
    await untilWaiting(clock)
    await writeFile(path, 'old')
    await clock.advance(100)
    await pause()
    expect([clock.pending, changes]).toEqual([0, []])
    await file.close()
  })

  test('does not hold up close', async () => {
    const { clock, file, changes, watch } = await saving()
    await writeFile(path, 'new')
    watch()
    await untilWaiting(clock)
    await file.close()
    expect([clock.pending, changes]).toEqual([0, []])
  })
})
