import { HubError } from '../../domain/errors.ts'
import type { ClusterKey } from './cluster-places.ts'
import { type ClusterOrigin, ClusterSource, type ClusterSources, type Found } from './cluster-source.ts'
import type { Parse } from './cluster-values.ts'

/** Reads single settings, and keeps what they came from. In a cluster that is not enabled mistakes are only warned of. */
export class ClusterReader {
  readonly source: ClusterSource
  readonly warnings: string[] = []
  readonly origins = new Map<ClusterKey, ClusterOrigin>()
  readonly #found = new Map<ClusterKey, Found>()
  /** Whether mistakes are refused. */
  strict = true

  constructor(sources: ClusterSources) {
    this.source = new ClusterSource(sources, (text) => this.warnings.push(text))
  }

  /** The value of a setting, or `fallback`. @throws HubError `settings.invalid` */
  read<T>(key: ClusterKey, parse: Parse<T>, fallback: T): T {
    this.origins.set(key, { origin: 'default', name: '' })
    const found = this.find(key)
    if (!found) return fallback
    if (this.strict && found.path) this.source.warnOfRivals(key)
    const parsed = parse(found.value)
    if ('value' in parsed) {
      this.note(key, found)
      return parsed.value
    }
    this.complain(this.source.wrong(found, parsed.why, parsed.cure))
    return fallback
  }

  /** The same for what need not be there. */
  optional<T>(key: ClusterKey, parse: Parse<T>): T | undefined {
    return this.read<T | undefined>(key, parse, undefined)
  }

  /** What says something of a setting, unread. */
  find(key: ClusterKey): Found | undefined {
    return this.attempt(() => this.source.find(key))
  }

  note(key: ClusterKey, found: Found): void {
    this.#found.set(key, found)
    this.origins.set(key, found.origin)
  }

  /** What gave a setting the value that was read; undefined for a default. */
  noted(key: ClusterKey): Found | undefined {
    return this.#found.get(key)
  }

  attempt<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.complain(error)
      return undefined
    }
  }

  /** @throws the error, where mistakes are refused */
  complain(error: unknown): void {
    if (this.strict || !(error instanceof HubError)) throw error
    this.warnings.push(`${error.message} The cluster is not enabled, so it does not matter yet.`)
  }
}
