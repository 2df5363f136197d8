import type { Redactor } from '../observability/redaction.ts'

/** Servers are changed and tried without end; the oldest secrets are forgotten. */
const MOST = 10_000

/**
 * The secrets that the redactor looks for. One stays known after it has left the settings: the old process may still say it,
 * records may still wait to be written, and whoever has it may still use it.
 */
export class KnownSecrets {
  readonly #redactor: Redactor
  /** The hub's own: never forgotten. */
  readonly #own: readonly string[]
  /** The oldest first. */
  readonly #others = new Set<string>()

  constructor(redactor: Redactor, own: readonly string[]) {
    this.#redactor = redactor
    this.#own = own
    this.add([])
  }

  add(secrets: Iterable<string>): void {
    for (const secret of secrets) {
      this.#others.delete(secret)
      this.#others.add(secret)
    }
    for (const oldest of this.#others) {
      if (this.#others.size <= MOST) break
      this.#others.delete(oldest)
    }
    this.#redactor.setSecrets([...this.#own, ...this.#others])
  }
}
