import { hostname, platform, release } from 'node:os'
import { checkLaunch, checkReferences } from '../access/launch/launch-policy.ts'
import type {
  ActivityPort,
  ClusterPort,
  LaunchPort,
  LoginsPort,
  ServersPort,
  Services,
  StatusPort,
  ToolsPort,
} from '../api/ports.ts'
import { standaloneCluster } from '../api/standalone-cluster.ts'
import type { AccessRecord, Page, UsageRecord } from '../domain/activity.ts'
import { HubError } from '../domain/errors.ts'
import { VERSION } from '../kernel/version.ts'
import { ACCESS_COLUMNS, exportCsv, exportNdjson, USAGE_COLUMNS } from '../observability/activity/export.ts'
import type { ActivityStore } from '../observability/activity/ports.ts'
import type { LogLines } from '../observability/log-lines.ts'
import type { SecretBox } from '../state/secrets/secret-box.ts'
import { maskSecrets, openReadable, restoreMasked } from '../state/secrets/secrets-in-document.ts'
import type { SettingsChecker } from '../state/settings/settings-checker.ts'
import type { SettingsInForce } from '../state/settings/settings-in-force.ts'
import type { SettingsService } from '../state/settings/settings-service.ts'
import type { Storage } from '../state/storage/storage.ts'
import type { Hub } from './hub.ts'
import type { KnownSecrets } from './known-secrets.ts'
import type { People } from './people.ts'
import { secretsOf } from './secrets-of.ts'

export interface ServicesDeps {
  readonly hub: Hub
  readonly people: People
  readonly settings: SettingsService
  readonly inForce: SettingsInForce
  readonly checker: SettingsChecker
  readonly storage: Storage
  readonly logs: LogLines
  readonly node: string
  readonly box: SecretBox
  readonly knownSecrets: KnownSecrets
  /** Without it the hub is alone. */
  readonly cluster?: ClusterPort
}

type Config = Readonly<Record<string, unknown>>

/** What the management API works with: the hub's parts in the shape of its ports. */
export function servicesOf(deps: ServicesDeps): Services {
  const { people, settings, logs } = deps
  const { gatekeeper, users, keys } = people
  return {
    auth: gatekeeper,
    servers: serversPort(deps),
    tools: toolsPort(deps),
    launch: launchPort(deps),
    settings,
    secrets: {
      mask: (document) => maskSecrets({ ...document }),
      restore: (edited, stored) => restoreMasked({ ...edited }, { ...stored }),
    },
    users,
    keys,
    logins: loginsPort(deps),
    activity: activityPort(deps.storage.activity),
    logs,
    status: statusPort(deps),
    cluster: deps.cluster ?? alone(deps),
  }
}

/** The cluster of a hub that runs alone. */
function alone({ hub, node }: ServicesDeps): ClusterPort {
  return standaloneCluster({
    facts: {
      id: node,
      name: hostname(),
      role: 'coordinator',
      version: VERSION,
      host: undefined,
      port: undefined,
      hostname: hostname(),
      os: `${platform()} ${release()}`,
      labels: {},
      weight: 1,
      maxServers: undefined,
      runtimes: [],
    },
    startedAt: hub.insight.now(),
    hub: hub.insight,
    sessionCount: () => hub.sessionCount,
    sessions: {
      sessions: () => ({ routes: [], total: 0 }),
      session: (id) => (hub.hasSession(id) ? [] : undefined),
      endSession: async (id) => hub.endSession(id),
    },
    reload: (server) => hub.reload(server),
  })
}

function serversPort({ hub, checker, box, knownSecrets }: ServicesDeps): ServersPort {
  return {
    async reload(server) {
      if (hub.reload(server)) return
      throw new HubError('server.unavailable', `Server "${server}" does not run here.`, {
        data: { server },
        cure: 'Enable it first.',
      })
    },
    testConnect(config, signal) {
      const { document, settings, spec } = interpreted(checker, config)
      // Nobody has stored them, and what is tried may say them all the same.
      knownSecrets.add(secretsOf({ document: openReadable(document, box), settings, warnings: [] }))
      return hub.try(spec, signal)
    },
  }
}

function toolsPort({ hub }: ServicesDeps): ToolsPort {
  return {
    call: ({ principal }, { ip, userAgent, ...call }) =>
      hub.call(principal, { ...call, client: { ip, userAgent: userAgent?.slice(0, LONGEST_USER_AGENT) } }),
  }
}

const LONGEST_USER_AGENT = 255

/** What a configuration comes to, as the hub would use it. @throws HubError `settings.invalid`, `secret.unreadable` */
function interpreted(checker: SettingsChecker, config: Config) {
  const document = { mcpServers: { [NAME]: { ...config, enabled: true } } }
  const { settings } = checker.interpret(JSON.stringify(document), 'the configuration')
  const spec = settings.servers.get(NAME)
  if (!spec) throw new HubError('internal', 'A configuration came to nothing.')
  return { document, settings, spec }
}

const NAME = 'server'

function launchPort({ checker }: ServicesDeps): LaunchPort {
  return {
    check(config) {
      checkReferences(config)
      // What has a command may come to be started with it, whatever stands beside it.
      if (config['command'] === undefined && config['type'] !== 'stdio') return
      const { transport } = interpreted(checker, { ...config, type: 'stdio' }).spec
      if (transport.kind === 'stdio') checkLaunch(transport)
    },
  }
}

function loginsPort({ people: { logins, setup } }: ServicesDeps): LoginsPort {
  return {
    login: (input) => logins.login(input),
    logout: (credentials) => logins.logout(credentials),
    changePassword: (login, input) => logins.changePassword(login, input),
    setupPending: async () => setup.pending,
    async completeSetup({ token, username, password, credentials }) {
      const user = await setup.complete(token, username, password)
      return logins.grant(user, credentials)
    },
  }
}

/** Records of one page of an export. */
const EXPORT_PAGE = 1_000

function activityPort(store: ActivityStore): ActivityPort {
  const exported = <T>(
    columns: readonly (keyof T & string)[],
    format: 'ndjson' | 'csv',
    read: (page: { limit: number; cursor?: string }) => Promise<Page<T>>,
  ) => {
    const page = (cursor: string | undefined) =>
      read({ limit: EXPORT_PAGE, ...(cursor === undefined ? {} : { cursor }) })
    return format === 'csv' ? exportCsv<T>(columns, page) : exportNdjson<T>(page)
  }
  return {
    usage: (filter, page) => store.usage(filter, page),
    access: (filter, page) => store.access(filter, page),
    audit: (filter, page) => store.audit(filter, page),
    aggregate: (filter, by, limit) => store.aggregate(filter, by, limit),
    exportUsage: (filter, format) =>
      exported<UsageRecord>(USAGE_COLUMNS, format, (page) => store.usage(filter, page)),
    exportAccess: (filter, format) =>
      exported<AccessRecord>(ACCESS_COLUMNS, format, (page) => store.access(filter, page)),
  }
}

function statusPort({ storage, inForce, node }: ServicesDeps): StatusPort {
  return {
    version: VERSION,
    node,
    async storage() {
      const health = await storage.health()
      return { reachable: health.reachable, reason: health.reachable ? undefined : health.error.message }
    },
    settings() {
      const reason = inForce.whyNot
      return { inForce: reason === undefined, revision: inForce.revision, reason }
    },
  }
}
