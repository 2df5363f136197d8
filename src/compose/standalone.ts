import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Keyring } from '../access/keyring.ts'
import type { SetupOutcome } from '../access/setup.ts'
import { type Api, createApi } from '../api/server.ts'
import { type ClusterSettings, STANDALONE } from '../domain/cluster-settings.ts'
import { HubError, toHubError } from '../domain/errors.ts'
import { isLoopback } from '../domain/loopback.ts'
import type { HubSettings } from '../domain/server-spec.ts'
import type { CallLog } from '../gateway/dispatch/call-log.ts'
import { ClientAddresses } from '../gateway/front/client-addresses.ts'
import { refuseConnection } from '../gateway/front/http.ts'
import { DEFAULT_BACKOFF } from '../kernel/backoff.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { RecordIds } from '../observability/activity/ids.ts'
import type { LogLines } from '../observability/log-lines.ts'
import type { Redactor } from '../observability/redaction.ts'
import type { CheckedSettings } from '../state/settings/settings-checker.ts'
import { SettingsInForce } from '../state/settings/settings-in-force.ts'
import { SettingsService } from '../state/settings/settings-service.ts'
import { ActivityLog } from './activity.ts'
import { tokensOf } from './cluster/facts.ts'
import { Role } from './cluster/role.ts'
import { Guard } from './guard.ts'
import { httpServer, speaksTls } from './http-server.ts'
import type { Hub, HubTuning } from './hub.ts'
import { KnownSecrets } from './known-secrets.ts'
import { listen, originPolicy } from './listen.ts'
import { migrationOf } from './migration.ts'
import { nodeId } from './node-id.ts'
import { People } from './people.ts'
import { secretsOf } from './secrets-of.ts'
import { servicesOf } from './services.ts'
import { Serving } from './serving.ts'
import { setupPage } from './setup-page.ts'
import { isSwitchedOn, ownSecrets, readPublicUrl, trustedProxies } from './start-options.ts'
import { openState } from './state.ts'

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
  /** Whether the hub is the coordinator of a cluster; if nothing is said, it is alone. */
  readonly cluster?: ClusterSettings
  readonly tuning?: Partial<HubTuning> & { readonly initTimeoutMs?: number }
}

export interface StandaloneDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Is told every secret that must not show up in logs and records. */
  readonly redactor: Redactor
  /** The last lines of the log. */
  readonly logs: LogLines
  /** In the place of the hub's own record of tool calls: for measuring what that costs. */
  readonly callLog?: CallLog
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

/** How long to wait at the start for a database that is away, ms. */
const WAIT_FOR_DATABASE_MS = 60_000
const RECONCILE_RETRY_MS = 5_000

/** A running standalone hub. */
export class Standalone {
  readonly hub: Hub
  /** Whether the bundled example is served, because there are no settings. */
  readonly example: boolean
  /** How the first admin came to be, or is to be made. */
  readonly setup: SetupOutcome
  /** Resolves when every server has shown its lists or failed once. */
  readonly settled: Promise<void>
  readonly #parts: Parts
  #stopped: Promise<void> | undefined

  /**
   * Opens the databases, reads the settings, starts listening, then starts the servers.
   * @throws HubError for settings that cannot be used, a database that is away, and an address that cannot be listened on
   */
  static async start(options: StandaloneOptions, deps: StandaloneDeps): Promise<Standalone> {
    await using opening = new AsyncDisposableStack()
    const parts = await open(options, deps, opening)
    await listen(parts.server, options)
    await parts.serving.hub.start()
    if (parts.role.coordinator) parts.role.coordinator.start()
    else deps.log.info({}, 'Running in standalone mode')
    parts.tasks.run('look after changed settings', (signal) => parts.inForce.watch(signal))
    parts.activity.start()
    return new Standalone(parts, opening.move())
  }

  private constructor(parts: Parts, opened: AsyncDisposableStack) {
    this.#parts = parts
    this.#opened = opened
    this.hub = parts.serving.hub
    this.settled = parts.serving.settled
    this.example = parts.example
    this.setup = parts.setup
  }

  readonly #opened: AsyncDisposableStack

  /** `https` where the hub's own port speaks TLS. */
  get scheme(): 'http' | 'https' {
    return this.#parts.secure ? 'https' : 'http'
  }

  get port(): number {
    return (this.#parts.server.address() as AddressInfo).port
  }

  /** The settings in force. */
  get settings(): HubSettings {
    return this.hub.insight.settings()
  }

  /** Whether clients must show a key. */
  get guarded(): boolean {
    return !this.#parts.keyring.open
  }

  /** Refuses new work, lets calls in flight finish for up to `graceMs`, ends everything. Safe to call twice. */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs)
    return this.#stopped
  }

  async #stop(graceMs: number): Promise<void> {
    const { clock, server, tasks } = this.#parts
    this.hub.refuseNewSessions()
    // Settings that came later would start servers in a hub that ends.
    await tasks.close()
    const deadline = clock.monotonic() + graceMs
    while (this.hub.busy && clock.monotonic() < deadline) await sleep(clock, 20)
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    await this.hub.close()
    server.closeIdleConnections()
    // Answers that are being written get a moment; whoever does not read them does not hold us up.
    await Promise.race([closed, sleep(clock, 1_000)])
    server.closeAllConnections()
    await this.#opened.disposeAsync()
  }
}

interface Parts {
  readonly server: Server
  readonly secure: boolean
  readonly serving: Serving
  readonly role: Role
  readonly keyring: Keyring
  readonly inForce: SettingsInForce
  readonly activity: ActivityLog
  readonly tasks: TaskGroup
  readonly clock: Clock
  readonly example: boolean
  readonly setup: SetupOutcome
}

/** Makes all parts of the hub and gives them to `opening` in the order in which they need each other. */
async function open(
  options: StandaloneOptions,
  deps: StandaloneDeps,
  opening: AsyncDisposableStack,
): Promise<Parts> {
  const { host, dataDir, settingsPath, settingsOptional, environment, cluster = STANDALONE } = options
  const { clock, random, log, redactor } = deps
  const loopback = isLoopback(host)
  const proxies = trustedProxies(environment)
  const publicUrl = readPublicUrl(environment['FRONTEND_BASE_URL'])
  const keyring = new Keyring({ openWithoutKeys: loopback, stored: true, clock })
  const hasStoredKeys = () => keyring.keys.some(({ origin }) => origin === 'api')
  let hasUsers = false
  const guard = new Guard(host, () => hasUsers || hasStoredKeys())
  const state = await openState(
    { dataDir, settingsPath, settingsOptional, environment, waitMs: WAIT_FOR_DATABASE_MS },
    { clock, random, log, validate: ({ settings }) => guard.check(settings) },
  )
  opening.defer(() => state.storage.close())

  const sessionSecret = (await state.secrets.get('SESSION_SECRET')).value
  const secrets = new KnownSecrets(redactor, [
    sessionSecret,
    ...tokensOf(cluster),
    ...(await ownSecrets(state, environment)),
  ])
  let current: CheckedSettings | undefined
  let hub: Hub | undefined
  const people = new People({
    storage: state.storage,
    keyring,
    sessionSecret,
    adminPassword: environment['ADMIN_PASSWORD'] || undefined,
    readOnly: isSwitchedOn(environment['READ_ONLY'] ?? environment['READONLY']),
    ownOrigins: new Set([...options.allowedOrigins, ...(publicUrl ? [publicUrl.origin] : [])]),
    behindProxy: proxies > 0,
    overTls: speaksTls(cluster),
    clock,
    random,
    log,
    bearerHeader: () => current?.settings.bearerHeader ?? 'Authorization',
    accessChanged: () => hub?.accessChanged(),
  })
  opening.defer(() => people.close())
  await people.start()
  hasUsers = Boolean(environment['ADMIN_PASSWORD']) || !(await people.users.isEmpty())

  const tasks = new TaskGroup(log)
  opening.defer(() => tasks.close())
  const migration = migrationOf(state, { declared: people.declared, environment, clock, log })
  const inForce = new SettingsInForce({
    home: state.home,
    checker: state.checker,
    clock,
    log,
    onChange: (next) => apply(next),
  })
  const first = await inForce.start()
  secrets.add(secretsOf(first))
  for (const warning of first.warnings) log.warn({}, warning)
  await people.declared.reconcile(first.settings.users)
  const setup = await people.setup.begin()
  hasUsers ||= setup.kind !== 'link'

  const role = await Role.of({ ...options, settings: cluster }, { clock, random, log })
  opening.defer(() => role.coordinator?.close())
  const node = role.coordinator?.self.id ?? (await nodeId(dataDir, random))
  const activity = new ActivityLog({
    store: state.storage.activity,
    redactor,
    dataDir,
    node,
    environment,
    clock,
    random,
    log,
    rules: () => (current ?? first).settings.activity,
  })
  opening.defer(() => activity.close())

  const addresses = new ClientAddresses(proxies)
  const page = setupPage()
  let api: Api | undefined
  const serving = new Serving({
    settings: role.shown(first.settings),
    dataDir,
    environment,
    ...(role.coordinator ? { fleet: role.coordinator.fleet, sticky: role.coordinator.settings.sticky } : {}),
    tuning: { ...DEFAULT_TUNING, ...options.tuning },
    originPolicy: originPolicy({ ...options, publicUrl }),
    keyring,
    callLog: deps.callLog ?? activity.calls,
    trustedProxies: proxies,
    clock,
    random,
    log,
    harmless: (text, longest) => redactor.redactStart(text, longest),
    other: (request, response) => (isPage(request) ? page(response) : api?.handle(request, response)),
  })
  opening.defer(() => serving.close())
  hub = serving.hub
  role.serve(hub, first.settings)
  const settings = new SettingsService({
    home: state.home,
    revisions: state.storage.revisions,
    checker: state.checker,
    inForce,
    box: state.box,
    variables: environment,
    clock,
  })
  const ids = new RecordIds(clock, random)
  const port = role.port(hub, () => inForce.revision)
  api = await createApi({
    services: servicesOf({
      ...state,
      hub,
      people,
      settings,
      inForce,
      logs: deps.logs,
      node,
      knownSecrets: secrets,
      ...(port ? { cluster: port } : {}),
    }),
    hub: hub.insight,
    recorder: activity.recorder,
    clock,
    random,
    log,
    uuid: () => ids.next(),
    harmless: (text) => redactor.hideKnown(text),
    clientIp: (request) => addresses.of(request).ip,
  })
  opening.defer(() => api.close())
  note(first)
  people.keys.declared()

  function note(next: CheckedSettings): void {
    current = next
    secrets.add(secretsOf(next))
    guard.passed(next.settings)
  }

  async function apply(next: CheckedSettings): Promise<void> {
    note(next)
    await role.apply(next.settings)
    people.keys.declared()
    serving.checkSettled()
    tasks.run('users of the settings', (signal) => reconcileUsers(people, next.settings, { clock, signal }))
    if (state.dualWrite) await migration.mirror(next.document)
  }

  const server = await httpServer(cluster, deps)
  server.on('request', (request, response) => serving.hub.handle(request, response))
  const { coordinator } = role
  if (coordinator)
    server.on('upgrade', (request, socket, head) => {
      if (coordinator.handles(request)) coordinator.upgrade(request, socket, head)
      else refuseConnection(new HubError('request.invalid', 'Nothing else is spoken here but HTTP.'), socket)
    })
  server.on('clientError', refuseConnection)
  // Clients keep connections between calls; closing them early would make calls fail that race with it.
  server.keepAliveTimeout = 75_000
  const secure = speaksTls(cluster)
  const { example } = state
  return { server, secure, serving, role, keyring, inForce, activity, tasks, clock, example, setup }
}

/** Again and again while the database is away: the settings are in force already. */
async function reconcileUsers(
  people: People,
  { users }: HubSettings,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await people.declared.reconcile(users)
    } catch (error) {
      if (toHubError(error).code !== 'storage.unavailable') throw error
      await sleep(clock, RECONCILE_RETRY_MS, signal)
    }
  }
}

function isPage(request: IncomingMessage): boolean {
  return /^\/setup(\?|$)/.test(request.url ?? '')
}
