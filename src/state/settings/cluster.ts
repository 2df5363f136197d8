import { AFFINITY_STRATEGIES, BALANCE_STRATEGIES } from '../../domain/cluster.ts'
import { type ClusterSettings, STANDALONE, type StickySettings } from '../../domain/cluster-settings.ts'
import type { ClusterKey } from './cluster-places.ts'
import { ClusterReader } from './cluster-reader.ts'
import type { ClusterOrigin, ClusterSources } from './cluster-source.ts'
import { checkTls, readTls } from './cluster-tls.ts'
import { readClusterToken, readOldTokens } from './cluster-token.ts'
import {
  isWildcard,
  oneOf,
  type Role,
  readHost,
  readLabels,
  readName,
  readNodeId,
  readReachableHost,
  readRole,
  readRunsServers,
  readSwitch,
  readToken,
  readUrls,
  readWeight,
  wholeNumber,
} from './cluster-values.ts'

export type { ClusterFlags, ClusterKey } from './cluster-places.ts'
export type { ClusterOrigin, ClusterSources } from './cluster-source.ts'

/** The cluster settings of a node, and where each of them came from. */
export interface ClusterReading {
  readonly settings: ClusterSettings
  readonly origins: ReadonlyMap<ClusterKey, ClusterOrigin>
  /** What is odd but no reason to refuse, as sentences. */
  readonly warnings: readonly string[]
}

/** Timers cannot wait longer. */
const LONGEST_MS = 2_147_483_647
const DAY_MS = 86_400_000

/**
 * How this node takes part in a cluster. Flags count before the environment, that before the document, each value for itself.
 * @throws HubError `settings.invalid` that names the flag, the variable or the path; `secret.unreadable`
 */
export function readClusterSettings(sources: ClusterSources): ClusterReading {
  const reader = new ClusterReader(sources)
  const role = readEnabledRole(reader, { ...sources, whole: true })
  const settings = readRest(reader, sources, role, true)
  checkWhole(reader, settings)
  return { settings, origins: reader.origins, warnings: reader.warnings }
}

/**
 * Checks what a document says of the cluster. Flags are not known here, so nothing is missed that may be given there.
 * @throws HubError as `readClusterSettings` does
 */
export function checkClusterDocument(sources: Omit<ClusterSources, 'flags'>): ClusterReading {
  const reader = new ClusterReader(sources)
  const role = readEnabledRole(reader, { ...sources, whole: false })
  const settings = readRest(reader, sources, role, false)
  return { settings, origins: reader.origins, warnings: reader.warnings }
}

function readEnabledRole(reader: ClusterReader, { flags, whole }: ClusterSources & { whole: boolean }): Role {
  const alone: Role = { role: 'standalone', calledMaster: false }
  const asked = flags?.role !== undefined
  const enabled = reader.read('enabled', readSwitch, false) || asked
  if (asked) reader.origins.set('enabled', { origin: 'flag', name: '--role' })
  reader.strict = enabled
  reader.attempt(() => reader.source.requireObjects())
  const role = reader.optional('role', readRole)
  if (enabled && role) {
    reader.strict = role.role !== 'standalone'
    return role
  }
  const named = reader.noted('role')
  if (!enabled && named && whole && !reader.noted('enabled') && role?.role !== 'standalone')
    reader.warnings.push(
      `${named.origin.name} gives this node a role, but the cluster is not enabled, so it runs alone. Set CLUSTER_ENABLED=true or "enabled": true.`,
    )
  const found = reader.noted('enabled')
  if (enabled && whole && found)
    throw reader.source.wrong(
      found,
      'the cluster is enabled, but nothing says as what this node takes part in it',
      'Set CLUSTER_ROLE, --role or "role" ("mode") to "coordinator" or "worker".',
    )
  return alone
}

function readRest(
  reader: ClusterReader,
  sources: ClusterSources,
  role: Role,
  whole: boolean,
): ClusterSettings {
  const ms = (least: number, most = LONGEST_MS) => wholeNumber(least, most, ' milliseconds')
  const listen = {
    host: reader.optional('listen.host', readHost),
    port: reader.optional('listen.port', wholeNumber(0, 65_535)),
  }
  const isCoordinator = role.role === 'coordinator'
  const settings: ClusterSettings = {
    ...role,
    nodeId: reader.optional('nodeId', readNodeId),
    nodeName: reader.optional('nodeName', readName),
    labels: reader.read('labels', readLabels, STANDALONE.labels),
    weight: reader.read('weight', readWeight, STANDALONE.weight),
    maxServers: reader.optional('maxServers', wholeNumber(0, 10_000)),
    runsServers: reader.read('runsServers', readRunsServers, isCoordinator ? 'auto' : true),
    // A worker that knows where its master listens knows where to go, and listens elsewhere itself.
    listen: role.role === 'worker' ? STANDALONE.listen : listen,
    advertise: {
      host: reader.optional('advertise.host', readReachableHost),
      port: reader.optional('advertise.port', wholeNumber(1, 65_535)),
    },
    coordinators: readCoordinators(reader, role, listen),
    registerOnStartup: reader.read('registerOnStartup', readSwitch, STANDALONE.registerOnStartup),
    token: readClusterToken(reader, sources, whole),
    oldTokens: reader.read('oldTokens', readOldTokens, STANDALONE.oldTokens),
    tls: readTls(reader),
    heartbeatIntervalMs: reader.read('heartbeatIntervalMs', ms(10, DAY_MS), STANDALONE.heartbeatIntervalMs),
    heartbeatTimeoutMs: reader.read('heartbeatTimeoutMs', ms(20, DAY_MS), STANDALONE.heartbeatTimeoutMs),
    cleanupIntervalMs: reader.read('cleanupIntervalMs', ms(10), STANDALONE.cleanupIntervalMs),
    linkGraceMs: reader.read('linkGraceMs', ms(0), STANDALONE.linkGraceMs),
    balance: reader.read('balance', oneOf(BALANCE_STRATEGIES), STANDALONE.balance),
    sticky: readSticky(reader, ms(1)),
  }
  checkHeartbeat(reader, settings)
  if (role.role !== 'standalone') checkTls(reader, settings)
  return settings
}

function readSticky(reader: ClusterReader, timeout: ReturnType<typeof wholeNumber>): StickySettings {
  const { sticky } = STANDALONE
  return {
    enabled: reader.read('sticky.enabled', readSwitch, sticky.enabled),
    strategy: reader.read('sticky.strategy', oneOf(AFFINITY_STRATEGIES), sticky.strategy),
    cookieName: reader.read('sticky.cookieName', readToken, sticky.cookieName),
    headerName: reader.read('sticky.headerName', readToken, sticky.headerName),
    timeoutMs: reader.read('sticky.timeoutMs', timeout, sticky.timeoutMs),
  }
}

/** A worker may name its master by host and port, as the documents describe `master.host` too. */
function readCoordinators(
  reader: ClusterReader,
  { role }: Role,
  { host, port }: ClusterSettings['listen'],
): readonly string[] {
  const urls = reader.read('coordinators', readUrls, STANDALONE.coordinators)
  const found = reader.noted('listen.host')
  if (role !== 'worker' || urls.length > 0 || host === undefined || isWildcard(host) || !found) return urls
  reader.note('coordinators', found)
  return [`http://${host.includes(':') ? `[${host}]` : host}:${port ?? 3_000}`]
}

function checkHeartbeat(reader: ClusterReader, settings: ClusterSettings): void {
  const { heartbeatIntervalMs: interval, heartbeatTimeoutMs: timeout } = settings
  const found = reader.noted('heartbeatTimeoutMs') ?? reader.noted('heartbeatIntervalMs')
  if (timeout >= 2 * interval || !found) return
  reader.complain(
    reader.source.wrong(
      found,
      `the heartbeat timeout (${timeout} ms) must be at least twice the heartbeat interval (${interval} ms), or one late beat would end a node`,
      'Raise CLUSTER_HEARTBEAT_TIMEOUT ("heartbeatTimeout", "nodeTimeout") or lower CLUSTER_HEARTBEAT_INTERVAL ("heartbeatInterval"), on all nodes alike.',
    ),
  )
}

function checkWhole(reader: ClusterReader, { role, coordinators }: ClusterSettings): void {
  const found = reader.noted('role')
  if (role !== 'worker' || coordinators.length > 0 || !found) return
  throw reader.source.wrong(
    found,
    'a worker needs the URL of its coordinator, and there is none',
    'Set CLUSTER_MASTER_URL, --coordinator, or "coordinatorUrl" ("worker.masterUrl") to a URL such as http://coordinator:3000.',
  )
}
