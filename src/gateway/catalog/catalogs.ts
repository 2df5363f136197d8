import type { EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'
import { type KeyScope, scopeToJson } from '../../domain/key-scope.ts'
import type { Rights } from '../../domain/principal.ts'
import type { HubSettings, ServerSpec } from '../../domain/server-spec.ts'
import { type Clock, sleep, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { TaskGroup } from '../../kernel/task-group.ts'
import { jsonBytes } from '../../mcp/json-rpc.ts'
import type { ServerHello } from '../../mcp/methods.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { endpointHello } from './hello.ts'
import { LIST_KINDS, LISTS, type Listing, type ListKind } from './listing.ts'
import { readLists } from './read-lists.ts'
import { type EndpointScope, resolveEndpoint } from './scope.ts'
import { buildView, type View } from './view.ts'

/** Where listings outlive the hub. */
export interface ListingStore {
  load(spec: ServerSpec): Promise<Listing | undefined>
  save(spec: ServerSpec, listing: Listing): void
}

export interface CatalogDeps {
  readonly store: ListingStore
  readonly clock: Clock
  readonly log: Logger
  readonly tasks: TaskGroup
  /** Lists of these kinds changed at this server. */
  readonly onChange: (server: string, kinds: readonly ListKind[]) => void
  /** A server's lists have been read, changed or not. */
  readonly onRead: (server: string) => void
  /** How long a client waits for servers whose lists nobody has ever seen. */
  readonly firstLookMs: number
}

interface Entry {
  spec: ServerSpec
  listing: Listing | undefined
  /** `stale`: read by an earlier run or before the server went down. */
  freshness: 'unknown' | 'stale' | 'fresh'
  complaints: readonly string[]
  /** Resolves once the server's lists are known or known to be out of reach for now. */
  settled: PromiseWithResolvers<void>
  /** Where the lists are read from. */
  source: Upstream | undefined
  refreshing: boolean
  /** What must be read (again). */
  readonly due: Set<ListKind>
}

/** An endpoint as one kind of client sees it, with its list results ready to be sent. */
export interface Endpoint {
  readonly scope: EndpointScope
  readonly view: View
  /** The bytes of the result of each list method. */
  list(kind: ListKind): Buffer
}

/** Servers announce bursts of changes one by one; reading once for all of them is enough. */
const BURST_MS = 50

/** Views that are kept at once: endpoints × kinds of rights. Beyond this they are made anew. */
const MAX_ENDPOINTS = 5_000

/** Knows what every server offers, and puts it together for each endpoint. */
export class Catalogs {
  readonly #deps: CatalogDeps
  readonly #entries = new Map<string, Entry>()
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #scopeKeys = new WeakMap<KeyScope, string>()
  #settings: HubSettings

  constructor(settings: HubSettings, deps: CatalogDeps) {
    this.#settings = settings
    this.#deps = deps
  }

  /** Takes over new settings; loads what an earlier run has left of servers that are new here. */
  async apply(settings: HubSettings): Promise<void> {
    this.#settings = settings
    for (const [name, entry] of this.#entries) {
      if (settings.servers.get(name)?.enabled) continue
      this.#entries.delete(name)
      // Nobody waits for it any longer.
      entry.settled.resolve()
    }
    await Promise.all(
      [...settings.servers.values()].filter((spec) => spec.enabled).map((spec) => this.#adopt(spec)),
    )
    this.#endpoints.clear()
  }

  async #adopt(spec: ServerSpec): Promise<void> {
    const entry = this.#entries.get(spec.name)
    if (entry) {
      const replaced = JSON.stringify(entry.spec.transport) !== JSON.stringify(spec.transport)
      entry.spec = spec
      if (replaced && entry.freshness === 'fresh') entry.freshness = 'stale'
      return
    }
    const fresh: Entry = {
      spec,
      listing: undefined,
      freshness: 'unknown',
      complaints: [],
      settled: Promise.withResolvers(),
      source: undefined,
      refreshing: false,
      due: new Set(),
    }
    this.#entries.set(spec.name, fresh)
    const listing = await this.#deps.store.load(spec)
    if (!listing || fresh.listing) return
    fresh.listing = listing
    fresh.freshness = 'stale'
    fresh.settled.resolve()
  }

  listing(server: string): Listing | undefined {
    return this.#entries.get(server)?.listing
  }

  freshness(server: string): Entry['freshness'] {
    return this.#entries.get(server)?.freshness ?? 'unknown'
  }

  complaints(server: string): readonly string[] {
    return this.#entries.get(server)?.complaints ?? []
  }

  /** The server is up: read everything it has. */
  serverUp(server: string, upstream: Upstream): void {
    this.#refresh(server, upstream, LIST_KINDS)
  }

  /** The server announced a change of these lists. */
  listChanged(server: string, upstream: Upstream, kinds: readonly ListKind[]): void {
    const source = this.#entries.get(server)?.source
    // A replaced process that finishes its last calls has no say any more; another replica has, once the one that was read is gone.
    if (source === upstream || source?.ended) this.#refresh(server, upstream, kinds)
  }

  /** The server is down: what it showed last stays, marked stale; nobody waits for it any longer. */
  serverDown(server: string): void {
    const entry = this.#entries.get(server)
    if (!entry) return
    entry.settled.resolve()
    if (entry.freshness !== 'fresh') return
    entry.freshness = 'stale'
    this.#endpoints.clear()
  }

  /**
   * What an endpoint shows to someone with these rights.
   * @throws HubError `endpoint.unknown` or `access.denied`
   */
  endpoint(name: EndpointName, rights: Rights): Endpoint {
    const key = this.#cacheKey(name, rights)
    const cached = this.#endpoints.get(key)
    if (cached) return cached
    const scope = resolveEndpoint(name, this.#settings, rights)
    const view = buildView(scope, (server) => this.listing(server), this.#settings.nameSeparator)
    const lists = new Map<ListKind, Buffer>()
    const endpoint: Endpoint = {
      scope,
      view,
      list: (kind) => {
        const bytes = lists.get(kind) ?? this.#listResult(view, kind)
        lists.set(kind, bytes)
        return bytes
      },
    }
    for (const warning of view.warnings) this.#deps.log.warn({ endpoint: key }, warning)
    if (this.#endpoints.size >= MAX_ENDPOINTS) this.#endpoints.clear()
    this.#endpoints.set(key, endpoint)
    return endpoint
  }

  hello(scope: EndpointScope, protocolVersion: string): ServerHello | undefined {
    return endpointHello(scope, (server) => this.listing(server), protocolVersion)
  }

  /** Whether every server of the scope has shown its lists, now or in an earlier run. */
  isKnown(scope: EndpointScope): boolean {
    return serversOf(scope).every((name) => this.listing(name) !== undefined)
  }

  /** Waits, up to a bound, until each server of the scope has shown its lists at least once or has failed. */
  async firstLook(scope: EndpointScope): Promise<void> {
    const open = serversOf(scope).flatMap((name) => {
      const entry = this.#entries.get(name)
      return entry?.freshness === 'unknown' ? [entry.settled.promise] : []
    })
    if (open.length === 0) return
    await within(this.#deps.clock, this.#deps.firstLookMs, Promise.all(open), () => [])
  }

  /** Endpoints are kept apart by all that decides what they show: nobody is ever given what was made for another. */
  #cacheKey(name: EndpointName, { scope, viewer }: Rights): string {
    // A name as it came costs nothing to look up; no path holds a zero byte.
    const endpoint = name.kind === 'all' ? '' : name.kind === 'named' ? name.name : `\0${name.name}`
    if (scope.kind === 'all' && viewer === undefined) return endpoint
    return `${this.#scopeKey(scope)}\0${viewer === undefined ? '' : `@${viewer}`}\0${endpoint}`
  }

  /** Made once for each scope: this is asked with every request. */
  #scopeKey(scope: KeyScope): string {
    const known = this.#scopeKeys.get(scope)
    if (known !== undefined) return known
    const key = JSON.stringify(scopeToJson(scope))
    this.#scopeKeys.set(scope, key)
    return key
  }

  #listResult(view: View, kind: ListKind): Buffer {
    const stale = [...view.servers.keys()].filter((server) => this.freshness(server) === 'stale')
    const items = view.lists[kind]
    return jsonBytes({
      [LISTS[kind].member]: items,
      ...(stale.length > 0 ? { _meta: { 'flotilla/stale': stale } } : {}),
    })
  }

  #refresh(server: string, upstream: Upstream, kinds: readonly ListKind[]): void {
    const entry = this.#entries.get(server)
    if (!entry) return
    entry.source = upstream
    for (const kind of kinds) entry.due.add(kind)
    if (entry.refreshing) return
    entry.refreshing = true
    this.#deps.tasks.run(`refresh ${server}`, (signal) =>
      this.#readUntilQuiet(entry, signal).finally(() => {
        entry.refreshing = false
      }),
    )
  }

  async #readUntilQuiet(entry: Entry, signal: AbortSignal): Promise<void> {
    for (let round = 0; entry.source && entry.due.size > 0 && !signal.aborted; round += 1) {
      if (round > 0) await sleep(this.#deps.clock, BURST_MS, signal)
      const kinds = LIST_KINDS.filter((kind) => entry.due.has(kind))
      const { source } = entry
      entry.due.clear()
      try {
        const { listing, complaints } = await readLists(source, entry.spec.call, kinds, entry.listing)
        // It may have been removed while we read.
        if (this.#entries.get(entry.spec.name) === entry) this.#take(entry, listing, complaints)
      } catch (error) {
        // The server went away while we read; when it is back, `serverUp` has us read everything.
        if (!(error instanceof HubError)) throw error
        this.#deps.log.debug(
          { err: error, server: entry.spec.name },
          'the lists of a server could not be read',
        )
        if (entry.source === source) entry.source = undefined
      }
    }
  }

  #take(entry: Entry, listing: Listing, complaints: readonly string[]): void {
    const before = entry.listing
    const wasStale = entry.freshness === 'stale'
    entry.listing = listing
    entry.freshness = 'fresh'
    entry.complaints = complaints
    entry.settled.resolve()
    const { spec } = entry
    for (const complaint of complaints) this.#deps.log.warn({ server: spec.name }, complaint)
    const changed = LIST_KINDS.filter(
      (kind) => JSON.stringify(before?.[kind] ?? []) !== JSON.stringify(listing[kind]),
    )
    const helloChanged = JSON.stringify(before?.hello) !== JSON.stringify(listing.hello)
    if (changed.length > 0 || helloChanged || wasStale) this.#endpoints.clear()
    if (changed.length > 0 || helloChanged) this.#deps.store.save(spec, listing)
    if (changed.length > 0) this.#deps.onChange(spec.name, changed)
    this.#deps.onRead(spec.name)
  }
}

function serversOf(scope: EndpointScope): readonly string[] {
  return scope.kind === 'server' ? [scope.spec.name] : scope.members.map((member) => member.server)
}
