import { type CreateTableBuilder, type Kysely, sql } from 'kysely'
import type { ColumnKinds } from '../dialects/dialect.ts'

/**
 * One step forward of the schema. A released one is never changed. It may only add: while nodes are updated one by one, those of the
 * version before work on the new schema too.
 */
export interface SchemaMigration {
  /** A number that says its place, then what it is about. */
  readonly name: string
  up(schema: SchemaWriter): Promise<void>
}

interface Index {
  readonly name: string
  readonly columns: readonly string[]
  readonly unique?: boolean
}

type TableBuilder = CreateTableBuilder<string, string>

/** Makes tables in the words of an engine. */
export class SchemaWriter {
  readonly db: Kysely<unknown>
  readonly kinds: ColumnKinds

  constructor(db: Kysely<unknown>, kinds: ColumnKinds) {
    this.db = db
    this.kinds = kinds
  }

  async createTable(
    name: string,
    columns: (table: TableBuilder, kinds: ColumnKinds) => TableBuilder,
    indexes: readonly Index[] = [],
    suffix = this.kinds.tableSuffix,
  ): Promise<void> {
    const { inlineIndexes } = this.kinds
    let table = columns(this.db.schema.createTable(name).ifNotExists(), this.kinds)
    if (inlineIndexes) for (const index of indexes) table = withIndex(table, index)
    await (suffix ? table.modifyEnd(suffix) : table).execute()
    if (!inlineIndexes) for (const index of indexes) await this.#createIndex(name, index)
  }

  /**
   * Makes a table of records whose key is their time and id: they are written, looked through and removed in that order. Where the engine can,
   * they also lie in it, so that a record costs one place to write to and not two.
   */
  createLog(
    name: string,
    columns: (table: TableBuilder, kinds: ColumnKinds) => TableBuilder,
    indexes: readonly Index[] = [],
  ): Promise<void> {
    const keyed = (table: TableBuilder, kinds: ColumnKinds) =>
      columns(
        table
          .addColumn('id', kinds.text(50), (column) => column.notNull())
          .addColumn('timestamp', kinds.integer, (column) => column.notNull()),
        kinds,
      ).addPrimaryKeyConstraint(`${name}_key`, ['timestamp', 'id'])
    return this.createTable(name, keyed, indexes, this.kinds.sortedTableSuffix)
  }

  /** Makes counters of changes, which begin at 0. */
  async addCounters(topics: readonly string[]): Promise<void> {
    for (const topic of topics)
      await sql`
        insert into change_counters (topic, number)
        select ${topic} as topic, 0 as number from (select 1 as one) as once
        where not exists (select 1 from change_counters as known where known.topic = ${topic})`.execute(
        this.db,
      )
  }

  async #createIndex(table: string, { name, columns, unique }: Index): Promise<void> {
    const index = this.db.schema
      .createIndex(name)
      .on(table)
      .columns([...columns])
    await (unique ? index.unique() : index).execute()
  }
}

function withIndex(table: TableBuilder, { name, columns, unique }: Index): TableBuilder {
  return unique ? table.addUniqueConstraint(name, [...columns]) : table.addIndex(name, [...columns])
}
