import type { Insertable, Selectable } from 'kysely'
import { HubError } from '../../../domain/errors.ts'
import type { Revision, RevisionSummary } from '../../../domain/settings-revision.ts'
import type { RevisionStore } from '../../settings/ports.ts'
import type { Database } from '../database.ts'
import type { RevisionsTable, Trx } from '../schema.ts'
import { fitted, storable, WIDTHS } from '../texts.ts'

const SUMMARY = ['number', 'at', 'author', 'reason', 'checksum', 'changes'] as const

/** The history of the settings document, in the database. */
export class Revisions implements RevisionStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async latest(): Promise<Revision | undefined> {
    const row = await this.#database.read((db) =>
      db.selectFrom('settings_revisions').selectAll().orderBy('number', 'desc').limit(1).executeTakeFirst(),
    )
    return row && fromRow(row)
  }

  async get(number: number): Promise<Revision | undefined> {
    const row = await this.#database.read((db) =>
      db.selectFrom('settings_revisions').selectAll().where('number', '=', number).executeTakeFirst(),
    )
    return row && fromRow(row)
  }

  /** Newest first. */
  async list(page: {
    readonly before?: number
    readonly limit: number
  }): Promise<readonly RevisionSummary[]> {
    const rows = await this.#database.read((db) => {
      const all = db
        .selectFrom('settings_revisions')
        .select(SUMMARY)
        .orderBy('number', 'desc')
        .limit(page.limit)
      return (page.before === undefined ? all : all.where('number', '<', page.before)).execute()
    })
    return rows.map(summaryFromRow)
  }

  /** @throws HubError `settings.conflict` */
  async append(revision: Revision): Promise<void> {
    await this.#database.write(['settings'], (trx) => appendRevision(trx, revision))
  }

  async replaceDocuments(documents: ReadonlyMap<number, string>): Promise<void> {
    await this.#database.write(['settings'], async (trx) => {
      for (const [number, document] of documents)
        await trx.updateTable('settings_revisions').set({ document }).where('number', '=', number).execute()
    })
  }
}

/**
 * Adds a revision, in a transaction that holds the topic `settings`.
 * @throws HubError `settings.conflict` unless the latest one has the number before
 */
export async function appendRevision(trx: Trx, revision: Revision): Promise<void> {
  const latest = await trx
    .selectFrom('settings_revisions')
    .select('number')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  const current = latest?.number ?? 0
  if (revision.number !== current + 1)
    throw new HubError(
      'settings.conflict',
      `Somebody else has changed the settings: revision ${current} is in force, and this change is for ${revision.number - 1}.`,
      { data: { revision: current }, cure: 'Read the settings again and repeat the change.' },
    )
  await trx.insertInto('settings_revisions').values(toRow(revision)).execute()
}

function summaryFromRow(row: Omit<Selectable<RevisionsTable>, 'document'>): RevisionSummary {
  return {
    number: row.number,
    at: row.at,
    author: row.author,
    reason: row.reason ?? undefined,
    checksum: row.checksum,
    changes: JSON.parse(row.changes) as RevisionSummary['changes'],
  }
}

function fromRow(row: Selectable<RevisionsTable>): Revision {
  return { ...summaryFromRow(row), document: row.document }
}

function toRow(revision: Revision): Insertable<RevisionsTable> {
  return {
    number: revision.number,
    at: revision.at,
    author: storable('author', revision.author, WIDTHS.actor),
    reason: revision.reason === undefined ? null : fitted(revision.reason),
    checksum: storable('checksum', revision.checksum, WIDTHS.hash),
    changes: JSON.stringify(revision.changes),
    document: revision.document,
  }
}
