import { HubError, toHubError } from '../../domain/errors.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { type JsonPath, valueAt } from '../json/json-path.ts'
import { mapStrings } from '../json/map-strings.ts'
import { isSecretPlace } from '../secrets/secret-places.ts'
import {
  BLOCKS,
  CLUSTER_PLACES,
  type ClusterFlags,
  type ClusterKey,
  documentPaths,
  GROUPS,
  type Place,
} from './cluster-places.ts'
import type { Position } from './document.ts'
import { type Expansion, expand, resolveSecret, type Sources, type Variables, whyMissing } from './expand.ts'

/** Where the settings of a cluster come from. */
export interface ClusterSources extends Omit<Sources, 'variables'> {
  /** The settings document as it was parsed; without it there is none, as on most workers. */
  readonly document?: unknown
  /** How errors call the document. */
  readonly source?: string
  /** Where a value stands in the text of the document. */
  readonly locate?: ((path: JsonPath) => Position) | undefined
  readonly environment: Variables
  readonly flags?: ClusterFlags | undefined
}

/** Where a value came from: which flag, which variable, or which path of the document. */
export interface ClusterOrigin {
  readonly origin: 'flag' | 'environment' | 'file' | 'default'
  readonly name: string
}

export interface Found {
  readonly value: unknown
  readonly origin: ClusterOrigin
  /** Of a value of the document. */
  readonly path?: JsonPath
}

/** Finds what flags, environment and document say, and says where things are wrong. */
export class ClusterSource {
  readonly #sources: ClusterSources
  readonly #warn: (text: string) => void

  constructor(sources: ClusterSources, warn: (text: string) => void) {
    this.#sources = sources
    this.#warn = warn
  }

  /** What counts for a setting: a flag before the environment before the document. @throws HubError */
  find(key: ClusterKey): Found | undefined {
    return this.inFlags(key) ?? this.inEnvironment(key) ?? this.inDocument(key)
  }

  inFlags(key: ClusterKey): Found | undefined {
    const { flag }: Place = CLUSTER_PLACES[key]
    const value = flag && this.#sources.flags?.[flag.key]
    return flag && value !== undefined ? { value, origin: { origin: 'flag', name: flag.name } } : undefined
  }

  inEnvironment(key: ClusterKey): Found | undefined {
    const { environment } = this.#sources
    const name = CLUSTER_PLACES[key].variables.find((variable) => Boolean(environment[variable]?.trim()))
    return name === undefined
      ? undefined
      : { value: environment[name], origin: { origin: 'environment', name } }
  }

  /** What the document says of a setting. @throws HubError */
  inDocument(key: ClusterKey): Found | undefined {
    for (const path of documentPaths(key)) {
      const raw = this.#at(path)
      if (raw === undefined) continue
      const value = mapStrings(raw, (text, at) => this.#text(text, at), path)
      if (value !== '') return { value, origin: { origin: 'file', name: path.join('.') }, path }
    }
    return undefined
  }

  /** Warns of places of the document that say something else than the one that counts. */
  warnOfRivals(key: ClusterKey): void {
    const [first, ...others] = documentPaths(key).filter((path) => this.#at(path) !== undefined)
    if (!first) return
    const rival = others.find((path) => JSON.stringify(this.#at(path)) !== JSON.stringify(this.#at(first)))
    if (rival)
      this.#warn(`${this.#where(rival)}: ${first.join('.')} says something else, and that is what counts.`)
  }

  /** @throws HubError `settings.invalid` when a part of the document is no object */
  requireObjects(): void {
    for (const block of BLOCKS)
      for (const path of [block, ...GROUPS.map((group) => [...block, group])]) {
        const value = this.#at(path)
        if (value !== undefined && !isObject(value))
          throw this.#invalid(path, 'this must be an object', 'Write {…}, or remove it.')
      }
  }

  /** The error about a value. `why` holds no secret. */
  wrong({ origin, path }: Pick<Found, 'origin' | 'path'>, why: string, cure: string): HubError {
    if (path) return this.#invalid(path, why, cure)
    return new HubError('settings.invalid', `${origin.name}: ${why}.`, { data: { name: origin.name }, cure })
  }

  #at(path: JsonPath): unknown {
    return valueAt(this.#sources.document, path) ?? undefined
  }

  #text(text: string, path: JsonPath): string {
    const secret = isSecretPlace(path)
    const { text: value, missing } = secret ? this.#secret(text, path) : this.#expanded(text)
    const [name] = missing
    if (name === undefined) return value
    // A token with a hole in it would be easier to guess than it looks.
    if (secret) throw this.#invalid(path, whyMissing(name), `Set it, or give the token in CLUSTER_TOKEN.`)
    this.#warn(`${this.#where(path)}: ${whyMissing(name)}; it is taken as empty.`)
    return value
  }

  #expanded(text: string): Expansion {
    return expand(text, this.#sources.environment, this.#sources.readFile)
  }

  #secret(text: string, path: JsonPath): Expansion {
    const { environment, readFile, openSecret } = this.#sources
    try {
      return resolveSecret(text, { variables: environment, readFile, openSecret })
    } catch (error) {
      const { message, cure } = toHubError(error)
      throw new HubError('secret.unreadable', `${this.#where(path)}: ${message}`, {
        cause: error,
        ...(cure === undefined ? {} : { cure }),
      })
    }
  }

  #invalid(path: JsonPath, why: string, cure: string): HubError {
    const { source, locate } = this.#sources
    return new HubError('settings.invalid', `${this.#where(path)}: ${why}.`, {
      data: { ...(source === undefined ? {} : { source }), ...locate?.(path), path: path.join('.') },
      cure,
    })
  }

  #where(path: JsonPath): string {
    const { source, locate } = this.#sources
    const at = locate?.(path)
    const place = at ? `:${at.line}:${at.column}` : ''
    return source === undefined ? path.join('.') : `${source}${place}: ${path.join('.')}`
  }
}
