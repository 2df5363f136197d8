import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessEntry, auditEntry, usageEntry } from '../../../tests/fakes/activity-entries.ts'
import { FakeActivityStore } from '../../../tests/fakes/activity-store.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { until } from '../../../tests/harness/wait.ts'
import { systemRandom } from '../../kernel/random.ts'
import { Redactor } from '../redaction.ts'
import { RecordIds } from './ids.ts'
import { RecordMaker } from './record-maker.ts'
import { ActivityRecorder, batchInterval } from './recorder.ts'
import { Spool } from './spool.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-recorder-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function make({ store = new FakeActivityStore(), maxBytes = 10_000_000 } = {}) {
  const clock = new FakeClock()
  const { logger, lines } = recordingLogger()
  const spool = new Spool({ folder: join(folder, 'spool'), maxBytes }, logger)
  const redactor = new Redactor()
  const maker = new RecordMaker(new RecordIds(clock, systemRandom), redactor, 'node-1')
  const recorder = new ActivityRecorder({
    store,
    spool,
    maker,
    clock,
    random: fixedRandom(0),
    log: logger,
    intervalMs: 5_000,
  })
  const call = (from: number, to: number) => {
    for (let n = from; n < to; n += 1) recorder.usage(usageEntry(`tool-${n}`))
  }
  /** Time goes on in steps until something is so: what waits for a disk does not end with the step in which it began. */
  const advanceUntil = (what: string, isSo: () => boolean) =>
    until(what, async () => {
      await clock.advance(1_000)
      return isSo()
    })
  return { clock, lines, spool, redactor, recorder, store, call, advanceUntil }
}

/** Names of tools whose calls have arrived, sorted by record id: the order in which they came. */
function arrived({ usage }: FakeActivityStore): string[] {
  return [...usage.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ tool }) => tool)
}

function tools(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, n) => `tool-${from + n}`)
}

describe('records', () => {
  test('[R198] wait for the end of the interval and are written together', async () => {
    const { clock, recorder, store, call } = make()
    call(0, 3)
    await clock.advance(4_999)
    expect([store.calls, recorder.status().queued]).toEqual([[], 3])
    await clock.advance(1)
    expect([store.calls, arrived(store)]).toEqual([[3], tools(0, 3)])
    expect(recorder.status()).toMatchObject({ queued: 0, written: 3, dropped: 0, rejected: 0, spooled: 0 })
  })

  test('[R197] [R198] the interval is a setting; without batches records wait for a moment only', () => {
    const cases: [Record<string, string>, number][] = [
      [{}, 5_000],
      [{ BATCH_UPDATE_INTERVAL: '30' }, 30_000],
      [{ BATCH_UPDATE_INTERVAL: '0.5' }, 500],
      [{ BATCH_UPDATE_INTERVAL: 'soon' }, 5_000],
      [{ BATCH_UPDATE_INTERVAL: '-1' }, 5_000],
      [{ BATCH_UPDATE_INTERVAL: '1e12' }, 3_600_000],
      [{ BATCH_UPDATE_ENABLED: 'true', BATCH_UPDATE_INTERVAL: '7' }, 7_000],
      [{ BATCH_UPDATE_ENABLED: 'False', BATCH_UPDATE_INTERVAL: '7' }, 100],
    ]
    for (const [environment, ms] of cases) expect(batchInterval(environment)).toBe(ms)
  })

  test('[R222] have an id, the node and everything that was reported', async () => {
    const { recorder, store } = make()
    const { argumentsBytes: _, ...entry } = usageEntry('now', {
      success: false,
      error: 'Too late.',
      durationMs: 1.6,
    })
    recorder.usage({ ...entry, argumentsBytes: 0 })
    recorder.access(accessEntry('servers.list'))
    recorder.audit(auditEntry('server.create'))
    await recorder.flush()
    const [usage] = store.usage.values()
    const id = expect.stringMatching(/^[0-9a-f-]{36}$/)
    expect(usage).toEqual({ ...entry, durationMs: 2, id, node: 'node-1' })
    expect([...store.access.values()]).toEqual([{ ...accessEntry('servers.list'), id, node: 'node-1' }])
    expect([...store.audit.values()]).toEqual([{ ...auditEntry('server.create'), id, node: 'node-1' }])
  })

  test('hold no secrets and no endless texts', async () => {
    const { recorder, redactor, store } = make()
    redactor.setSecrets(['canary-123'])
    const long = 'x'.repeat(100_000)
    recorder.usage(
      usageEntry(long, {
        error: `canary-123 is wrong ${long}`,
        userAgent: `canary-123 ${long}`,
        arguments: { password: 'p', text: 'canary-123' },
      }),
    )
    recorder.audit(
      auditEntry('x', { target: 'server:canary-123', details: '{"token":"t","a":"canary-123"}' }),
    )
    await recorder.flush()
    const all = JSON.stringify([...store.usage.values(), ...store.audit.values()])
    expect(all).not.toContain('canary')
    expect(all.length).toBeLessThan(3_000)
    const [usage] = store.usage.values()
    expect(usage?.arguments).toBe('{"password":"[redacted]","text":"[redacted]"}')
  })

  test('are written before their time when many wait, in portions, with a turn for others between them', async () => {
    const { clock, store, call, recorder } = make()
    call(0, 20_500)
    expect(store.calls).toEqual([])
    await clock.advance(0)
    expect(store.calls).toEqual(Array.from({ length: 41 }, () => 500))
    expect(arrived(store)).toEqual(tools(0, 20_500))
    expect(recorder.status().queued).toBe(0)
  })

  test('that come while others are written are not forgotten', async () => {
    const { clock, store, call } = make()
    call(0, 10)
    await clock.advance(5_000)
    call(10, 20)
    await clock.advance(5_000)
    expect(arrived(store)).toEqual(tools(0, 20))
    expect(clock.pending).toBe(0)
  })

  test('leave no timer behind when nothing happens', async () => {
    const { clock, recorder } = make()
    recorder.start()
    await clock.advance(60_000)
    expect(clock.pending).toBe(0)
    await recorder.close()
  })

  test('are refused, counted and spoken of when they come faster than memory allows', async () => {
    const { recorder, lines, store } = make()
    for (let n = 0; n < 200; n += 1) recorder.usage(usageEntry(`tool-${n}`, { argumentsBytes: 1024 * 1024 }))
    const { queued, dropped } = recorder.status()
    expect([queued, dropped]).toEqual([64, 136])
    expect(lines.filter(({ message }) => message.startsWith('RECORDS ARE LOST'))).toHaveLength(1)
    await recorder.flush()
    expect(store.usage.size).toBe(64)
    recorder.usage(usageEntry('again'))
    expect(recorder.status()).toMatchObject({ queued: 1, dropped: 136 })
  })
})

describe('the end', () => {
  test('loses nothing: all that waits is written', async () => {
    const { recorder, store, call, clock } = make()
    call(0, 12_345)
    await recorder.close()
    expect(arrived(store)).toEqual(tools(0, 12_345))
    expect(clock.pending).toBe(0)
    await recorder.close()
  })

  test('loses nothing when the database is away: the next run brings it', async () => {
    const first = make()
    first.store.isAway = true
    first.call(0, 2_500)
    await first.recorder.close()
    expect(first.recorder.status()).toMatchObject({ queued: 0, spooled: 2_500, dropped: 0 })
    const next = make()
    next.recorder.start()
    await next.advanceUntil('the spool is empty', () => next.spool.isEmpty && next.store.usage.size > 0)
    expect(arrived(next.store)).toEqual(tools(0, 2_500))
  })

  test('does not wait for a database that hangs', async () => {
    const { recorder, store, call, advanceUntil } = make()
    store.hangs = true
    call(0, 10)
    let closed = false
    const closing = recorder.close().then(() => {
      closed = true
    })
    await advanceUntil('the recorder is closed', () => closed)
    await closing
    expect(recorder.status()).toMatchObject({ queued: 0, spooled: 10 })
  })

  test('takes nothing more', async () => {
    const { recorder, call, clock } = make()
    await recorder.close()
    call(0, 1)
    expect([recorder.status().queued, recorder.status().dropped, clock.pending]).toEqual([0, 1, 0])
  })
})

describe('a database that is away', () => {
  test('for minutes loses nothing; all arrives when it is back, once', async () => {
    const { clock, recorder, store, call, lines, advanceUntil } = make()
    store.isAway = true
    for (let minute = 0; minute < 3; minute += 1) {
      call(minute * 1_500, (minute + 1) * 1_500)
      await clock.advance(60_000)
    }
    await advanceUntil('all is on the disk', () => recorder.status().spooled === 4_500)
    expect(recorder.status()).toMatchObject({
      written: 0,
      dropped: 0,
      lastError: { message: 'The database is away.' },
    })
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    store.isAway = false
    await advanceUntil('all is in the database', () => store.usage.size === 4_500)
    expect(arrived(store)).toEqual(tools(0, 4_500))
    await advanceUntil('the spool is empty', () => recorder.status().spooled === 0)
    expect(recorder.status()).toMatchObject({ written: 4_500, dropped: 0 })
    expect(lines.at(-1)?.message).toBe('the database takes records of activity again')
  })

  test('is not asked for each batch anew', async () => {
    const { clock, store, call, recorder } = make()
    store.isAway = true
    for (let n = 0; n < 60; n += 1) {
      call(n, n + 1)
      await recorder.flush()
      await clock.advance(1_000)
    }
    expect(store.calls.length).toBeGreaterThan(5)
    expect(store.calls.length).toBeLessThan(20)
  })

  test('and a disk that cannot be written: records are lost, counted and spoken of; later ones are not', async () => {
    const { recorder, store, call, lines, advanceUntil } = make()
    await writeFile(join(folder, 'spool'), 'in the way')
    store.isAway = true
    call(0, 10)
    await recorder.flush()
    expect(recorder.status()).toMatchObject({ queued: 0, dropped: 10, spooled: 0 })
    expect(lines.at(-1)?.message).toMatch(/^RECORDS ARE LOST: neither the database nor the spool/)
    store.isAway = false
    await advanceUntil('the database may be tried again', () => {
      call(10, 11)
      return store.usage.size > 0
    })
  })

  test('that took a batch and did not say so has each record once', async () => {
    const { recorder, store, call, advanceUntil } = make()
    const write = store.appendUsage.bind(store)
    store.appendUsage = async (records) => {
      await write(records)
      store.isAway = true
      return write(records)
    }
    call(0, 100)
    await recorder.flush()
    expect([store.usage.size, recorder.status().spooled]).toEqual([100, 100])
    store.appendUsage = write
    store.isAway = false
    await advanceUntil('the spool is empty', () => recorder.status().spooled === 0)
    expect(arrived(store)).toEqual(tools(0, 100))
  })
})

describe('a record that the database does not take', () => {
  test('is put aside; all others of its batch are written', async () => {
    const { recorder, store, call, lines } = make()
    store.isBad = (record) => 'tool' in record && (record.tool === 'tool-7' || record.tool === 'tool-993')
    call(0, 1_000)
    await recorder.flush()
    expect(arrived(store)).toEqual(tools(0, 1_000).filter((tool) => tool !== 'tool-7' && tool !== 'tool-993'))
    expect(recorder.status()).toMatchObject({ written: 998, rejected: 2, dropped: 0, spooled: 0 })
    const rejected = join(folder, 'spool', 'rejected')
    const files = await readdir(rejected)
    const texts = await Promise.all(files.map((file) => readFile(join(rejected, file), 'utf8')))
    expect(texts.map((text) => JSON.parse(text).record.tool).sort()).toEqual(['tool-7', 'tool-993'])
    expect(JSON.stringify(lines)).not.toContain('tool-7')
  })

  test('costs few calls', async () => {
    const { recorder, store, call } = make()
    store.isBad = (record) => 'tool' in record && record.tool === 'tool-500'
    call(0, 1_000)
    await recorder.flush()
    expect(store.calls.length).toBeLessThan(25)
  })

  test('is not to blame when none is taken: then all go to the spool, but a few', async () => {
    const { recorder, store, call, advanceUntil } = make()
    store.isBad = () => true
    call(0, 1_000)
    await recorder.flush()
    expect(recorder.status()).toMatchObject({ rejected: 20, spooled: 980 })
    store.isBad = () => false
    await advanceUntil('the spool is empty', () => recorder.status().spooled === 0)
    expect(store.usage.size).toBe(980)
  })

  test('does not hold up what lies behind it in the spool', async () => {
    const { recorder, store, call, advanceUntil } = make()
    store.isAway = true
    call(0, 100)
    await recorder.flush()
    store.isAway = false
    store.isBad = (record) => 'tool' in record && Number(record.tool.slice(5)) < 50
    await advanceUntil('the spool is empty', () => {
      call(100, 101)
      return recorder.status().spooled === 0
    })
    await recorder.flush()
    expect(arrived(store).filter((tool) => tool !== 'tool-100')).toEqual(tools(50, 100))
    expect(recorder.status().rejected).toBe(50)
  })
})
