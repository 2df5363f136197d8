import type { KeyGrant, KeyScope, RestAccess } from './key-scope.ts'

export type { RestAccess } from './key-scope.ts'

export type UserRole = 'admin' | 'user'

/**
 * Who a record belongs to: made by somebody over the API, or standing in the settings document, where it must be changed too.
 */
export type RecordOrigin = 'api' | 'settings'

/** Times are ms since the epoch here and everywhere in records; `undefined` = never. */
export interface UserRecord {
  readonly username: string
  readonly role: UserRole
  readonly status: 'active' | 'disabled'
  /** A PHC string (argon2id), or a bcrypt hash that an import brought and the next login replaces. */
  readonly passwordHash: string
  readonly email: string | undefined
  readonly fullName: string | undefined
  readonly origin: RecordOrigin
  /** For `settings`: the hash as the document has it, so that a change there is noticed after a login has upgraded ours. */
  readonly declaredHash: string | undefined
  readonly createdAt: number
  readonly lastLoginAt: number | undefined
}

/** A key for MCP clients and scripts. Its token is shown once, when it is made. */
export interface KeyRecord {
  readonly id: string
  readonly name: string
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string
  /** The first characters of the token, for people to recognize it by. */
  readonly prefix: string
  /** Whose key it is: it shows no more than that user may see. `undefined`: the hub's own, which sees everything in its scope. */
  readonly owner: string | undefined
  readonly scope: KeyScope
  readonly rest: RestAccess
  /** What it may do beyond `rest: admin`; absent = nothing. A store that does not keep this only takes away. */
  readonly grants?: readonly KeyGrant[]
  readonly enabled: boolean
  readonly expiresAt: number | undefined
  /** Requests a minute; `undefined` = no limit. */
  readonly requestsPerMinute: number | undefined
  /** MCP requests under way at once; `undefined` = no limit. */
  readonly maxConcurrent: number | undefined
  readonly createdAt: number
  readonly createdBy: string | undefined
  readonly lastUsedAt: number | undefined
}

/** A login of a person with a browser or script. The token itself is nowhere kept. */
export interface LoginRecord {
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string
  readonly username: string
  readonly createdAt: number
  readonly expiresAt: number
  readonly lastSeenAt: number
  readonly ip: string | undefined
  readonly userAgent: string | undefined
}
