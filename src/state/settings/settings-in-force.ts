import { HubError, toHubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import type { CheckedSettings, SettingsChecker } from './settings-checker.ts'
import type { SettingsHome } from './settings-home.ts'

export interface InForceDeps {
  readonly home: SettingsHome
  readonly checker: SettingsChecker
  readonly clock: Clock
  readonly log: Logger
  /** Puts settings into force. */
  onChange(next: CheckedSettings): Promise<void> | void
}

/**
 * Which settings are in force. Those that this hub has changed come in at once, those that others have changed (people in the
 * file, nodes in the database) are noticed. What cannot be used changes nothing. Files come into force without any database;
 * their revision is made as soon as there is one.
 */
export class SettingsInForce {
  readonly #deps: InForceDeps
  /** Own changes and looks after others' take turns. */
  readonly #turn = new Semaphore(1)
  #stamp: string | undefined
  #refused: string | undefined
  #unrecorded = false
  #revision: number | undefined
  #reason: string | undefined

  constructor(deps: InForceDeps) {
    this.#deps = deps
  }

  /** The number of the revision in force, as far as it has one. */
  get revision(): number | undefined {
    return this.#revision
  }

  /** Why what is stored is not in force; undefined when it is. */
  get whyNot(): string | undefined {
    return this.#refused === undefined ? undefined : this.#reason
  }

  /**
   * The settings to begin with.
   * @throws HubError when they cannot be read or used
   */
  async start(): Promise<CheckedSettings> {
    const leave = await this.#turn.acquire()
    try {
      const { home, checker } = this.#deps
      const kept = await home.read()
      const checked = await checker.check(kept?.document ?? {}, home.name, kept?.text || undefined)
      this.#stamp = kept?.stamp
      await this.#record()
      return checked
    } finally {
      leave()
    }
  }

  /** Looks after others' changes again and again, until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#deps.clock, this.#deps.home.lookEveryMs, signal)
      if (!signal.aborted) await this.look()
    }
  }

  /** Puts into force what others have changed since the last look. Never rejects. */
  async look(): Promise<void> {
    const leave = await this.#turn.acquire()
    try {
      await this.#take()
      if (this.#unrecorded) await this.#record()
    } catch (error) {
      this.#refuse(error)
    } finally {
      leave()
    }
  }

  /** Makes a change of this hub's own; what it gives comes into force before this resolves. */
  async own<T>(
    work: () => Promise<{
      readonly result: T
      readonly next?: CheckedSettings | undefined
      readonly stamp?: string | undefined
      readonly number?: number
    }>,
  ): Promise<T> {
    const leave = await this.#turn.acquire()
    try {
      const { result, next, stamp, number } = await work()
      if (next) {
        this.#stamp = stamp
        this.#revision = number
        await this.#deps.onChange(next)
      }
      return result
    } finally {
      leave()
    }
  }

  async #take(): Promise<void> {
    const { home, checker, log, onChange } = this.#deps
    const kept = await home.read(this.#stamp)
    if (!kept || kept.stamp === this.#stamp) {
      this.#refused = undefined
      return
    }
    // One that was refused is not tried again until it changes.
    if (`refused ${kept.stamp}` === this.#refused) return
    try {
      const next = await checker.check(kept.document, home.name, kept.text)
      for (const warning of next.warnings) log.warn({}, warning)
      await onChange(next)
    } catch (error) {
      this.#refuse(error, `refused ${kept.stamp}`)
      return
    }
    this.#stamp = kept.stamp
    this.#refused = undefined
    log.info({ source: home.name }, 'the changed settings are in force')
    await this.#record()
  }

  /** Sees to it that what others wrote has a revision. A database that is away is asked again at the next look. */
  async #record(): Promise<void> {
    try {
      this.#revision = (await this.#deps.home.base()).latest?.number
      this.#unrecorded = false
    } catch (error) {
      if (!this.#unrecorded)
        this.#deps.log.warn(
          { err: error },
          'the settings are in force, and will be recorded when that is possible',
        )
      this.#unrecorded = true
    }
  }

  /** Says once why something is not used. */
  #refuse(error: unknown, mark = toHubError(error).message): void {
    if (mark === this.#refused) return
    this.#refused = mark
    const { message, cure, code } = toHubError(error)
    this.#reason = message
    // A hub that cannot ask its database goes on with what it knows.
    const what =
      error instanceof HubError && code === 'storage.unavailable' ? 'cannot be looked up' : 'are not used'
    this.#deps.log.error(
      { cure },
      `the changed settings ${what}, the last good ones stay in force: ${message}`,
    )
  }
}
