import { timingSafeEqual } from 'node:crypto'
import { HubError } from '../domain/errors.ts'
import { hashToken } from '../domain/tokens.ts'
import type { Random } from '../kernel/random.ts'
import { checkPassword, checkUsername } from './account-rules.ts'
import type { Users, UserView } from './users.ts'

/** How the first admin comes to be. */
export type SetupOutcome =
  /** There are users. */
  | { readonly kind: 'done' }
  /** `ADMIN_PASSWORD` has made the user `admin`. */
  | { readonly kind: 'preset' }
  /** Whoever opens the link makes the first admin. */
  | { readonly kind: 'link'; readonly token: string }

export interface SetupDeps {
  readonly users: Users
  readonly random: Random
  /** `ADMIN_PASSWORD`. */
  readonly adminPassword: string | undefined
}

/**
 * The first start: a hub without users has no password either, but a token that is valid once and until the next start, and
 * stands in nobody's files. Nodes that start together on one empty database have a token each.
 */
export class Setup {
  readonly #deps: SetupDeps
  /** SHA-256 of the token, while it is good for something. */
  #tokenHash: string | undefined

  constructor(deps: SetupDeps) {
    this.#deps = deps
  }

  /** @throws HubError `settings.invalid` for an `ADMIN_PASSWORD` that will not do, `storage.unavailable` */
  async begin(): Promise<SetupOutcome> {
    const { users, random, adminPassword } = this.#deps
    if (!(await users.isEmpty())) return { kind: 'done' }
    if (adminPassword) {
      const created = await this.#preset(adminPassword)
      return { kind: created ? 'preset' : 'done' }
    }
    const token = random.id(128)
    this.#tokenHash = hashToken(token)
    return { kind: 'link', token }
  }

  /** Whether the first admin is still to be made, here. */
  get pending(): boolean {
    return this.#tokenHash !== undefined
  }

  /**
   * Makes the first admin, once.
   * @throws HubError `access.unauthenticated` for a token that is wrong or used, `resource.exists` when there are users,
   *   `request.invalid-params`, after which the token is still good
   */
  async complete(token: string, username: string, password: string): Promise<UserView> {
    const expected = this.#tokenHash
    if (expected === undefined || !isSame(hashToken(token), expected)) throw unknownToken()
    checkPassword(password, checkUsername(username))
    // Taken away before anything is waited for: of two who try at the same moment one has it.
    this.#tokenHash = undefined
    try {
      if (!(await this.#deps.users.isEmpty())) throw alreadyDone()
      return await this.#deps.users.create({
        username,
        password,
        role: 'admin',
        email: undefined,
        fullName: undefined,
      })
    } catch (error) {
      const isOver = error instanceof HubError && error.code === 'resource.exists'
      if (!isOver) this.#tokenHash = expected
      throw error
    }
  }

  /** Whether it was we who made the user: another node may have been faster. */
  async #preset(password: string): Promise<boolean> {
    try {
      const details = { email: undefined, fullName: undefined }
      await this.#deps.users.create({ username: 'admin', password, role: 'admin', ...details })
      return true
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      if (error.code === 'user.exists') return false
      if (error.code !== 'request.invalid-params') throw error
      throw new HubError('settings.invalid', `ADMIN_PASSWORD will not do: ${error.message}`, {
        cause: error,
        cure: 'Set another one, or none: then the hub prints a link at which to choose one.',
      })
    }
  }
}

function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function unknownToken(): HubError {
  return new HubError('access.unauthenticated', 'This setup link is not valid, or has been used.', {
    cure: 'Log in; or, if there is no user yet, restart the hub: it prints a new link.',
  })
}

function alreadyDone(): HubError {
  return new HubError('resource.exists', 'The first admin has been made already.', { cure: 'Log in.' })
}
