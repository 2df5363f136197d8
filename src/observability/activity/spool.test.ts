import { mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessRecord, usageRecord } from '../../../tests/fakes/activity-entries.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import type { UsageRecord } from '../../domain/activity.ts'
import { HubError } from '../../domain/errors.ts'
import { Spool, type SpoolOptions } from './spool.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-spool-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function make(options: Partial<SpoolOptions> = {}) {
  const { logger, lines } = recordingLogger()
  return { spool: new Spool({ folder: join(folder, 'spool'), ...options }, logger), lines }
}

function usages(first: number, count: number, parts: Partial<UsageRecord> = {}) {
  const records = Array.from({ length: count }, (_, n) => usageRecord(`id-${first + n}`, parts))
  return { kind: 'usage', records } as const
}

/** Everything in the spool, in the order in which it comes out. */
async function takeAll(spool: Spool): Promise<string[]> {
  const ids: string[] = []
  for (let { oldest } = spool; oldest; { oldest } = spool) {
    ids.push(...(await spool.read(oldest)).records.map(({ id }) => id))
    await spool.remove(oldest)
  }
  return ids
}

describe('the spool', () => {
  test('gives back what it got, in order and unchanged, to the next run too', async () => {
    const full = usageRecord('full', { error: 'a\nb', arguments: '{"x":1}', success: false })
    const sparse = usageRecord('sparse', { username: undefined, ip: undefined, sessionId: undefined })
    const { spool } = make()
    await spool.add({ kind: 'usage', records: [full, sparse] })
    await spool.add({ kind: 'access', records: [accessRecord('a')] })
    const { spool: next } = make()
    await next.open()
    expect([next.records, next.isEmpty]).toEqual([3, false])
    const first = next.oldest
    expect(first && (await next.read(first))).toEqual({ kind: 'usage', records: [full, sparse] })
    expect(await takeAll(next)).toEqual(['full', 'sparse', 'a'])
    expect([next.records, next.bytes, next.isEmpty]).toEqual([0, 0, true])
    expect(await readdir(join(folder, 'spool'))).toEqual([])
  })

  test('goes on counting behind what an earlier run has left', async () => {
    await make().spool.add(usages(1, 1))
    await make().spool.add(usages(2, 1))
    const { spool } = make()
    await spool.open()
    expect(await takeAll(spool)).toEqual(['id-1', 'id-2'])
  })

  test('cuts large batches into files', async () => {
    const { spool } = make({ segmentBytes: 2_000 })
    await spool.add(usages(0, 30))
    const files = await readdir(join(folder, 'spool'))
    expect(files.length).toBeGreaterThan(3)
    for (const file of files)
      expect((await stat(join(folder, 'spool', file))).size).toBeLessThanOrEqual(2_000)
    expect(await takeAll(spool)).toEqual(usages(0, 30).records.map(({ id }) => id))
  })

  test('is for nobody else to read', async () => {
    const { spool } = make()
    await spool.add(usages(0, 1))
    await spool.reject(usages(1, 1), new HubError('storage.invalid', 'Bad.'))
    const modes = await Promise.all(
      ['', String(spool.oldest?.file), 'rejected', 'rejected/id-1.json'].map(
        async (path) => (await stat(join(folder, 'spool', path))).mode & 0o777,
      ),
    )
    expect(modes.map((mode) => mode.toString(8))).toEqual(['700', '600', '700', '600'])
  })

  test('that is full gives up its oldest records, counts them and says so loudly', async () => {
    const { spool, lines } = make({ maxBytes: 5 * 4096 })
    for (let n = 0; n < 8; n += 1) await spool.add(usages(n * 2, 2))
    expect(spool.dropped).toBe(6)
    expect(spool.bytes).toBeLessThanOrEqual(5 * 4096)
    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatchObject({ level: 'error', fields: { records: 2, kind: 'usage' } })
    expect(lines[0]?.message).toMatch(/^RECORDS ARE LOST/)
    expect(await takeAll(spool)).toEqual(usages(6, 10).records.map(({ id }) => id))
  })

  test('forgets files that a crash has left half written, and lets others lie', async () => {
    await make().spool.add(usages(0, 1))
    const path = join(folder, 'spool')
    await writeFile(join(path, '000000000002-usage-5.ndjson.tmp'), '{"id":')
    await writeFile(join(path, 'notes.txt'), 'mine')
    const { spool } = make()
    await spool.open()
    expect(spool.records).toBe(1)
    expect((await readdir(path)).sort()).toEqual(['000000000001-usage-1.ndjson', 'notes.txt'])
  })

  test('leaves out lines that are broken, and says how many', async () => {
    await make().spool.add(usages(0, 3))
    const file = join(folder, 'spool', '000000000001-usage-3.ndjson')
    const [first, , third] = (await readFile(file, 'utf8')).split('\n')
    await writeFile(file, `${first}\n{"id":"id-1","timest\n${third}\n`)
    const { spool, lines } = make()
    await spool.open()
    expect(await takeAll(spool)).toEqual(['id-0', 'id-2'])
    expect([spool.dropped, lines.map(({ fields }) => fields['lost'])]).toEqual([1, [1]])
  })

  test('keeps a bounded number of rejected records, the newest', async () => {
    const { spool } = make({ maxRejected: 3 })
    for (let n = 1; n <= 5; n += 1) await spool.reject(usages(n, 1), new HubError('storage.invalid', 'Bad.'))
    const rejected = join(folder, 'spool', 'rejected')
    expect((await readdir(rejected)).sort()).toEqual(['id-3.json', 'id-4.json', 'id-5.json'])
    expect(JSON.parse(await readFile(join(rejected, 'id-5.json'), 'utf8'))).toMatchObject({
      kind: 'usage',
      error: 'Bad.',
      record: { id: 'id-5' },
    })
    await spool.open()
    expect(spool.records).toBe(0)
  })

  test('says when it cannot be written, and can be used once it is possible', async () => {
    await writeFile(join(folder, 'spool'), 'in the way')
    const { spool } = make()
    await expect(spool.add(usages(0, 1))).rejects.toThrow()
    await rm(join(folder, 'spool'))
    await spool.add(usages(1, 1))
    expect(await takeAll(spool)).toEqual(['id-1'])
  })

  test('that cannot be read stays as it is', async () => {
    const { spool } = make()
    await spool.add(usages(0, 1))
    const file = join(folder, 'spool', String(spool.oldest?.file))
    // Not even root can read a folder as a file.
    await rename(file, `${file}.aside`)
    await mkdir(file)
    await expect(takeAll(spool)).rejects.toThrow()
    await rmdir(file)
    await rename(`${file}.aside`, file)
    expect(await takeAll(spool)).toEqual(['id-0'])
  })
})
