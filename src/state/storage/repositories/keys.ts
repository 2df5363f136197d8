import type { Insertable, Selectable } from 'kysely'
import type { KeyRecord } from '../../../domain/accounts.ts'
import { KEY_GRANTS, scopeFromJson, scopeToJson } from '../../../domain/key-scope.ts'
import type { Database } from '../database.ts'
import type { KeysTable } from '../schema.ts'
import { storable, WIDTHS } from '../texts.ts'

/** Keys in the database. */
export class Keys {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Oldest first. */
  async list(): Promise<readonly KeyRecord[]> {
    const rows = await this.#database.read((db) =>
      db.selectFrom('api_keys').selectAll().orderBy('created_at').orderBy('id').execute(),
    )
    return rows.map(fromRow)
  }

  /** @throws HubError `resource.exists` when the id or token is taken */
  async create(key: KeyRecord): Promise<void> {
    const row = toRow(key)
    await this.#database.write(['keys'], async (trx) => {
      await trx.insertInto('api_keys').values(row).execute()
    })
  }

  /** Whether there was such a key. */
  update(id: string, changes: Partial<Omit<KeyRecord, 'id' | 'tokenHash' | 'createdAt'>>): Promise<boolean> {
    return this.#database.write(['keys'], async (trx) => {
      const row = await trx.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst()
      if (!row) return false
      const before = fromRow(row)
      const { tokenHash, createdAt } = before
      const after: KeyRecord = { ...before, ...changes, id, tokenHash, createdAt }
      await trx.updateTable('api_keys').set(toRow(after)).where('id', '=', id).execute()
      return true
    })
  }

  /** Whether there was such a key. */
  remove(id: string): Promise<boolean> {
    return this.#database.write(['keys'], async (trx) => {
      const { numDeletedRows } = await trx
        .deleteFrom('api_keys')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return numDeletedRows > 0n
    })
  }

  /** Notes when keys were last used; never makes a time earlier. Other nodes need not hear of it. */
  async touch(lastUsed: ReadonlyMap<string, number>): Promise<void> {
    if (lastUsed.size === 0) return
    // In one order everywhere, so that two nodes do not wait for each other.
    const entries = [...lastUsed].sort(([a], [b]) => (a < b ? -1 : 1))
    await this.#database.transaction(async (trx) => {
      for (const [id, at] of entries)
        await trx
          .updateTable('api_keys')
          .set({ last_used_at: at })
          .where('id', '=', id)
          .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', at)]))
          .execute()
    })
  }
}

function fromRow(row: Selectable<KeysTable>): KeyRecord {
  const grants: unknown = JSON.parse(row.grants)
  return {
    id: row.id,
    name: row.name,
    tokenHash: row.token_hash,
    prefix: row.prefix,
    owner: row.owner ?? undefined,
    scope: scopeFromJson(JSON.parse(row.scope)),
    // Whatever is not known allows nothing.
    rest: row.rest === 'admin' || row.rest === 'read' ? row.rest : 'none',
    grants: Array.isArray(grants) ? KEY_GRANTS.filter((grant) => grants.includes(grant)) : [],
    enabled: Boolean(row.enabled),
    expiresAt: row.expires_at ?? undefined,
    requestsPerMinute: row.requests_per_minute ?? undefined,
    maxConcurrent: row.max_concurrent ?? undefined,
    createdAt: row.created_at,
    createdBy: row.created_by ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
  }
}

function toRow(key: KeyRecord): Insertable<KeysTable> {
  return {
    id: storable('key id', key.id, WIDTHS.keyId),
    name: storable('name of the key', key.name, WIDTHS.keyName),
    token_hash: storable('token hash', key.tokenHash, WIDTHS.hash),
    prefix: storable('prefix', key.prefix, WIDTHS.prefix),
    owner: key.owner === undefined ? null : storable('owner', key.owner, WIDTHS.username),
    scope: JSON.stringify(scopeToJson(key.scope)),
    rest: key.rest,
    grants: JSON.stringify(key.grants ?? []),
    enabled: key.enabled,
    expires_at: key.expiresAt ?? null,
    requests_per_minute: key.requestsPerMinute ?? null,
    max_concurrent: key.maxConcurrent ?? null,
    created_at: key.createdAt,
    created_by: key.createdBy === undefined ? null : storable('author', key.createdBy, WIDTHS.actor),
    last_used_at: key.lastUsedAt ?? null,
  }
}
