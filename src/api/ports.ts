import type { IncomingHttpHeaders } from 'node:http'
import type { Identity, Permission } from '../access/permissions.ts'
import type { UserChanges, UserInput, UserView } from '../access/users.ts'
import type { KeyRecord, RestAccess, UserRole } from '../domain/accounts.ts'
import type { AccessRecord, AuditRecord } from '../domain/activity.ts'
import type { KeyGrant } from '../domain/key-scope.ts'
import type {
  ChangeReason,
  RevisionChange,
  RevisionSummary,
  SettingsEdit,
} from '../domain/settings-revision.ts'
import type { ActivityFilter, ActivityStore } from '../observability/activity/ports.ts'
import type { LogLine } from '../observability/log-lines.ts'
import type { ClusterPort } from './cluster-port.ts'

export type * from './cluster-port.ts'

/** What the management API needs of the rest of the hub: one small interface for each resource. */
export interface Services {
  readonly auth: Authenticator
  readonly servers: ServersPort
  readonly tools: ToolsPort
  readonly launch: LaunchPort
  readonly settings: SettingsPort
  readonly secrets: SecretsPort
  readonly users: UsersPort
  readonly keys: KeysPort
  readonly logins: LoginsPort
  readonly activity: ActivityPort
  readonly logs: LogsPort
  readonly status: StatusPort
  /** Always there; standalone it has one node, and refuses what concerns others: see `standaloneCluster`. */
  readonly cluster: ClusterPort
}

/** The parts of a request that tell who sends it. */
export interface Credentials {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly cookies: Readonly<Record<string, string | undefined>>
  readonly ip: string | undefined
}

export interface Authenticator {
  /** @throws HubError `access.unauthenticated`, `access.csrf`, `access.rate-limited`, `storage.unavailable` */
  identify(credentials: Credentials): Promise<Identity>
  /** @throws HubError `access.denied` */
  authorize(identity: Identity, permission: Permission): void
  /** @throws HubError `settings.read-only` on an instance that takes no changes */
  requireWritable(): void
}

/** The servers as they run, beyond what `HubInsight` shows. */
export interface ServersPort {
  /** Starts the server anew, or connects to it again. Resolves when that has begun. */
  reload(server: string): Promise<void>
  /** Starts or reaches a server for a moment and says what it offers. @throws HubError saying why it does not work */
  testConnect(config: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<ConnectReport>
}

export interface ConnectReport {
  readonly serverInfo: Readonly<Record<string, unknown>>
  readonly protocolVersion: string
  readonly tools: number
  readonly prompts: number
  readonly resources: number
  readonly durationMs: number
}

export interface ToolCall {
  readonly server: string
  /** The server's own name of the tool, or the exposed one. */
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  readonly ip: string | undefined
  readonly userAgent: string | undefined
  readonly signal: AbortSignal
}

export interface ToolsPort {
  /** Calls a tool with the rights of an identity and gives the `CallToolResult` as the server sent it. */
  call(identity: Identity, call: ToolCall): Promise<Readonly<Record<string, unknown>>>
}

export interface LaunchPort {
  /**
   * Looks at the configuration of a stdio server before it may be stored: the way to start it is judged with its
   * variables expanded and its secrets opened.
   * @throws HubError `server.launch-denied`
   */
  check(config: Readonly<Record<string, unknown>>): void
}

export type SettingsDocument = Readonly<Record<string, unknown>>

export interface CurrentSettings {
  readonly number: number
  /** With every secret sealed. */
  readonly document: SettingsDocument
  /** As `ETag` and `If-Match` carry it: `"<number>"`. */
  readonly etag: string
}

export interface SettingsChange extends ChangeReason {
  /** Made one after the other. */
  readonly change: readonly SettingsEdit[]
  /** The etag that must still hold. */
  readonly ifMatch?: string | undefined
  /** Only says what would change. */
  readonly dryRun?: boolean
}

export interface SettingsOutcome {
  /** The revision in force afterwards; of a dry run the one that stays. */
  readonly number: number
  readonly etag: string
  readonly changes: readonly RevisionChange[]
  readonly warnings: readonly string[]
}

export interface SettingsPort {
  current(): Promise<CurrentSettings>
  /**
   * Checks, writes and puts into force; resolves once that is done on this node.
   * @throws HubError `settings.conflict`, `settings.invalid`, `settings.read-only`, `settings.unwritable`
   */
  change(change: SettingsChange): Promise<SettingsOutcome>
  list(page: { readonly before?: number; readonly limit: number }): Promise<readonly RevisionSummary[]>
  /** One revision, with secrets masked. @throws HubError `resource.missing` */
  show(number: number): Promise<RevisionSummary & { readonly document: SettingsDocument }>
  /** What leads from one revision to another. @throws HubError `resource.missing` */
  diff(from: number, to: number): Promise<readonly RevisionChange[]>
  /** Makes an old document the newest. @throws HubError `resource.missing` and those of `change` */
  rollback(number: number, change: Omit<SettingsChange, 'change'>): Promise<SettingsOutcome>
  /** The text of an `mcp_settings.json`. */
  export(secrets: 'masked'): Promise<string>
}

/** Secrets in a document, or in a part of one that has the document's shape. */
export interface SecretsPort {
  mask(document: SettingsDocument): SettingsDocument
  /** Puts what is stored in the place of each mask. @throws HubError `settings.invalid` where nothing is stored */
  restore(edited: SettingsDocument, stored: SettingsDocument): SettingsDocument
}

export interface UsersPort {
  list(): Promise<readonly UserView[]>
  find(username: string): Promise<UserView | undefined>
  /** @throws HubError `user.exists`, `request.invalid-params` for a password that will not do */
  create(user: UserInput): Promise<UserView>
  /** @throws HubError `resource.missing`, `user.last-admin`, `resource.in-use` */
  update(username: string, changes: UserChanges): Promise<UserView>
  /** @throws HubError `resource.missing`, `user.last-admin`, `resource.in-use` */
  remove(username: string): Promise<void>
}

/** A key without anything that opens a door. */
export type KeyView = Omit<KeyRecord, 'tokenHash'>

export interface KeyInput {
  readonly name: string
  readonly owner: string | undefined
  readonly createdBy: string | undefined
  readonly scope: KeyRecord['scope']
  readonly rest: RestAccess
  readonly grants: readonly KeyGrant[]
  readonly enabled: boolean
  readonly expiresAt: number | undefined
  readonly requestsPerMinute: number | undefined
  readonly maxConcurrent: number | undefined
}

export interface KeysPort {
  list(): readonly KeyView[] | Promise<readonly KeyView[]>
  /** The key, and its token for the only time. */
  create(key: KeyInput): Promise<{ readonly key: KeyView; readonly token: string }>
  /** @throws HubError `resource.missing`, `resource.in-use` for a key that stands in the settings */
  update(id: string, changes: Partial<Omit<KeyInput, 'owner' | 'createdBy'>>): Promise<KeyView>
  /** @throws HubError `resource.missing`, `resource.in-use` */
  revoke(id: string): Promise<void>
}

/** A login as its owner gets it: the token once, and the cookie that carries it. */
export interface LoginGrant {
  readonly username: string
  readonly role: UserRole
  readonly token: string
  /** The whole value of `Set-Cookie`. */
  readonly setCookie: string
}

export interface LoginsPort {
  /** @throws HubError `access.login`, `access.rate-limited` */
  login(input: {
    readonly username: string
    readonly password: string
    readonly credentials: Credentials
  }): Promise<LoginGrant>
  /** Ends the login that came with the request. Gives the `Set-Cookie` that clears it. */
  logout(credentials: Credentials): Promise<string>
  /** @throws HubError `access.login` when the current one is wrong */
  changePassword(
    login: { readonly username: string; readonly role: UserRole; readonly tokenHash: string },
    input: { readonly current: string; readonly next: string; readonly credentials: Credentials },
  ): Promise<void>
  /** Whether nobody has made the first admin yet. */
  setupPending(): Promise<boolean>
  /** Makes the first admin, once. @throws HubError `access.unauthenticated`, `resource.exists` */
  completeSetup(input: {
    readonly token: string
    readonly username: string
    readonly password: string
    readonly credentials: Credentials
  }): Promise<LoginGrant>
}

export interface ActivityPort extends Pick<ActivityStore, 'usage' | 'access' | 'audit' | 'aggregate'> {
  /** All of it, newest first, as text in pieces. */
  exportUsage(filter: ActivityFilter, format: ExportFormat): AsyncIterable<string>
  exportAccess(
    filter: Pick<ActivityFilter, 'from' | 'to' | 'username'>,
    format: ExportFormat,
  ): AsyncIterable<string>
}

export type ExportFormat = 'ndjson' | 'csv'

/** Takes what the API does into memory; never throws and never waits. It adds ids and the node. */
export interface ActivityRecorder {
  access(record: Omit<AccessRecord, 'id' | 'node'>): void
  audit(record: Omit<AuditRecord, 'id' | 'node'>): void
}

export interface LogsPort {
  /** The last lines, oldest first, of the hub or of one server. */
  recent(limit: number, server?: string): readonly LogLine[]
  /** Lines as they come, until the signal is aborted. */
  follow(signal: AbortSignal, server?: string): AsyncIterable<LogLine>
  clear(): void
}

export interface StatusPort {
  /** Resolves quickly, whatever the storage does. */
  storage(): Promise<{ readonly reachable: boolean; readonly reason: string | undefined }>
  /** Whether the settings that are stored are those in force, and if not, why. */
  settings(): {
    readonly inForce: boolean
    readonly revision: number | undefined
    readonly reason: string | undefined
  }
  readonly version: string
  readonly node: string
}
