import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../kernel/logger.ts'

interface Stored {
  readonly key: string
  /** Hashed: the caller's may be made of secrets, such as the arguments of a command. */
  readonly fingerprint: string
  readonly value: unknown
}

/**
 * JSON values kept in a folder, one file each, that may be lost without harm: what cannot be read is as if it had never
 * been written, and what cannot be written is only logged. Nobody but the hub's user may read them.
 */
export class JsonCache {
  readonly #folder: string
  readonly #log: Logger
  readonly #writing = new Map<string, Promise<void>>()

  constructor(folder: string, log: Logger) {
    this.#folder = folder
    this.#log = log
  }

  /** The value stored under `key`, if it was stored with this fingerprint. */
  async load(key: string, fingerprint: string): Promise<unknown> {
    try {
      const stored = JSON.parse(await readFile(this.#file(key), 'utf8')) as Partial<Stored>
      return stored.key === key && stored.fingerprint === sha256(fingerprint) ? stored.value : undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn({ err: error, key }, 'a cached value could not be read')
      return undefined
    }
  }

  /** Stores in the background; writes of one key keep their order. */
  save(key: string, fingerprint: string, value: unknown): void {
    const text = JSON.stringify({ key, fingerprint: sha256(fingerprint), value } satisfies Stored)
    const before = this.#writing.get(key) ?? Promise.resolve()
    const writing = before
      .then(() => this.#write(this.#file(key), text))
      .catch((error: unknown) => this.#log.warn({ err: error, key }, 'a value could not be cached'))
    this.#writing.set(key, writing)
    void writing.finally(() => {
      if (this.#writing.get(key) === writing) this.#writing.delete(key)
    })
  }

  /** Waits until everything is written. */
  async close(): Promise<void> {
    await Promise.all(this.#writing.values())
  }

  async #write(file: string, text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    // A folder of an earlier version is open to others. Where it is not ours to close, the mode of the file must do.
    await chmod(this.#folder, 0o700).catch(() => undefined)
    const temporary = `${file}.${process.pid}.tmp`
    try {
      // One that a crash has left would keep its mode.
      await rm(temporary, { force: true })
      await writeFile(temporary, text, { mode: 0o600 })
      // A reader sees the old file or the new one, never a half.
      await rename(temporary, file)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  #file(key: string): string {
    const readable = key.replace(/[^A-Za-z0-9_.-]+/g, '_').slice(0, 60)
    const hash = sha256(key).slice(0, 12)
    return join(this.#folder, `${readable}-${hash}.json`)
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
