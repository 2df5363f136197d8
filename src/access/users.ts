import type { UserRecord, UserRole } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import type { Clock } from '../kernel/clock.ts'
import { checkLength, checkPassword, checkUsername } from './account-rules.ts'
import type { Passwords } from './passwords.ts'
import type { LoginStore, UserStore } from './ports.ts'

/** A user as others may see it: never with a hash. */
export type UserView = Omit<UserRecord, 'passwordHash' | 'declaredHash'>

export interface UserInput {
  readonly username: string
  readonly password: string
  readonly role: UserRole
  readonly email: string | undefined
  readonly fullName: string | undefined
}

export interface UserChanges {
  readonly password?: string
  readonly role?: UserRole
  readonly status?: UserRecord['status']
  readonly email?: string | undefined
  readonly fullName?: string | undefined
}

export interface UsersDeps {
  readonly store: UserStore
  readonly logins: Pick<LoginStore, 'removeOf'>
  readonly passwords: Passwords
  readonly clock: Clock
  /** Role, status or existence of a user have changed: what is known of their keys and logins is out of date. */
  changed(username: string): Promise<void>
}

/** The people who may log in. */
export class Users {
  readonly #deps: UsersDeps

  constructor(deps: UsersDeps) {
    this.#deps = deps
  }

  async list(): Promise<readonly UserView[]> {
    return (await this.#deps.store.list()).map(viewOf)
  }

  async find(username: string): Promise<UserView | undefined> {
    const user = await this.#deps.store.find(username)
    return user && viewOf(user)
  }

  /** Whether nobody has ever been made a user. */
  async isEmpty(): Promise<boolean> {
    return (await this.#deps.store.list()).length === 0
  }

  /** @throws HubError `user.exists`, or `request.invalid-params` for what will not do */
  async create(input: UserInput): Promise<UserView> {
    const username = checkUsername(input.username)
    checkPassword(input.password, username)
    checkDetails(input)
    const user: UserRecord = {
      username,
      role: input.role,
      status: 'active',
      passwordHash: await this.#deps.passwords.hash(input.password),
      email: input.email || undefined,
      fullName: input.fullName || undefined,
      origin: 'api',
      declaredHash: undefined,
      createdAt: this.#deps.clock.now(),
      lastLoginAt: undefined,
    }
    await this.#deps.store.create(user)
    await this.#deps.changed(username)
    return viewOf(user)
  }

  /**
   * @throws HubError `resource.missing`, `user.last-admin`, or `resource.in-use` for what the settings say of a user
   */
  async update(username: string, changes: UserChanges): Promise<UserView> {
    const user = await this.#require(username)
    checkDetails(changes)
    if (user.origin === 'settings') refuseDeclared(user, changes)
    const { password, email, fullName, ...rest } = changes
    if (password !== undefined) checkPassword(password, username)
    const updated = {
      ...rest,
      ...('email' in changes ? { email: email || undefined } : {}),
      ...('fullName' in changes ? { fullName: fullName || undefined } : {}),
      ...(password === undefined ? {} : { passwordHash: await this.#deps.passwords.hash(password) }),
    }
    if (!(await this.#deps.store.update(username, updated))) throw missing(username)
    if (password !== undefined || changes.status === 'disabled') await this.#deps.logins.removeOf(username)
    await this.#deps.changed(username)
    return viewOf({ ...user, ...updated })
  }

  /**
   * A user's own wish; their other logins end.
   * @param keep the hash of the token of the login that goes on
   * @throws HubError `access.login` when the current password is wrong
   */
  async changePassword(
    username: string,
    { current, next }: { readonly current: string; readonly next: string },
    keep: string | undefined,
  ): Promise<void> {
    const { store, passwords, logins } = this.#deps
    const user = await this.#require(username)
    if (!(await passwords.verify(current, user.passwordHash)).matches)
      throw new HubError('access.login', 'The current password is wrong.', { cure: 'Try it again.' })
    checkPassword(next, username)
    await store.update(username, { passwordHash: await passwords.hash(next) })
    await logins.removeOf(username, keep)
    await this.#deps.changed(username)
  }

  /** @throws HubError `resource.missing`, `user.last-admin`, `resource.in-use` */
  async remove(username: string): Promise<void> {
    const user = await this.#require(username)
    if (user.origin === 'settings' && user.declaredHash !== undefined)
      throw new HubError('resource.in-use', `The user ${JSON.stringify(username)} stands in the settings.`, {
        cure: 'Remove it from "users" there.',
      })
    if (!(await this.#deps.store.remove(username))) throw missing(username)
    await this.#deps.logins.removeOf(username)
    await this.#deps.changed(username)
  }

  /**
   * The user who can show this password. Takes the same time for whoever does not exist or may not log in. A hash of an older
   * kind is replaced by one of ours.
   */
  async verify(username: string, password: string): Promise<UserRecord | undefined> {
    const { store, passwords, clock } = this.#deps
    const user = await store.find(username)
    const { matches, outdated } = await passwords.verify(password, user?.passwordHash)
    if (!user || !matches || user.status !== 'active') return undefined
    const upgraded = outdated ? await passwords.hash(password) : undefined
    // Hashing takes its time, in which somebody may have disabled the user or given them another password.
    const now = await store.find(username)
    if (now?.status !== 'active' || now.passwordHash !== user.passwordHash) return undefined
    await store.update(username, {
      lastLoginAt: clock.now(),
      ...(upgraded === undefined ? {} : { passwordHash: upgraded }),
    })
    return now
  }

  async #require(username: string): Promise<UserRecord> {
    const user = await this.#deps.store.find(username)
    if (user) return user
    throw missing(username)
  }
}

export function viewOf({ passwordHash: _, declaredHash: __, ...view }: UserRecord): UserView {
  return view
}

function checkDetails({ email, fullName }: Pick<UserChanges, 'email' | 'fullName'>): void {
  checkLength('e-mail address', email, 100)
  checkLength('full name', fullName, 100)
}

/** What the settings say would be said again with their next change. */
function refuseDeclared(user: UserRecord, { role, email }: UserChanges): void {
  const differs = (role !== undefined && role !== user.role) || (email !== undefined && email !== user.email)
  if (!differs || user.declaredHash === undefined) return
  throw new HubError(
    'resource.in-use',
    `Role and e-mail address of the user ${JSON.stringify(user.username)} stand in the settings.`,
    { cure: 'Change them under "users" there.' },
  )
}

function missing(username: string): HubError {
  return new HubError('resource.missing', `There is no user ${JSON.stringify(username)}.`, {
    cure: 'GET /api/users lists them.',
  })
}
