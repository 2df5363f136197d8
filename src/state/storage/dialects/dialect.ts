import type { ColumnDataType, ColumnDefinitionBuilder, Expression, RawBuilder } from 'kysely'
import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Db } from '../schema.ts'

/** What engines do differently. The rest of the code asks for these, never for an engine's name. */
export interface Capabilities {
  /** A row whose key is there already is left alone by `on conflict do nothing`; else by `on duplicate key update`. */
  readonly onConflict: boolean
  /** How many values one statement may hold. */
  readonly maxParameters: number
  /**
   * Inserts many rows into a table, all or none; those whose key is there already are left as they are. Past the query builder, which would
   * take longer than the database; undefined where nothing is won by that.
   */
  readonly bulkInsert?: (
    table: string,
    columns: readonly string[],
    rows: readonly (readonly unknown[])[],
  ) => Promise<void>
  /** How migrations write tables. */
  readonly columns: ColumnKinds
  /** Copies the whole database into a new file while others read and write; undefined where the server has tools for that. */
  readonly backupTo: ((path: string) => Promise<void>) | undefined
}

type ColumnType = ColumnDataType | Expression<unknown>

/** The words of one engine for the columns that migrations make. */
export interface ColumnKinds {
  /** Text of at most so many characters, compared and sorted byte for byte. */
  text(width: number): ColumnType
  /** Text without a limit that anybody meets. */
  readonly longText: ColumnType
  /** Ms since the epoch, counters. */
  readonly integer: ColumnType
  readonly flag: ColumnType
  /** The type of a key that counts up by itself, and what else makes it do so. */
  readonly identity: ColumnType
  counting(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder
  /** What follows the closing parenthesis of `create table`. */
  readonly tableSuffix: RawBuilder<unknown> | undefined
  /** The same for a table whose rows shall lie in the order of its primary key. */
  readonly sortedTableSuffix: RawBuilder<unknown> | undefined
  /** Indexes stand in `create table`, since a migration cannot be undone half-way and must be able to start again. */
  readonly inlineIndexes: boolean
}

export interface OpenedDatabase {
  readonly db: Db
  readonly can: Capabilities
  /** Ends all connections. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly connections: number
  /** A statement that takes longer fails. 0 = no limit. */
  readonly statementMs: number
  /** `everything`: a commit is on the disk before it is acknowledged. `power loss excepted`: a crash of the machine may take the last. */
  readonly durability: 'everything' | 'power loss excepted'
}

export interface OpenDeps {
  readonly clock: Clock
  readonly log: Logger
}

/** No connection takes longer than this to make, or to become free. */
export const CONNECT_MS = 5_000
