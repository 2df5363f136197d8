import type { KeyStore, LoginStore, UserStore } from '../../src/access/ports.ts'
import type { KeyRecord, LoginRecord, UserRecord } from '../../src/domain/accounts.ts'
import { HubError } from '../../src/domain/errors.ts'
import type { KeySpec } from '../../src/domain/server-spec.ts'
import { hashToken } from '../../src/domain/tokens.ts'

/** A key of the settings that opens everything, but for what a test says. */
export function keySpec(id: string, token: string, parts: Partial<KeySpec> = {}): KeySpec {
  return {
    id,
    name: id,
    token,
    scope: { kind: 'all' },
    owner: undefined,
    rest: 'read',
    grants: [],
    expiresAt: undefined,
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    ...parts,
  }
}

/** A key of the store that opens everything, but for what a test says. */
export function keyRecord(id: string, token: string, parts: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id,
    name: id,
    tokenHash: hashToken(token),
    prefix: token.slice(0, 8),
    owner: undefined,
    scope: { kind: 'all' },
    rest: 'none',
    grants: [],
    enabled: true,
    expiresAt: undefined,
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    createdAt: 0,
    createdBy: undefined,
    lastUsedAt: undefined,
    ...parts,
  }
}

export function userRecord(username: string, parts: Partial<UserRecord> = {}): UserRecord {
  return {
    username,
    role: 'user',
    status: 'active',
    passwordHash: 'none',
    email: undefined,
    fullName: undefined,
    origin: 'api',
    declaredHash: undefined,
    createdAt: 0,
    lastLoginAt: undefined,
    ...parts,
  }
}

/** A database that can be away. */
class Away {
  away = false
  /** How often anything was asked of it. */
  asked = 0

  protected async reach(): Promise<void> {
    this.asked += 1
    // As slow as a real one: nothing is there before something else could happen.
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.away) throw new HubError('storage.unavailable', 'The database is away.', { retryAfter: 5 })
  }
}

/** Users in memory, with the rules of the real store. */
export class FakeUserStore extends Away implements UserStore {
  readonly users = new Map<string, UserRecord>()

  async list(): Promise<readonly UserRecord[]> {
    await this.reach()
    return [...this.users.values()]
  }

  async find(username: string): Promise<UserRecord | undefined> {
    await this.reach()
    return this.users.get(username)
  }

  async create(user: UserRecord): Promise<void> {
    await this.reach()
    if (this.users.has(user.username)) throw new HubError('user.exists', 'There is such a user.')
    this.users.set(user.username, user)
  }

  async update(username: string, changes: Partial<UserRecord>): Promise<boolean> {
    await this.reach()
    const user = this.users.get(username)
    if (!user) return false
    this.#keepAnAdmin(username, { ...user, ...changes })
    this.users.set(username, { ...user, ...changes })
    return true
  }

  async remove(username: string): Promise<boolean> {
    await this.reach()
    if (!this.users.has(username)) return false
    this.#keepAnAdmin(username, undefined)
    return this.users.delete(username)
  }

  #keepAnAdmin(username: string, after: UserRecord | undefined): void {
    const isAdmin = (user: UserRecord | undefined) => user?.role === 'admin' && user.status === 'active'
    if (!isAdmin(this.users.get(username)) || isAdmin(after)) return
    for (const other of this.users.values()) if (other.username !== username && isAdmin(other)) return
    throw new HubError('user.last-admin', 'This is the last admin.')
  }
}

export class FakeLoginStore extends Away implements LoginStore {
  readonly logins = new Map<string, LoginRecord>()

  async create(login: LoginRecord): Promise<void> {
    await this.reach()
    this.logins.set(login.tokenHash, login)
  }

  async find(tokenHash: string): Promise<LoginRecord | undefined> {
    await this.reach()
    return this.logins.get(tokenHash)
  }

  async touch(tokenHash: string, at: number): Promise<void> {
    await this.reach()
    const login = this.logins.get(tokenHash)
    if (login) this.logins.set(tokenHash, { ...login, lastSeenAt: at })
  }

  async remove(tokenHash: string): Promise<boolean> {
    await this.reach()
    return this.logins.delete(tokenHash)
  }

  async removeOf(username: string, except?: string): Promise<void> {
    await this.reach()
    for (const login of [...this.logins.values()])
      if (login.username === username && login.tokenHash !== except) this.logins.delete(login.tokenHash)
  }

  async removeExpired(now: number): Promise<number> {
    await this.reach()
    const over = [...this.logins.values()].filter(({ expiresAt }) => expiresAt <= now)
    for (const { tokenHash } of over) this.logins.delete(tokenHash)
    return over.length
  }
}

export class FakeKeyStore extends Away implements KeyStore {
  readonly keys = new Map<string, KeyRecord>()

  async list(): Promise<readonly KeyRecord[]> {
    const seen = [...this.keys.values()]
    await this.reach()
    return seen
  }

  async create(key: KeyRecord): Promise<void> {
    await this.reach()
    this.keys.set(key.id, key)
  }

  async update(id: string, changes: Partial<KeyRecord>): Promise<boolean> {
    await this.reach()
    const key = this.keys.get(id)
    if (!key) return false
    this.keys.set(id, { ...key, ...changes })
    return true
  }

  async remove(id: string): Promise<boolean> {
    await this.reach()
    return this.keys.delete(id)
  }

  async touch(lastUsed: ReadonlyMap<string, number>): Promise<void> {
    await this.reach()
    for (const [id, lastUsedAt] of lastUsed) {
      const key = this.keys.get(id)
      if (key) this.keys.set(id, { ...key, lastUsedAt })
    }
  }
}
