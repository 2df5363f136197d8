import { HubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { ACTIVITY_KINDS, type ActivityKind } from './batches.ts'
import type { ActivityStore } from './ports.ts'

/** For how many days records are kept, by kind; 0 = for ever. */
export type RetentionDays = Readonly<Record<ActivityKind, number>>

export interface RetentionDeps {
  readonly store: Pick<ActivityStore, 'prune'>
  readonly clock: Clock
  readonly log: Logger
  /** The settings of the moment. */
  days(): RetentionDays
}

const FIRST_AFTER_MS = 60_000
const EVERY_MS = 3_600_000
const DAY_MS = 86_400_000
/** Few at a time: whoever else writes waits no longer than that takes. */
const PORTION = 1000
const PAUSE_MS = 50

/** Removes records that are older than the settings want them. Several nodes may do so at once. */
export class Retention {
  readonly #deps: RetentionDeps

  constructor(deps: RetentionDeps) {
    this.#deps = deps
  }

  /** A minute after the start and then every hour, until the signal comes. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    await sleep(clock, FIRST_AFTER_MS, signal)
    while (!signal.aborted) {
      await this.prune(signal)
      await sleep(clock, EVERY_MS, signal)
    }
  }

  /** Once through all kinds. What goes wrong is logged: the next hour brings another chance. */
  async prune(signal?: AbortSignal): Promise<void> {
    const { log } = this.#deps
    for (const kind of ACTIVITY_KINDS) {
      try {
        const removed = await this.#pruneKind(kind, signal)
        if (removed > 0) log.info({ kind, removed }, 'old records of activity were removed')
      } catch (error) {
        const isAway = error instanceof HubError && error.code === 'storage.unavailable'
        log[isAway ? 'debug' : 'warn']({ err: error, kind }, 'old records of activity could not be removed')
      }
    }
  }

  async #pruneKind(kind: ActivityKind, signal: AbortSignal | undefined): Promise<number> {
    const { store, clock } = this.#deps
    const days = this.#deps.days()[kind]
    if (days <= 0) return 0
    const before = clock.now() - days * DAY_MS
    let removed = 0
    while (!signal?.aborted) {
      const count = await store.prune(kind, before, PORTION)
      removed += count
      if (count < PORTION) break
      await sleep(clock, PAUSE_MS, signal)
    }
    return removed
  }
}
