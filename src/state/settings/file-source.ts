import { createHash } from 'node:crypto'
import { type StatsListener, unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { HubError } from '../../domain/errors.ts'

/**
 * Settings in a file that somebody else writes. The file is looked at by name, every half second: that sees editors that
 * rename, the symlink swap of a Kubernetes ConfigMap, network file systems and read-only mounts alike, where change
 * notices of the kernel each miss some.
 */
export class SettingsFile {
  readonly path: string
  #lastSeen: string | undefined
  #listener: StatsListener | undefined
  #reading: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.path = path
  }

  /** @throws HubError `settings.unreadable` */
  async read(): Promise<string> {
    try {
      const text = await readFile(this.path, 'utf8')
      this.#lastSeen = fingerprint(text)
      return text
    } catch (cause) {
      throw new HubError(
        'settings.unreadable',
        `The settings file ${this.path} cannot be read: ${(cause as Error).message}.`,
        {
          cause,
          cure: 'Check that it exists and that the hub may read it.',
        },
      )
    }
  }

  /** Calls back with the new text, or the error, whenever the content is not what was last read. */
  watch(onChange: (change: { text: string } | { error: HubError }) => void): void {
    this.#listener = () => {
      this.#reading = this.#reading.then(() => this.#look(onChange))
    }
    watchFile(this.path, { interval: LOOK_MS, persistent: false }, this.#listener)
  }

  async close(): Promise<void> {
    if (this.#listener) unwatchFile(this.path, this.#listener)
    this.#listener = undefined
    await this.#reading
  }

  async #look(onChange: (change: { text: string } | { error: HubError }) => void): Promise<void> {
    const before = this.#lastSeen
    try {
      const text = await this.read()
      if (this.#lastSeen !== before && this.#listener) onChange({ text })
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      if (this.#listener) onChange({ error })
    }
  }
}

const LOOK_MS = 500

function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
