/** One tool call (R222), whoever made it. Times are ms since the epoch, durations ms. */
export interface UsageRecord {
  /** Unique for ever and everywhere, and growing with time: writing a record twice leaves one. */
  readonly id: string
  readonly timestamp: number
  readonly username: string | undefined
  readonly keyId: string | undefined
  readonly server: string
  /** The server's own name of the tool. */
  readonly tool: string
  /** False when the call failed or its result says `isError`. */
  readonly success: boolean
  readonly durationMs: number
  readonly error: string | undefined
  /** JSON text, redacted and cut to size; undefined unless the settings allow arguments to be kept. */
  readonly arguments: string | undefined
  readonly ip: string | undefined
  readonly userAgent: string | undefined
  readonly sessionId: string | undefined
  readonly node: string
}

/** One request to the management API (R223). */
export interface AccessRecord {
  readonly id: string
  readonly timestamp: number
  readonly username: string | undefined
  readonly keyId: string | undefined
  /** The name of the route, such as `servers.update`. */
  readonly action: string
  /** The path without its query. */
  readonly resource: string
  readonly method: string
  readonly statusCode: number
  readonly durationMs: number
  readonly ip: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string
  readonly node: string
}

/** One change that somebody made: what, to what, how it ended. Never holds a secret. */
export interface AuditRecord {
  readonly id: string
  readonly timestamp: number
  /** A user's name, `key:<id>`, `file`, `setup` or `system`. */
  readonly actor: string
  /** Such as `user.create`, `key.revoke`, `settings.change`, `login.failed`. */
  readonly action: string
  /** Such as `user:alice`, `server:time`. */
  readonly target: string
  readonly success: boolean
  /** JSON text. */
  readonly details: string | undefined
  readonly ip: string | undefined
  readonly node: string
}

/** `systemConfig.activityLog`: what is remembered of activity, and for how many days (0 = for ever). */
export interface ActivityRules {
  /** Whether the arguments of tool calls are kept, cut to size and without secrets. MCPHub keeps them unless told not to. */
  readonly storeToolPayload: boolean
  readonly usageDays: number
  readonly accessDays: number
  readonly auditDays: number
}

export const DEFAULT_ACTIVITY_RULES: ActivityRules = {
  storeToolPayload: false,
  usageDays: 30,
  accessDays: 30,
  auditDays: 365,
}

/** A page of records, newest first. */
export interface Page<T> {
  readonly items: readonly T[]
  /** Give it to get what is older; undefined at the end. */
  readonly nextCursor: string | undefined
}
