import type { UserRecord } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import type { DeclaredUser } from '../domain/server-spec.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { checkUsername } from './account-rules.ts'
import type { Passwords } from './passwords.ts'
import { isUsableHash } from './phc.ts'
import type { LoginStore, UserStore } from './ports.ts'

export interface DeclaredUsersDeps {
  readonly store: UserStore
  readonly logins: Pick<LoginStore, 'removeOf'>
  readonly passwords: Passwords
  readonly clock: Clock
  readonly log: Logger
  /** Users have changed. */
  changed(username: string): Promise<void>
}

/** What MCPHub gave its `admin` when nobody had chosen anything else. */
const KNOWN_TO_ALL = 'admin123'

/**
 * Makes the users of the settings document real: who is new there is created, who has another hash there gets it, and who is
 * gone from there may not log in any more. Users that were made over the API are left alone.
 */
export class DeclaredUsers {
  readonly #deps: DeclaredUsersDeps
  #running: Promise<void> = Promise.resolve()

  constructor(deps: DeclaredUsersDeps) {
    this.#deps = deps
  }

  /** One at a time. @throws HubError `storage.unavailable`: then do it again when the store is back */
  reconcile(declared: readonly DeclaredUser[]): Promise<void> {
    const turn = this.#running.then(() => this.#reconcile(declared))
    // The next one waits for this one's end, however it ends; the error is the caller's.
    this.#running = turn.catch(() => undefined)
    return turn
  }

  async #reconcile(declared: readonly DeclaredUser[]): Promise<void> {
    const known = new Map((await this.#deps.store.list()).map((user) => [user.username, user] as const))
    for (const user of declared)
      await this.#guarded(user.username, () => this.#put(user, known.get(user.username)))
    const names = new Set(declared.map(({ username }) => username))
    for (const user of known.values())
      if (user.origin === 'settings' && user.declaredHash !== undefined && !names.has(user.username))
        await this.#guarded(user.username, () => this.#retire(user))
  }

  /** One user who cannot be as the settings say does not keep the others from it. */
  async #guarded(username: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof HubError) || error.code === 'storage.unavailable') throw error
      this.#deps.log.warn(
        { username, cure: error.cure },
        `a user of the settings is left as is: ${error.message}`,
      )
    }
  }

  async #put(declared: DeclaredUser, known: UserRecord | undefined): Promise<void> {
    if (!known) return this.#create(declared)
    if (known.origin === 'api')
      throw new HubError('user.exists', 'there is a user of this name who was made over the API.', {
        cure: 'Remove one of them.',
      })
    const rehashed = known.declaredHash !== declared.passwordHash
    const { role, email } = declared
    if (!rehashed && known.role === role && known.email === email) return
    if (rehashed) await this.#checkHash(declared)
    await this.#deps.store.update(known.username, {
      role,
      email,
      ...(rehashed ? { passwordHash: declared.passwordHash, declaredHash: declared.passwordHash } : {}),
      // Who was gone from the settings and is back there may log in again; who was disabled otherwise may not.
      ...(known.declaredHash === undefined ? { status: 'active' as const } : {}),
    })
    if (rehashed) await this.#deps.logins.removeOf(known.username)
    await this.#deps.changed(known.username)
  }

  async #create(declared: DeclaredUser): Promise<void> {
    const username = checkUsername(declared.username)
    await this.#checkHash(declared)
    await this.#deps.store.create({
      username,
      role: declared.role,
      status: 'active',
      passwordHash: declared.passwordHash,
      email: declared.email,
      fullName: undefined,
      origin: 'settings',
      declaredHash: declared.passwordHash,
      createdAt: this.#deps.clock.now(),
      lastLoginAt: undefined,
    })
    await this.#deps.changed(username)
  }

  async #retire({ username }: UserRecord): Promise<void> {
    await this.#deps.store.update(username, { status: 'disabled', declaredHash: undefined })
    await this.#deps.logins.removeOf(username)
    await this.#deps.changed(username)
  }

  /** There is no default password, not even one that a file brings along. */
  async #checkHash({ passwordHash }: DeclaredUser): Promise<void> {
    const cure = 'Write another hash; "flotilla" never needs one for a first start: it prints a link.'
    if (!isUsableHash(passwordHash))
      throw new HubError('request.invalid-params', 'its hash is too weak, too costly or broken.', { cure })
    if ((await this.#deps.passwords.verify(KNOWN_TO_ALL, passwordHash)).matches)
      throw new HubError(
        'request.invalid-params',
        "its password is MCPHub's default, which everybody knows.",
        { cure },
      )
  }
}
