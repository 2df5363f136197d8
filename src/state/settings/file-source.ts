import { createHash } from 'node:crypto'
import { type StatsListener, unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'

export type SettingsChange = { readonly text: string } | { readonly error: HubError }

/**
 * Settings in a file that somebody else writes. The file is looked at by name, every half second: that sees editors that
 * rename, the symlink swap of a Kubernetes ConfigMap, network file systems and read-only mounts alike, where change
 * notices of the kernel each miss some.
 */
export class SettingsFile {
  readonly path: string
  readonly #clock: Clock
  readonly #closing = new AbortController()
  #lastTold: string | undefined
  #listener: StatsListener | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(path: string, clock: Clock) {
    this.path = path
    this.#clock = clock
  }

  /** @throws HubError `settings.unreadable` */
  async read(): Promise<string> {
    const text = await readSettingsFile(this.path)
    this.#lastTold = mark({ text })
    return text
  }

  /**
   * Calls back with the new text, or the error, whenever the content is not what was last read; at once if it has changed
   * since then. The next look waits until the callback's promise, which must not reject, has settled.
   */
  watch(onChange: (change: SettingsChange) => Promise<void> | void): void {
    const look = () => {
      this.#looking = this.#looking.then(() => this.#look(onChange))
    }
    this.#listener = look
    watchFile(this.path, { interval: LOOK_MS, persistent: false }, look)
    look()
  }

  /** Stops watching and waits for the callback that is under way. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#listener) unwatchFile(this.path, this.#listener)
    this.#listener = undefined
    this.#closing.abort()
    await this.#looking
  }

  async #look(onChange: (change: SettingsChange) => Promise<void> | void): Promise<void> {
    const change = await this.#readSettled()
    if (!change || this.#closing.signal.aborted) return
    this.#lastTold = mark(change)
    await onChange(change)
  }

  /** What the file holds once two reads agree, if that is something new: between them nobody was saving it. */
  async #readSettled(): Promise<SettingsChange | undefined> {
    let before = await this.#outcome()
    while (mark(before) !== this.#lastTold) {
      await sleep(this.#clock, SETTLE_MS, this.#closing.signal)
      if (this.#closing.signal.aborted) return undefined
      const again = await this.#outcome()
      if (mark(again) === mark(before)) return again
      before = again
    }
    return undefined
  }

  async #outcome(): Promise<SettingsChange> {
    try {
      return { text: await readSettingsFile(this.path) }
    } catch (error) {
      return { error: toHubError(error) }
    }
  }
}

/** @throws HubError `settings.unreadable` */
export async function readSettingsFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new HubError(
      'settings.unreadable',
      `The settings file ${path} cannot be read: ${messageOf(cause)}.`,
      {
        cause,
        cure: 'Check that it exists and that the hub may read it.',
      },
    )
  }
}

/** Whether a file could not be read because there is none. */
export function isMissing(error: unknown): boolean {
  return error instanceof HubError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
}

/** How often the file is looked at, ms. */
const LOOK_MS = 500
/** How long a file must stay as it is before it counts as saved, ms. */
const SETTLE_MS = 100

/** Equal for equal outcomes; holds no secret. */
function mark(change: SettingsChange): string {
  if ('error' in change) return `error: ${change.error.message}`
  return createHash('sha256').update(change.text).digest('base64')
}
