import type { ActivityRules } from './activity.ts'
import type { KeyGrant, KeyScope, RestAccess } from './key-scope.ts'
import type { Isolation, Replication } from './replication.ts'
import type { Shareable } from './visibility.ts'

export type { KeyScope } from './key-scope.ts'
export type { Isolation } from './replication.ts'

/** How one MCP server is reached or started, with everything filled in and every `${VAR}` expanded. */
export interface ServerSpec extends Shareable {
  readonly name: string
  readonly enabled: boolean
  readonly description: string | undefined
  readonly transport: TransportSpec
  readonly isolation: Isolation
  /** Stop the process after `idleTimeoutMs` without a call and start it again with the next call. */
  readonly startOnDemand: boolean
  /** 0 = never. */
  readonly idleTimeoutMs: number
  readonly call: CallLimits
  readonly overrides: Overrides
  /** How many copies of it run in a cluster, and where. */
  readonly replication: Replication
}

export type TransportSpec = StdioSpec | HttpSpec

export interface StdioSpec {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
}

export interface HttpSpec {
  /** `auto` tries streamable HTTP first and falls back to the older HTTP+SSE pair. */
  readonly kind: 'streamable-http' | 'sse' | 'auto'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface CallLimits {
  /** A call fails when the server has been silent this long. */
  readonly timeoutMs: number
  /** Progress notifications start `timeoutMs` anew. */
  readonly resetTimeoutOnProgress: boolean
  /** A call fails after this long, progress or not. 0 = no such limit. */
  readonly maxTotalTimeoutMs: number
}

/** What the operator changed about single items. Keys are the server's own names (tools, prompts) or URIs (resources). */
export interface Overrides {
  readonly tools: ReadonlyMap<string, ItemOverride>
  readonly prompts: ReadonlyMap<string, ItemOverride>
  readonly resources: ReadonlyMap<string, ItemOverride>
}

export interface ItemOverride {
  readonly enabled: boolean
  readonly description: string | undefined
}

/** A named choice of servers and of what each of them shows. */
export interface GroupSpec extends Shareable {
  readonly id: string
  readonly name: string
  readonly members: readonly GroupMember[]
}

export interface GroupMember {
  readonly server: string
  /** Replaces the server's name in exposed names. */
  readonly alias: string | undefined
  readonly tools: Selection
  readonly prompts: Selection
  readonly resources: Selection
}

export type Selection = 'all' | ReadonlySet<string>

/** A key that stands in the settings document. */
export interface KeySpec {
  readonly id: string
  readonly name: string
  /** The token, or `sha256:<hex>` of one that only its holder knows. */
  readonly token: string
  readonly scope: KeyScope
  /** Whose key it is; `undefined`: the hub's own. */
  readonly owner: string | undefined
  readonly rest: RestAccess
  readonly grants: readonly KeyGrant[]
  /** ms since the epoch; `undefined` = never. */
  readonly expiresAt: number | undefined
  /** `undefined` = no limit, here and below. */
  readonly requestsPerMinute: number | undefined
  readonly maxConcurrent: number | undefined
}

/** A user who stands in the settings document. */
export interface DeclaredUser {
  readonly username: string
  /** A bcrypt or argon2id hash. */
  readonly passwordHash: string
  readonly role: 'admin' | 'user'
  readonly email: string | undefined
}

/** The part of the settings document that runs the hub: checked, complete, expanded. Never written back. */
export interface HubSettings {
  readonly servers: ReadonlyMap<string, ServerSpec>
  readonly groups: readonly GroupSpec[]
  readonly keys: readonly KeySpec[]
  readonly users: readonly DeclaredUser[]
  /** `false` only when the operator switched bearer authentication off. */
  readonly bearerAuth: boolean
  readonly bearerHeader: string
  readonly nameSeparator: string
  readonly globalEndpoint: boolean
  readonly groupsByName: boolean
  readonly bodyLimitBytes: number
  readonly sessionTimeoutMs: number
  readonly activity: ActivityRules
}
