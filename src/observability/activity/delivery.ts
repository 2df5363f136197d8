import { HubError, messageOf } from '../../domain/errors.ts'
import { type BackoffPolicy, backoffDelay } from '../../kernel/backoff.ts'
import { type Clock, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { type AppendStore, append, type Batch, part } from './batches.ts'
import type { Spool } from './spool.ts'

export interface DeliveryDeps {
  readonly store: AppendStore
  readonly spool: Spool
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** A store that has not answered for this long counts as away. What it writes later does no harm: ids are unique. */
const PATIENCE_MS = 3_000
/** So many bad records in a row, and it is not the records that are bad. */
const BAD_IN_A_ROW = 20
const RETRY: BackoffPolicy = { initialMs: 1_000, maxMs: 15_000, factor: 2, healthyAfterMs: 0 }

/** Brings batches to the store, notices when it is away, and sorts out records that it does not take. */
export class Delivery {
  readonly #deps: DeliveryDeps
  #failures = 0
  /** Until then the store is left alone, monotonic ms. */
  #awayUntil = 0
  #badInARow = 0
  #written = 0
  #rejected = 0
  #lastError: { readonly message: string; readonly at: number } | undefined

  constructor(deps: DeliveryDeps) {
    this.#deps = deps
  }

  get written(): number {
    return this.#written
  }

  get rejected(): number {
    return this.#rejected
  }

  get lastError(): { readonly message: string; readonly at: number } | undefined {
    return this.#lastError
  }

  /** How long not to bother the store, ms; 0 when it may be tried. */
  get awayForMs(): number {
    return Math.max(0, this.#awayUntil - this.#deps.clock.monotonic())
  }

  /** Returns how many records are dealt with, from the first: fewer than all when the store is away. Never rejects. */
  async deliver(batch: Batch): Promise<number> {
    const count = batch.records.length
    if (this.awayForMs > 0) return 0
    try {
      await this.#append(batch)
      this.#arrived(count)
      return count
    } catch (error) {
      this.note(error)
      if (isAway(error)) return this.#away(error)
      if (count > 1) return this.#halves(batch)
      if (this.#badInARow >= BAD_IN_A_ROW) return this.#away(error)
      await this.#reject(batch, error)
      return 1
    }
  }

  note(error: unknown): void {
    this.#lastError = { message: messageOf(error), at: this.#deps.clock.now() }
  }

  /** One of them is bad: the others must not suffer for it. */
  async #halves(batch: Batch): Promise<number> {
    const half = batch.records.length >> 1
    const first = await this.deliver(part(batch, 0, half))
    if (first < half) return first
    return half + (await this.deliver(part(batch, half)))
  }

  #append(batch: Batch): Promise<void> {
    const { clock, store } = this.#deps
    return within(clock, PATIENCE_MS, append(store, batch), () => {
      throw new HubError('storage.unavailable', `The database has not answered for ${PATIENCE_MS} ms.`)
    })
  }

  #arrived(count: number): void {
    this.#written += count
    this.#badInARow = 0
    if (this.#failures === 0) return
    this.#failures = 0
    this.#awayUntil = 0
    this.#deps.log.info({ spooled: this.#deps.spool.records }, 'the database takes records of activity again')
  }

  #away(error: unknown): number {
    // Several batches were under way, and one of the others has said so before.
    if (this.awayForMs > 0) return 0
    const { clock, random, log } = this.#deps
    if (this.#failures === 0)
      log.warn(
        { err: error },
        'the database takes no records of activity: they go to the spool until it does',
      )
    this.#failures += 1
    this.#awayUntil = clock.monotonic() + backoffDelay(RETRY, this.#failures, random.fraction())
    return 0
  }

  async #reject(batch: Batch, error: unknown): Promise<void> {
    const { log, spool } = this.#deps
    const id = batch.records[0]?.id
    this.#badInARow += 1
    this.#rejected += 1
    const what = 'the database does not take a record: it is put aside in spool/rejected'
    log.error({ err: error, kind: batch.kind, id }, what)
    try {
      await spool.reject(batch, error)
    } catch (cause) {
      log.error({ err: cause, id }, 'RECORDS ARE LOST: a rejected record cannot be put aside')
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof HubError && error.code === 'storage.unavailable'
}
