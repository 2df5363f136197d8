import type { Insertable, Selectable } from 'kysely'
import type { LoginRecord } from '../../../domain/accounts.ts'
import type { Database } from '../database.ts'
import type { LoginsTable } from '../schema.ts'
import { fitted, storable, WIDTHS } from '../texts.ts'

/** Logins in the database: one that any node made counts on all of them. */
export class Logins {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** @throws HubError `resource.exists` when the token is taken */
  async create(login: LoginRecord): Promise<void> {
    await this.#database.read((db) => db.insertInto('login_sessions').values(toRow(login)).execute())
  }

  async find(tokenHash: string): Promise<LoginRecord | undefined> {
    const row = await this.#database.read((db) =>
      db.selectFrom('login_sessions').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst(),
    )
    return row && fromRow(row)
  }

  /** Never makes a time earlier. */
  async touch(tokenHash: string, at: number): Promise<void> {
    await this.#database.read((db) =>
      db
        .updateTable('login_sessions')
        .set({ last_seen_at: at })
        .where('token_hash', '=', tokenHash)
        .where('last_seen_at', '<', at)
        .execute(),
    )
  }

  /** Whether there was such a login. */
  async remove(tokenHash: string): Promise<boolean> {
    const { numDeletedRows } = await this.#database.read((db) =>
      db.deleteFrom('login_sessions').where('token_hash', '=', tokenHash).executeTakeFirstOrThrow(),
    )
    return numDeletedRows > 0n
  }

  /** Ends all logins of a user, except the one that is named. */
  async removeOf(username: string, except?: string): Promise<void> {
    await this.#database.read((db) => {
      const all = db.deleteFrom('login_sessions').where('username', '=', username)
      return (except === undefined ? all : all.where('token_hash', '!=', except)).execute()
    })
  }

  /** How many there were whose time was over at `now`. */
  async removeExpired(now: number): Promise<number> {
    const { numDeletedRows } = await this.#database.read((db) =>
      db.deleteFrom('login_sessions').where('expires_at', '<=', now).executeTakeFirstOrThrow(),
    )
    return Number(numDeletedRows)
  }
}

function fromRow(row: Selectable<LoginsTable>): LoginRecord {
  return {
    tokenHash: row.token_hash,
    username: row.username,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastSeenAt: row.last_seen_at,
    ip: row.ip ?? undefined,
    userAgent: row.user_agent ?? undefined,
  }
}

function toRow(login: LoginRecord): Insertable<LoginsTable> {
  return {
    token_hash: storable('token hash', login.tokenHash, WIDTHS.hash),
    username: storable('username', login.username, WIDTHS.username),
    created_at: login.createdAt,
    expires_at: login.expiresAt,
    last_seen_at: login.lastSeenAt,
    // Both come from the network as they please: nobody is locked out for them.
    ip: login.ip === undefined ? null : fitted(login.ip, WIDTHS.ip),
    user_agent: login.userAgent === undefined ? null : fitted(login.userAgent),
  }
}
