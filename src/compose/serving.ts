import { join } from 'node:path'
import type { Keyring } from '../access/keyring.ts'
import type { OriginPolicy } from '../access/origin.ts'
import type { StickySettings } from '../domain/cluster-settings.ts'
import type { HubSettings, ServerSpec } from '../domain/server-spec.ts'
import type { ListingStore } from '../gateway/catalog/catalogs.ts'
import { readListing } from '../gateway/catalog/listing.ts'
import type { CallLog } from '../gateway/dispatch/call-log.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { JsonCache } from '../state/json-cache/json-cache.ts'
import type { Harmless } from '../upstream/upstream.ts'
import { Drivers } from './drivers.ts'
import { localFleet, type MakeFleet, type RunningDeps } from './fleet.ts'
import { Hub, type HubDeps, type HubTuning } from './hub.ts'

export interface ServingDeps {
  readonly settings: HubSettings
  readonly dataDir: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly tuning: HubTuning & { readonly initTimeoutMs: number }
  readonly originPolicy: OriginPolicy
  readonly keyring: Keyring
  readonly callLog: CallLog
  readonly trustedProxies: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly other: HubDeps['other']
  /** Where the servers run; on this machine if nothing is said. */
  readonly fleet?: (running: RunningDeps) => MakeFleet
  readonly sticky?: StickySettings
  readonly harmless: Harmless
}

/** The hub with what it needs on this machine: its processes' guardian and the lists that outlive it. */
export class Serving {
  readonly hub: Hub
  /** Resolves when every server has shown its lists or failed once. */
  readonly settled: Promise<void>
  readonly #cache: JsonCache
  readonly #drivers: Drivers
  /** Servers that have neither shown their lists nor failed yet. */
  readonly #open: Set<string>
  readonly #settle: () => void

  constructor(deps: ServingDeps) {
    const { settings, random, log, environment, tuning, clock, harmless } = deps
    this.#drivers = new Drivers({
      random,
      log,
      environment,
      clock,
      harmless,
      initTimeoutMs: tuning.initTimeoutMs,
    })
    this.#cache = new JsonCache(join(deps.dataDir, 'catalog'), log)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.settled = promise
    this.#settle = resolve
    this.#open = new Set(
      [...settings.servers.values()].filter(({ enabled }) => enabled).map(({ name }) => name),
    )
    const { factory } = this.#drivers
    this.hub = new Hub({
      ...deps,
      store: listingStore(this.#cache),
      factory,
      fleet: (deps.fleet ?? localFleet)({ tuning, clock, random, log, factory }),
      onServerState: (server) => this.#look(server),
    })
    this.checkSettled()
  }

  /** To be called when servers may have been removed. */
  checkSettled(): void {
    const { servers } = this.hub.insight.settings()
    for (const name of this.#open) if (!servers.get(name)?.enabled) this.#open.delete(name)
    if (this.#open.size === 0) this.#settle()
  }

  async close(): Promise<void> {
    await this.#cache.close()
    await this.#drivers.close()
  }

  #look(server: string): void {
    const { insight } = this.hub
    const down = insight.report(server)?.state.kind === 'failed'
    if (down || insight.freshness(server) === 'fresh') this.#open.delete(server)
    this.checkSettled()
  }
}

/** Listings under the name of their server, valid as long as it is started or reached in the same way. */
function listingStore(cache: JsonCache): ListingStore {
  const fingerprint = ({ transport }: ServerSpec) =>
    JSON.stringify(transport.kind === 'stdio' ? [transport.command, transport.args] : [transport.url])
  return {
    load: async (spec) => readListing(await cache.load(spec.name, fingerprint(spec))),
    save: (spec, listing) => cache.save(spec.name, fingerprint(spec), listing),
  }
}
