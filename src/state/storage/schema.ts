import type { ColumnType, Generated, Kysely, Transaction } from 'kysely'

/** Booleans are written as such; SQLite and MySQL give them back as 0 and 1. */
type Flag = ColumnType<boolean | number, boolean, boolean>
/** Ms since the epoch. */
type Time = number
/** JSON as text: that is the same on all engines, and nobody searches in it. */
type JsonText = string

export interface UsersTable {
  readonly id: Generated<number>
  readonly username: string
  readonly password: string
  readonly is_admin: Flag
  readonly status: string
  readonly email: string | null
  readonly full_name: string | null
  /** Not used: tokens are kept as hashes in `api_keys` and `login_sessions`. */
  readonly access_token: string | null
  readonly created_at: Time
  readonly last_login_at: Time | null
  readonly last_activity: Time | null
  readonly origin: string
  readonly declared_hash: string | null
}

/** `config` is the whole server as the document has it; the columns beside it are copies for people who look with SQL. */
export interface ServersTable {
  readonly id: Generated<number>
  readonly name: string
  readonly type: string
  readonly command: string | null
  readonly args: JsonText | null
  readonly url: string | null
  readonly enabled: Flag
  readonly owner: string | null
  readonly created_at: Time
  readonly updated_at: Time
  readonly position: number
  readonly visibility: string | null
  readonly config: JsonText
}

export interface GroupsTable {
  /** The group's id, or its name when the document gives it none. */
  readonly id: string
  readonly name: string
  readonly owner: string | null
  readonly visibility: string | null
  readonly position: number
  readonly config: JsonText
}

export interface KeysTable {
  readonly id: string
  readonly name: string
  readonly token_hash: string
  readonly prefix: string
  readonly owner: string | null
  readonly scope: JsonText
  readonly rest: string
  readonly grants: JsonText
  readonly enabled: Flag
  readonly expires_at: Time | null
  readonly requests_per_minute: number | null
  readonly max_concurrent: number | null
  readonly created_at: Time
  readonly created_by: string | null
  readonly last_used_at: Time | null
}

export interface LoginsTable {
  readonly token_hash: string
  readonly username: string
  readonly created_at: Time
  readonly expires_at: Time
  readonly last_seen_at: Time
  readonly ip: string | null
  readonly user_agent: string | null
}

export interface RevisionsTable {
  readonly number: number
  readonly at: Time
  readonly author: string
  readonly reason: string | null
  readonly checksum: string
  readonly changes: JsonText
  readonly document: JsonText
}

/** The top-level keys of the document. `value` is null where the content stands in a table of its own. */
export interface SectionsTable {
  readonly name: string
  readonly position: number
  readonly value: JsonText | null
}

/** One row with id 1, or none: which revision the document in the tables is. */
export interface DocumentTable {
  readonly id: number
  readonly revision: number
}

/** One row with id 1, or none: where the settings document is kept. */
export interface StoreTable {
  readonly id: number
  /** `file` or `database`. */
  readonly store: string
  readonly dual_write: Flag
}

export interface UsageTable {
  readonly id: string
  readonly timestamp: Time
  /** Empty when nobody is known. */
  readonly username: string
  readonly server_name: string
  readonly tool_name: string
  readonly success: Flag
  readonly arguments: JsonText | null
  readonly error_message: string | null
  /** Ms. */
  readonly duration: number
  readonly ip: string | null
  readonly user_agent: string | null
  readonly session_id: string | null
  readonly key_id: string | null
  readonly node: string
}

export interface AccessTable {
  readonly id: string
  readonly timestamp: Time
  /** Empty when nobody is known. */
  readonly username: string
  readonly action: string
  readonly resource: string
  readonly method: string
  readonly status_code: number
  readonly ip: string | null
  readonly user_agent: string | null
  /** Ms. */
  readonly duration: number
  readonly details: JsonText | null
  readonly key_id: string | null
  readonly request_id: string
  readonly node: string
}

export interface AuditTable {
  readonly id: string
  readonly timestamp: Time
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly success: Flag
  readonly details: JsonText | null
  readonly ip: string | null
  readonly node: string
}

/** Counts the writes of each topic, so that other nodes notice them. */
export interface CountersTable {
  readonly topic: string
  readonly number: number
}

export interface Tables {
  readonly users: UsersTable
  readonly mcp_servers: ServersTable
  readonly server_groups: GroupsTable
  readonly api_keys: KeysTable
  readonly login_sessions: LoginsTable
  readonly settings_revisions: RevisionsTable
  readonly settings_sections: SectionsTable
  readonly settings_document: DocumentTable
  readonly settings_store: StoreTable
  readonly mcp_usage_logs: UsageTable
  readonly access_logs: AccessTable
  readonly audit_log: AuditTable
  readonly change_counters: CountersTable
}

export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>

/** What other nodes want to hear of. */
export const TOPICS = ['keys', 'settings', 'users'] as const
export type Topic = (typeof TOPICS)[number]
