import { execFileSync } from 'node:child_process'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HubError } from '../../domain/errors.ts'
import { systemClock } from '../../kernel/clock.ts'
import { backupsOf } from './backups.ts'
import { SettingsFileStore } from './file-store.ts'
import { interpretSettings } from './interpret.ts'

const isRoot = process.getuid?.() === 0
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-file-store-'))
  path = join(folder, 'mcp_settings.json')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function storeAt(at = path, clock = systemClock): SettingsFileStore {
  const check = (text: string) => void interpretSettings(text, at, {})
  return new SettingsFileStore(at, { clock, log: recordingLogger().logger, check })
}

const set = (name: string, value: unknown) => [{ path: [name], value }]
const names = async () => (await readdir(folder)).filter((name) => !name.includes('.backup.')).sort()

describe('a settings file', () => {
  test('is read with its etag', async () => {
    await writeFile(path, '{"a": 1} // one\n')
    const stored = await storeAt().read()
    expect(stored).toMatchObject({ exists: true, document: { a: 1 }, text: '{"a": 1} // one\n' })
    expect(await storeAt().etag()).toBe(stored.etag)
  })

  test('that is not there reads like an empty one, and is made by the first change for nobody else to read', async () => {
    const store = storeAt()
    expect(await store.read()).toMatchObject({ exists: false, document: {}, etag: 'none' })
    await store.write(set('a', 1), 'none')
    expect(await readFile(path, 'utf8')).toBe('{\n  "a": 1\n}\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('[R215] is changed in place of its edits only; nothing but the file and its lock stays beside it', async () => {
    await writeFile(path, '// Ours.\n{\n  "a": 1, // one\n  "b": 2\n}\n')
    const { etag } = await storeAt().write(set('b', 3))
    expect(await readFile(path, 'utf8')).toBe('// Ours.\n{\n  "a": 1, // one\n  "b": 3\n}\n')
    expect(await storeAt().etag()).toBe(etag)
    expect(await names()).toEqual(['mcp_settings.json', 'mcp_settings.json.lock'])
  })

  test('keeps its mode and its owner', async () => {
    await writeFile(path, '{}')
    await chmod(path, 0o640)
    if (isRoot) await chown(path, 1234, 4321)
    const before = await stat(path)
    await storeAt().write(set('a', 1))
    const after = await stat(path)
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid])
    expect(after.ino).not.toBe(before.ino)
  })

  test('that is a link is written where the link points', async () => {
    const real = join(folder, 'real')
    await mkdir(real)
    await writeFile(join(real, 'settings.json'), '{}')
    await symlink('real/settings.json', path)
    await storeAt().write(set('a', 1))
    expect(JSON.parse(await readFile(join(real, 'settings.json'), 'utf8'))).toEqual({ a: 1 })
    expect(await readFile(path, 'utf8')).toContain('"a"')
    expect((await readdir(folder)).sort()).toEqual(['mcp_settings.json', 'real'])
  })
})

describe('a change is refused, and the file stays as it is,', () => {
  async function refused(text: string, change: Promise<unknown>, expected: object): Promise<void> {
    await expect(change).rejects.toMatchObject(expected)
    expect(await readFile(path, 'utf8')).toBe(text)
    expect((await readdir(folder)).filter((name) => name.includes('.tmp.'))).toEqual([])
  }

  test('when the file is not the one that was read', async () => {
    await writeFile(path, '{"a": 1}')
    const { etag } = await storeAt().read()
    await writeFile(path, '{"a": 2}')
    await refused('{"a": 2}', storeAt().write(set('b', 1), etag), { code: 'settings.conflict' })
  })

  test('when the file does not parse', async () => {
    await writeFile(path, '{"a": ')
    await refused('{"a": ', storeAt().write(set('b', 1)), { code: 'settings.invalid' })
    await refused('{"a": ', storeAt().write({ b: 1 }), { code: 'settings.invalid' })
    expect(await backupsOf(path)).toEqual([])
  })

  test('when the hub could not run with what comes out', async () => {
    await writeFile(path, '{}')
    const change = storeAt().write(set('mcpServers', { a: { type: 'stdio' } }))
    await refused('{}', change, {
      code: 'settings.invalid',
      message: expect.stringContaining('mcpServers.a'),
    })
    expect(await backupsOf(path)).toEqual([])
  })

  test('[R36] when nobody may write the file', async () => {
    await writeFile(path, '{}', { mode: 0o444 })
    await refused('{}', storeAt().write(set('a', 1)), {
      code: 'settings.read-only',
      message: expect.stringContaining(path),
      cure: expect.stringContaining('database'),
    })
    expect(await storeAt().whyReadOnly()).toMatchObject({ code: 'settings.read-only' })
  })

  test('[R36] when it is a ConfigMap of Kubernetes', async () => {
    await mkdir(join(folder, '..2026_11_21'))
    await writeFile(join(folder, '..2026_11_21', 'mcp_settings.json'), '{}')
    await symlink('..2026_11_21', join(folder, '..data'))
    await symlink('..data/mcp_settings.json', path)
    await refused('{}', storeAt().write(set('a', 1)), { message: expect.stringContaining('Kubernetes') })
  })

  test.runIf(isRoot)('[R36] when its file system is mounted read-only', async () => {
    await writeFile(path, '{}')
    await mounted(['-o', 'ro,size=1m'], async (point) => {
      await refused('{}', storeAt(join(point, 'mcp_settings.json')).write(set('a', 1)), {
        code: 'settings.read-only',
        message: expect.stringContaining('mounted read-only'),
      })
    })
  })

  test.runIf(isRoot)('when the file itself is a mount point', async () => {
    const source = join(folder, 'source.json')
    await writeFile(source, '{}')
    await writeFile(path, '')
    execFileSync('mount', ['--bind', source, path])
    try {
      await refused('{}', storeAt().write(set('a', 1)), {
        code: 'settings.read-only',
        message: expect.stringContaining('mount point'),
      })
    } finally {
      execFileSync('umount', [path])
    }
  })

  test.runIf(isRoot)('when the disk is full', async () => {
    await mounted(['-o', 'size=64k'], async (point) => {
      const at = join(point, 'mcp_settings.json')
      await storeAt(at).write({ a: 'x'.repeat(10_000) })
      const before = await readFile(at, 'utf8')
      const present = await readdir(point)
      await expect(storeAt(at).write({ a: 'y'.repeat(60_000) })).rejects.toMatchObject({
        code: 'settings.unwritable',
        message: expect.stringContaining('the disk is full'),
        cure: expect.stringContaining('as they were'),
      })
      expect(await readFile(at, 'utf8')).toBe(before)
      expect(await readdir(point)).toEqual(present)
      await storeAt(at).write({ a: 'small again' })
    })
  })

  test('[R219] and the next change finds the lock free', async () => {
    await writeFile(path, '{}')
    const store = storeAt()
    await expect(store.exclusively(() => Promise.reject(new HubError('internal', 'no')))).rejects.toThrow(
      'no',
    )
    await store.write(set('a', 1))
    expect((await store.read()).document).toEqual({ a: 1 })
  })
})

describe('backups', () => {
  test('[R214] [R216] hold what stood there before each change; the ten latest stay', async () => {
    const clock = new FakeClock()
    const store = storeAt(path, clock)
    for (let round = 0; round <= 13; round += 1) await store.write({ round })
    const stamps = await backupsOf(path)
    expect(stamps).toHaveLength(10)
    // All within one millisecond of the clock: they are told apart, and the order stays.
    expect(stamps[0]).toBeGreaterThanOrEqual(clock.now())
    const rounds = await Promise.all(
      stamps.map(async (stamp) => JSON.parse(await readFile(`${path}.backup.${stamp}`, 'utf8')).round),
    )
    expect(rounds).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  })

  test('have the mode of their file, for they hold the same secrets', async () => {
    await writeFile(path, '{}', { mode: 0o600 })
    await storeAt().write({ a: 1 })
    const [stamp] = await backupsOf(path)
    expect((await stat(`${path}.backup.${stamp}`)).mode & 0o777).toBe(0o600)
  })

  test('[R217] take the place of what was written when the change fails after all', async () => {
    await writeFile(path, '{"a": 1} // by hand\n')
    const store = storeAt()
    const failing = store.exclusively(async (file) => {
      await file.write({ a: 2 })
      expect(await readFile(path, 'utf8')).toBe('{"a": 2} // by hand\n')
      await file.undo()
    })
    await failing
    expect(await readFile(path, 'utf8')).toBe('{"a": 1} // by hand\n')
  })

  test('do not take the place of what somebody else has written meanwhile', async () => {
    await writeFile(path, '{"a": 1}')
    await storeAt().exclusively(async (file) => {
      await file.write({ a: 2 })
      await writeFile(path, '{"by": "hand"}')
      await file.undo()
    })
    expect(await readFile(path, 'utf8')).toBe('{"by": "hand"}')
  })

  test('of a file that was not there: undoing removes it again', async () => {
    await storeAt().exclusively(async (file) => {
      await file.write({ a: 1 })
      await file.undo()
    })
    expect(await names()).toEqual(['mcp_settings.json.lock'])
  })

  test('other files beside are left alone, those of killed writers are removed', async () => {
    const others = ['mcp_settings.json.backup.mine', 'mcp_settings.json.tmp.x', 'mcp_settings.json.bak']
    for (const name of others) await writeFile(join(folder, name), '')
    const leftovers = ['mcp_settings.json.tmp.1', 'mcp_settings.json.backup.5.tmp.77']
    for (const name of leftovers) await writeFile(join(folder, name), '{"ha')
    await writeFile(path, '{}')
    await storeAt().write({ a: 1 })
    const present = await readdir(folder)
    expect(others.filter((name) => !present.includes(name))).toEqual([])
    expect(leftovers.filter((name) => present.includes(name))).toEqual([])
  })
})

test('changes at the same time all arrive, in one store and in several', async () => {
  const stores = [storeAt(), storeAt()]
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => stores[index % 2]?.write(set(`k${index}`, index))),
  )
  expect(Object.keys((await storeAt().read()).document)).toHaveLength(20)
})

test('a lock that another holds for too long is a conflict, and can be tried again', async () => {
  const clock = new FakeClock()
  const done = Promise.withResolvers<void>()
  const inside = Promise.withResolvers<void>()
  const holding = storeAt().exclusively(() => {
    inside.resolve()
    return done.promise
  })
  await inside.promise
  let over = false
  const waiting = expect(storeAt(path, clock).write({ a: 1 })).rejects.toMatchObject({
    code: 'settings.conflict',
    retryAfter: 5,
  })
  void waiting.finally(() => {
    over = true
  })
  while (!over) await clock.advance(500)
  await waiting
  done.resolve()
  await holding
  await storeAt().write({ a: 1 })
})

async function mounted(options: readonly string[], work: (point: string) => Promise<void>): Promise<void> {
  const point = join(folder, 'mount')
  await mkdir(point)
  execFileSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', point])
  try {
    await work(point)
  } finally {
    execFileSync('umount', [point])
  }
}
