import { messageOf } from '../../domain/errors.ts'
import { type Clock, sleep, type Timer } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import { type Batch, part } from './batches.ts'
import { Delivery, type DeliveryDeps } from './delivery.ts'
import { Queue } from './queue.ts'
import type { AccessEntry, AuditEntry, RecordMaker, UsageEntry } from './record-maker.ts'
import type { Segment, Spool } from './spool.ts'

export interface RecorderDeps extends DeliveryDeps {
  readonly maker: RecordMaker
  /** How long records may wait in memory, ms: that much a SIGKILL can lose. Lower is safer, higher writes less often. */
  readonly intervalMs: number
}

/** Numbers of records since the start; those that wait are counted as they are now. */
export interface RecorderStatus {
  /** Wait in memory. */
  readonly queued: number
  /** Wait on disk for the database to come back. */
  readonly spooled: number
  readonly spoolBytes: number
  /** Are in the database. */
  readonly written: number
  /** Are lost. */
  readonly dropped: number
  /** Were put aside, because the database does not take them. */
  readonly rejected: number
  readonly lastError: { readonly message: string; readonly at: number } | undefined
}

/** Records of one batch: more are faster, fewer leave the event loop and the database to others sooner. */
const PORTION = 500
/** Batches under way at once: some databases write several together. */
const AT_ONCE = 8
/** After this time a disk that could not be read is tried again. */
const DISK_RETRY_MS = 15_000

/**
 * The time between two batches, ms: every 5 s, or what `BATCH_UPDATE_INTERVAL` says in seconds; with `BATCH_UPDATE_ENABLED=false` records
 * wait for a tenth of a second at most.
 */
export function batchInterval(environment: Readonly<Record<string, string | undefined>>): number {
  if (environment['BATCH_UPDATE_ENABLED']?.trim().toLowerCase() === 'false') return 100
  const seconds = Number(environment['BATCH_UPDATE_INTERVAL'] || Number.NaN)
  return seconds > 0 ? Math.max(100, Math.min(seconds, 3_600) * 1_000) : 5_000
}

/**
 * Takes note of what happens and writes it down later, in batches: nobody ever waits for it. What the store cannot take goes to the
 * spool, and from there to the store when it is back.
 */
export class ActivityRecorder {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #spool: Spool
  readonly #delivery: Delivery
  readonly #queue: Queue
  readonly #intervalMs: number
  #timer: Timer | undefined
  /** The timer is set to now, not to the end of the interval. */
  #hasty = false
  #retryTimer: Timer | undefined
  #writing: Promise<void> | undefined
  #replaying: Promise<void> | undefined
  /** How far the segment at the head of the spool has come. */
  #replayed: { readonly segment: Segment | undefined; records: number } = { segment: undefined, records: 0 }
  #urgent = false
  #closed = false
  #dropped = 0

  constructor(deps: RecorderDeps) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#spool = deps.spool
    this.#delivery = new Delivery(deps)
    this.#queue = new Queue(deps.maker)
    this.#intervalMs = deps.intervalMs
  }

  /** Begins to write what an earlier run has left in the spool. */
  start(): void {
    this.#replay()
  }

  usage(entry: UsageEntry): void {
    if (!this.#hasRoom()) return
    this.#queue.addUsage(entry)
    this.#schedule()
  }

  access(entry: AccessEntry): void {
    if (!this.#hasRoom()) return
    this.#queue.addAccess(entry)
    this.#schedule()
  }

  audit(entry: AuditEntry): void {
    if (!this.#hasRoom()) return
    this.#queue.addAudit(entry)
    this.#schedule()
  }

  status(): RecorderStatus {
    const { written, rejected, lastError } = this.#delivery
    const { records, bytes, dropped } = this.#spool
    return {
      queued: this.#queue.size,
      spooled: records,
      spoolBytes: bytes,
      written,
      dropped: this.#dropped + dropped,
      rejected,
      lastError,
    }
  }

  /** Resolves when everything that was noted before is in the store or in the spool. Never rejects. */
  async flush(): Promise<void> {
    this.#urgent = true
    await this.#writing
    if (!this.#queue.isEmpty) await this.#write()
    this.#urgent = false
  }

  /** Writes what waits, and takes nothing more. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    this.#retryTimer?.stop()
    this.#timer?.stop()
    await this.flush()
    await this.#replaying
  }

  #hasRoom(): boolean {
    if (!this.#closed && !this.#queue.overflows) return true
    this.#lose(1, this.#closed ? 'the hub has stopped' : 'they come faster than they can be written')
    return false
  }

  /** Only ever sets a timer: whoever reports does not pay for the writing. */
  #schedule(): void {
    if (this.#writing) return
    if (!this.#timer) this.#wake(this.#queue.isFull ? 0 : this.#intervalMs)
    else if (this.#queue.isFull && !this.#hasty) this.#wake(0)
  }

  #wake(ms: number): void {
    this.#timer?.stop()
    this.#hasty = ms === 0
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined
      void this.#write()
    })
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
      if (!this.#queue.isEmpty && !this.#closed) this.#schedule()
    })
    return this.#writing
  }

  /** All that waits at the beginning. What comes meanwhile gathers for the next time. */
  async #writeAll(): Promise<void> {
    const slots = new Semaphore(AT_ONCE)
    const writing: Promise<void>[] = []
    for (let left = this.#queue.size; left > 0; ) {
      const release = await slots.acquire()
      const batch = this.#queue.take(PORTION)
      if (!batch) break
      left -= batch.records.length
      writing.push(this.#writeOne(batch).finally(release))
      // Making records takes time, too: others have a turn in between.
      if (!this.#urgent) await sleep(this.#clock, 0)
    }
    await Promise.all(writing)
  }

  async #writeOne(batch: Batch): Promise<void> {
    const done = await this.#delivery.deliver(batch)
    const rest = part(batch, done)
    if (rest.records.length > 0) {
      try {
        await this.#spool.add(rest)
      } catch (error) {
        this.#delivery.note(error)
        this.#lose(rest.records.length, `neither the database nor the spool takes them: ${messageOf(error)}`)
      }
    }
    if (!this.#spool.isEmpty) this.#replayLater()
  }

  #lose(count: number, why: string): void {
    const thousands = Math.floor(this.#dropped / 1000)
    const isFirst = this.#dropped === 0
    this.#dropped += count
    // A line for each would be one more thing that goes wrong.
    if (isFirst || Math.floor(this.#dropped / 1000) > thousands)
      this.#log.error({ dropped: this.#dropped }, `RECORDS ARE LOST: ${why}`)
  }

  #replayLater(waitMs = 0): void {
    if (this.#closed || this.#replaying) return
    this.#retryTimer?.stop()
    this.#retryTimer = this.#clock.after(Math.max(waitMs, this.#delivery.awayForMs), () => this.#replay())
  }

  #replay(): void {
    if (this.#closed || this.#replaying) return
    const failed = (error: unknown): number => {
      this.#delivery.note(error)
      this.#log.error({ err: error }, 'the spool cannot be worked off; it will be tried again')
      return DISK_RETRY_MS
    }
    this.#replaying = this.#replayAll()
      .then(() => 0, failed)
      .then((waitMs) => {
        this.#replaying = undefined
        if (!this.#spool.isEmpty) this.#replayLater(waitMs)
      })
  }

  async #replayAll(): Promise<void> {
    await this.#spool.open()
    while (!this.#closed && this.#delivery.awayForMs === 0) {
      const { oldest } = this.#spool
      if (!oldest || !(await this.#replayOne(oldest))) return
      await this.#spool.remove(oldest)
    }
  }

  /** Whether all records of a segment have been dealt with; if not, the next try goes on where this one ended. */
  async #replayOne(segment: Segment): Promise<boolean> {
    if (this.#replayed.segment !== segment) this.#replayed = { segment, records: 0 }
    const batch = await this.#spool.read(segment)
    while (this.#replayed.records < batch.records.length) {
      if (this.#closed || this.#delivery.awayForMs > 0) return false
      const at = this.#replayed.records
      this.#replayed.records += await this.#delivery.deliver(part(batch, at, at + PORTION))
      await sleep(this.#clock, 0)
    }
    return true
  }
}
