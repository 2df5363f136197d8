import type { Insertable, Selectable } from 'kysely'
import type { UserRecord } from '../../../domain/accounts.ts'
import { HubError } from '../../../domain/errors.ts'
import type { Database } from '../database.ts'
import { failureOf } from '../errors.ts'
import type { Trx, UsersTable } from '../schema.ts'
import { storable, WIDTHS } from '../texts.ts'

/** Users in the database. Names are compared byte for byte: `Alice` and `alice` are two. */
export class Users {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** In the order of their names. */
  async list(): Promise<readonly UserRecord[]> {
    const rows = await this.#database.read((db) =>
      db.selectFrom('users').selectAll().orderBy('username').execute(),
    )
    return rows.map(fromRow)
  }

  async find(username: string): Promise<UserRecord | undefined> {
    const row = await this.#database.read((db) =>
      db.selectFrom('users').selectAll().where('username', '=', username).executeTakeFirst(),
    )
    return row && fromRow(row)
  }

  /** @throws HubError `user.exists` */
  async create(user: UserRecord): Promise<void> {
    const row = toRow(user)
    await this.#database.write(['users'], async (trx) => {
      try {
        await trx.insertInto('users').values(row).execute()
      } catch (error) {
        if (failureOf(error) !== 'duplicate') throw error
        throw new HubError('user.exists', `There is a user ${user.username} already.`, {
          cure: 'Choose another name.',
        })
      }
    })
  }

  /** Whether there was such a user. @throws HubError `user.last-admin` */
  update(username: string, changes: Partial<Omit<UserRecord, 'username' | 'createdAt'>>): Promise<boolean> {
    return this.#database.write(['users'], async (trx) => {
      const before = await findIn(trx, username)
      if (!before) return false
      const after: UserRecord = { ...before, ...changes, username, createdAt: before.createdAt }
      if (rules(before) && !rules(after)) await requireAnotherAdmin(trx, username)
      await trx.updateTable('users').set(toRow(after)).where('username', '=', username).execute()
      return true
    })
  }

  /** Whether there was such a user. Takes the user's logins and keys along. @throws HubError `user.last-admin` */
  remove(username: string): Promise<boolean> {
    return this.#database.write(['keys', 'users'], async (trx) => {
      const before = await findIn(trx, username)
      if (!before) return false
      if (rules(before)) await requireAnotherAdmin(trx, username)
      await trx.deleteFrom('login_sessions').where('username', '=', username).execute()
      await trx.deleteFrom('api_keys').where('owner', '=', username).execute()
      await trx.deleteFrom('users').where('username', '=', username).execute()
      return true
    })
  }
}

async function findIn(trx: Trx, username: string): Promise<UserRecord | undefined> {
  const row = await trx.selectFrom('users').selectAll().where('username', '=', username).executeTakeFirst()
  return row && fromRow(row)
}

/** Nobody else changes users meanwhile: this transaction holds the topic. */
async function requireAnotherAdmin(trx: Trx, username: string): Promise<void> {
  const other = await trx
    .selectFrom('users')
    .select('username')
    .where('username', '!=', username)
    .where('is_admin', '=', true)
    .where('status', '=', 'active')
    .limit(1)
    .executeTakeFirst()
  if (!other)
    throw new HubError('user.last-admin', `${username} is the last active administrator.`, {
      cure: 'Make somebody else an administrator first.',
    })
}

function rules(user: UserRecord): boolean {
  return user.role === 'admin' && user.status === 'active'
}

function fromRow(row: Selectable<UsersTable>): UserRecord {
  return {
    username: row.username,
    role: row.is_admin ? 'admin' : 'user',
    // Whatever is not known to be in force is not.
    status: row.status === 'active' ? 'active' : 'disabled',
    passwordHash: row.password,
    email: row.email ?? undefined,
    fullName: row.full_name ?? undefined,
    origin: row.origin === 'settings' ? 'settings' : 'api',
    declaredHash: row.declared_hash ?? undefined,
    createdAt: row.created_at,
    lastLoginAt: row.last_login_at ?? undefined,
  }
}

function toRow(user: UserRecord): Insertable<UsersTable> {
  const { email, fullName, declaredHash } = user
  return {
    username: storable('username', user.username, WIDTHS.username),
    password: storable('password hash', user.passwordHash, WIDTHS.password),
    is_admin: user.role === 'admin',
    status: user.status,
    email: email === undefined ? null : storable('email', email, WIDTHS.email),
    full_name: fullName === undefined ? null : storable('full name', fullName, WIDTHS.fullName),
    origin: user.origin,
    declared_hash:
      declaredHash === undefined ? null : storable('password hash', declaredHash, WIDTHS.password),
    created_at: user.createdAt,
    last_login_at: user.lastLoginAt ?? null,
    last_activity: user.lastLoginAt ?? null,
  }
}
