import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { LOOPBACK_NAMES, type OriginPolicy } from '../access/origin.ts'
import { HubError, toHubError } from '../domain/errors.ts'
import type { HubSettings, ServerSpec } from '../domain/server-spec.ts'
import type { ListingStore } from '../gateway/catalog/catalogs.ts'
import { readListing } from '../gateway/catalog/listing.ts'
import { refuseConnection } from '../gateway/front/http.ts'
import { DEFAULT_BACKOFF } from '../kernel/backoff.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { JsonCache } from '../state/json-cache/json-cache.ts'
import { isMissing, type SettingsChange, SettingsFile } from '../state/settings/file-source.ts'
import { interpretSettings } from '../state/settings/interpret.ts'
import { Guardian } from '../upstream/stdio/guardian.ts'
import { upstreamFactory } from './drivers.ts'
import { exampleSettings } from './example.ts'
import { Hub, type HubTuning } from './hub.ts'

export interface StandaloneOptions {
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly settingsPath: string
  /** Whether the settings file may be missing; then the bundled example is served. */
  readonly settingsOptional: boolean
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly tuning?: Partial<HubTuning> & { readonly initTimeoutMs?: number }
}

export interface StandaloneDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export const DEFAULT_TUNING: HubTuning & { readonly initTimeoutMs: number } = {
  startConcurrency: 8,
  backoff: DEFAULT_BACKOFF,
  waitForServerMs: 10_000,
  drainMs: 60_000,
  firstLookMs: 5_000,
  maxSessions: 100_000,
  // npx may first have to download the server.
  initTimeoutMs: 300_000,
}

/** A running standalone hub. */
export class Standalone {
  readonly hub: Hub
  readonly example: boolean
  readonly settings: HubSettings
  /** Resolves when every server has shown its lists or failed once. */
  readonly settled: Promise<void>
  readonly #server: Server
  readonly #deps: StandaloneDeps
  readonly #file: SettingsFile
  readonly #closers: (() => Promise<void>)[]
  #stopped: Promise<void> | undefined

  /**
   * Reads the settings, starts listening, then starts the servers.
   * @throws HubError for settings that cannot be used and for an address that cannot be listened on
   */
  static async start(options: StandaloneOptions, deps: StandaloneDeps): Promise<Standalone> {
    const { log } = deps
    const source = await loadSettings(options, deps.clock)
    const { settings, warnings } = interpretSettings(source.text, options.settingsPath, options.environment)
    for (const warning of warnings) log.warn({}, warning)
    const loopback = isLoopback(options.host)
    if (!loopback) requireKeys(options.host, settings)
    const parts = makeHub(options, deps, settings, loopback)
    const server = createServer((request, response) => parts.hub.handle(request, response))
    server.on('clientError', refuseConnection)
    // Clients keep connections between calls; closing them early would make calls fail that race with it.
    server.keepAliveTimeout = 75_000
    await listen(server, options)
    log.info({}, 'Running in standalone mode')
    await parts.hub.start()
    const reload = new Reload(options, parts, log, { settings, example: source.example })
    source.file.watch((change) => reload.take(change))
    return new Standalone(parts, server, deps, { settings, example: source.example }, source.file)
  }

  private constructor(
    parts: HubParts,
    server: Server,
    deps: StandaloneDeps,
    facts: { settings: HubSettings; example: boolean },
    file: SettingsFile,
  ) {
    this.hub = parts.hub
    this.settled = parts.settled
    this.settings = facts.settings
    this.example = facts.example
    this.#server = server
    this.#deps = deps
    this.#file = file
    this.#closers = [() => parts.cache.close(), () => parts.guardian.close()]
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Refuses new work, lets calls in flight finish for up to `graceMs`, ends everything. Safe to call twice. */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs)
    return this.#stopped
  }

  async #stop(graceMs: number): Promise<void> {
    const { clock } = this.#deps
    this.hub.refuseNewSessions()
    // Settings that came later would start servers in a hub that ends.
    await this.#file.close()
    const deadline = clock.monotonic() + graceMs
    while (this.hub.busy && clock.monotonic() < deadline) await sleep(clock, 20)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    await this.hub.close()
    this.#server.closeIdleConnections()
    // Answers that are being written get a moment; whoever does not read them does not hold us up.
    await Promise.race([closed, sleep(clock, 1_000)])
    this.#server.closeAllConnections()
    for (const close of this.#closers) await close()
  }
}

interface HubParts {
  readonly hub: Hub
  readonly cache: JsonCache
  readonly guardian: Guardian
  readonly settled: Promise<void>
  /** To be called when servers may have been removed. */
  checkSettled(): void
}

function makeHub(
  options: StandaloneOptions,
  deps: StandaloneDeps,
  settings: HubSettings,
  loopback: boolean,
): HubParts {
  const { clock, random, log } = deps
  const tuning = { ...DEFAULT_TUNING, ...options.tuning }
  const mark = random.id(96)
  const guardian = new Guardian(mark, log)
  const cache = new JsonCache(join(options.dataDir, 'catalog'), log)
  let processes = 0
  const nextProcess = () => {
    processes += 1
    return processes
  }
  const { environment } = options
  const drivers = {
    clock,
    log,
    guardian,
    mark,
    nextProcess,
    environment,
    initTimeoutMs: tuning.initTimeoutMs,
  }
  const open = new Set([...settings.servers.values()].filter((spec) => spec.enabled).map((spec) => spec.name))
  const { promise: settled, resolve } = Promise.withResolvers<void>()
  const checkSettled = () => {
    const { servers } = hub.insight.settings()
    for (const name of open) if (!servers.get(name)?.enabled) open.delete(name)
    if (open.size === 0) resolve()
  }
  const hub = new Hub({
    settings,
    store: listingStore(cache),
    clock,
    random,
    log,
    tuning,
    originPolicy: originPolicy(options, loopback),
    openWithoutKeys: loopback,
    factory: (spec) => upstreamFactory(spec, drivers),
    onServerState: (server) => {
      const down = hub.insight.report(server)?.state.kind === 'failed'
      if (down || hub.insight.freshness(server) === 'fresh') open.delete(server)
      checkSettled()
    },
  })
  checkSettled()
  return { hub, cache, guardian, settled, checkSettled }
}

function originPolicy(options: StandaloneOptions, loopback: boolean): OriginPolicy {
  const named = options.allowedHosts.map((host) => host.toLowerCase())
  const known = loopback || named.length > 0
  return {
    hosts: known ? new Set([...LOOPBACK_NAMES, hostHeaderOf(options.host), ...named]) : undefined,
    origins: new Set(options.allowedOrigins),
  }
}

/** An address as it stands in a Host header: IPv6 in brackets (RFC 3986 §3.2.2). */
function hostHeaderOf(host: string): string {
  return (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host).toLowerCase()
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

interface SettingsSource {
  readonly file: SettingsFile
  readonly text: string
  readonly example: boolean
}

async function loadSettings(options: StandaloneOptions, clock: Clock): Promise<SettingsSource> {
  const file = new SettingsFile(options.settingsPath, clock)
  try {
    return { file, text: await file.read(), example: false }
  } catch (error) {
    if (!isMissing(error) || !options.settingsOptional) throw error
    return { file, text: await exampleSettings(options.dataDir), example: true }
  }
}

/** Puts changed settings into force, or says why the last good ones stay. One change at a time. */
class Reload {
  readonly #options: StandaloneOptions
  readonly #parts: HubParts
  readonly #log: Logger
  #example: boolean
  /** Whether keys have guarded the endpoints since the start. */
  #guarded: boolean

  constructor(
    options: StandaloneOptions,
    parts: HubParts,
    log: Logger,
    { settings, example }: { settings: HubSettings; example: boolean },
  ) {
    this.#options = options
    this.#parts = parts
    this.#log = log
    this.#example = example
    this.#guarded = isGuarded(settings)
  }

  /** Never rejects. */
  async take(change: SettingsChange): Promise<void> {
    // As long as the example is served there need not be a file.
    if (this.#example && 'error' in change) return
    try {
      if ('error' in change) throw change.error
      await this.#apply(change.text)
    } catch (error) {
      const { message, cure } = toHubError(error)
      const what = `the changed settings are not used, the last good ones stay in force: ${message}`
      this.#log.error({ cure }, what)
    }
  }

  async #apply(text: string): Promise<void> {
    const { host, settingsPath, environment } = this.#options
    const { settings, warnings } = interpretSettings(text, settingsPath, environment, 'refused')
    if (!isLoopback(host)) requireKeys(host, settings)
    else if (this.#guarded) requireGuard(settings)
    for (const warning of warnings) this.#log.warn({}, warning)
    this.#example = false
    this.#guarded ||= isGuarded(settings)
    await this.#parts.hub.apply(settings)
    this.#parts.checkSettled()
    this.#log.info({ servers: settings.servers.size }, 'the changed settings are in force')
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function isGuarded(settings: HubSettings): boolean {
  return settings.keys.length > 0 && settings.bearerAuth
}

/** Where keys have guarded the endpoints, a file that lost them is an accident more often than a wish. */
function requireGuard(settings: HubSettings): void {
  if (settings.keys.length > 0 || !settings.bearerAuth) return
  throw new HubError(
    'settings.invalid',
    'Without the last key every server would be open to every program on this machine.',
    {
      cure: 'If that is wanted, set "enableBearerAuth" to false in systemConfig.routing, or restart the hub.',
    },
  )
}

function requireKeys(host: string, settings: HubSettings): void {
  if (isGuarded(settings)) return
  throw new HubError(
    'settings.invalid',
    `Listening on ${host} would open every server to the network: there is no key.`,
    {
      cure:
        settings.keys.length > 0
          ? 'Remove "enableBearerAuth": false from systemConfig.routing, or listen on 127.0.0.1.'
          : 'Add a key to "bearerKeys" in the settings, or listen on 127.0.0.1.',
    },
  )
}

function listen(server: Server, { host, port }: StandaloneOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program listens there' : cause.message
      reject(
        new HubError('internal', `The hub cannot listen on ${host}:${port}: ${why}.`, {
          cause,
          cure: 'Choose another port with PORT or --port.',
        }),
      )
    })
    server.listen(port, host, () => resolve())
  })
}
