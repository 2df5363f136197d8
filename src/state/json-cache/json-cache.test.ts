import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { JsonCache } from './json-cache.ts'

let root: string
let folder: string
let { logger, lines } = recordingLogger()

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-cache-'))
  folder = join(root, 'deep', 'catalog')
  const recording = recordingLogger()
  logger = recording.logger
  lines = recording.lines
})

afterEach(() => rm(root, { recursive: true, force: true }))

async function onlyFile(): Promise<string> {
  const [name, ...more] = await readdir(folder)
  if (name === undefined || more.length > 0) throw new Error('There is not exactly one file.')
  return join(folder, name)
}

describe('a cached value', () => {
  test('is there for the next start', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', { tools: [{ name: 'now' }] })
    await cache.close()
    expect(await new JsonCache(folder, logger).load('time', 'v1')).toEqual({ tools: [{ name: 'now' }] })
    expect(lines).toEqual([])
  })

  test('that was never stored is not there, and that is nothing to talk about', async () => {
    expect(await new JsonCache(folder, logger).load('time', 'v1')).toBeUndefined()
    expect(lines).toEqual([])
  })

  test('is not there for another fingerprint: the server is started in another way now', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    expect(await cache.load('time', 'v2')).toBeUndefined()
    expect(await cache.load('time', 'v1')).toBe(1)
  })

  test('is the last one of several that were stored at once', async () => {
    const cache = new JsonCache(folder, logger)
    for (let value = 1; value <= 20; value += 1) cache.save('time', 'v1', value)
    await cache.close()
    expect(await cache.load('time', 'v1')).toBe(20)
    expect(await readdir(folder)).toHaveLength(1)
  })

  test('has a file of its own, whatever its name is made of', async () => {
    const keys = ['a/b', 'a b', 'a_b', '../../etc/passwd', 'A_B', '服务器', '', '.', 'x'.repeat(500)]
    const cache = new JsonCache(folder, logger)
    for (const key of keys) cache.save(key, 'v1', `value of ${key}`)
    await cache.close()
    for (const key of keys) expect(await cache.load(key, 'v1')).toBe(`value of ${key}`)
    const files = await readdir(folder)
    expect(files).toHaveLength(keys.length)
    for (const file of files) expect(file).toMatch(/^[A-Za-z0-9_.-]{1,100}\.json$/)
    expect(await readdir(root)).toEqual(['deep'])
  })

  test('comes back as JSON keeps it, for any name', async () => {
    const cache = new JsonCache(folder, logger)
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary' }),
        fc.string(),
        fc.jsonValue(),
        async (key, print, value) => {
          cache.save(key, print, value)
          await cache.close()
          expect(await cache.load(key, print)).toEqual(JSON.parse(JSON.stringify(value)))
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('what is stored', () => {
  const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

  test('is for the user of the hub alone, in a folder that was open before too', async () => {
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o755)
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    expect([await modeOf(folder), await modeOf(await onlyFile())]).toEqual(['700', '600'])
    await chmod(await onlyFile(), 0o644)
    await writeFile(`${await onlyFile()}.${process.pid}.tmp`, 'left by a crash', { mode: 0o644 })
    cache.save('time', 'v1', 2)
    await cache.close()
    expect(await modeOf(await onlyFile())).toBe('600')
  })

  test('does not hold the fingerprint, which may be made of secrets', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', '["npx",["--token","hunter2"]]', 1)
    await cache.close()
    const text = await readFile(await onlyFile(), 'utf8')
    expect(text).not.toContain('hunter2')
    expect((JSON.parse(text) as { fingerprint: string }).fingerprint).toMatch(/^[0-9a-f]{64}$/)
  })

  test('by an earlier version, with its fingerprint in clear, is not used and replaced', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    await writeFile(await onlyFile(), JSON.stringify({ key: 'time', fingerprint: 'v1', value: 'old' }))
    expect(await cache.load('time', 'v1')).toBeUndefined()
    cache.save('time', 'v1', 2)
    await cache.close()
    expect(await cache.load('time', 'v1')).toBe(2)
  })
})

describe('a file that cannot be used', () => {
  test.each(['', '{', 'null', '"text"', '[]', '{"key":"time"}', '\0\0\0\0'])(
    '(%j) is as if it had never been written, and the next value replaces it',
    async (text) => {
      const cache = new JsonCache(folder, logger)
      cache.save('time', 'v1', 1)
      await cache.close()
      await writeFile(await onlyFile(), text)
      expect(await cache.load('time', 'v1')).toBeUndefined()
      cache.save('time', 'v1', 2)
      await cache.close()
      expect(await cache.load('time', 'v1')).toBe(2)
    },
  )

  test('is worth a warning when it is broken', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    await writeFile(await onlyFile(), '{"key":')
    await cache.load('time', 'v1')
    expect(lines).toMatchObject([{ level: 'warn', fields: { key: 'time' } }])
    expect(lines[0]?.message).toContain('could not be read')
  })

  test('that another value took over is not used: the name is checked, not only its hash', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    const stored = JSON.parse(await readFile(await onlyFile(), 'utf8'))
    await writeFile(await onlyFile(), JSON.stringify({ ...stored, key: 'other' }))
    expect(await cache.load('time', 'v1')).toBeUndefined()
  })
})

describe('a folder that cannot be written', () => {
  test('costs a warning and nothing else; the next save tries again', async () => {
    // What stands in the way works for every user, root too.
    await writeFile(join(root, 'deep'), 'a file where the folder should be')
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    expect(lines).toMatchObject([{ level: 'warn', message: 'a value could not be cached' }])
    expect(await cache.load('time', 'v1')).toBeUndefined()
    await rm(join(root, 'deep'))
    cache.save('time', 'v1', 2)
    await cache.close()
    expect(await cache.load('time', 'v1')).toBe(2)
  })

  test('is left without half-written files', async () => {
    const cache = new JsonCache(folder, logger)
    cache.save('time', 'v1', 1)
    await cache.close()
    const file = await onlyFile()
    await rm(file)
    // A folder in the place of the file: the rename at the end fails.
    await mkdir(join(file, 'occupied'), { recursive: true })
    cache.save('time', 'v1', 2)
    await cache.close()
    expect(lines).toMatchObject([{ level: 'warn', message: 'a value could not be cached' }])
    expect(await readdir(folder)).toEqual([file.slice(folder.length + 1)])
  })
})
