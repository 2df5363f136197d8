import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { LoginRecord, UserRole } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import { hashToken } from '../domain/tokens.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { TaskGroup } from '../kernel/task-group.ts'
import { type Credentials, checkSameOrigin, loginCookie, readLoginCookie } from './login-cookie.ts'
import type { LoginLimiter } from './login-limiter.ts'
import type { LoginStore } from './ports.ts'
import type { Users } from './users.ts'

const DAY_MS = 24 * 3_600_000
/** A login ends after this long without a request … */
const IDLE_MS = 7 * DAY_MS
/** … and after this long in any case. */
const ABSOLUTE_MS = 30 * DAY_MS
/** How long a login may be believed without looking it up: what another node ends, ends here after that at the latest. */
const BELIEVED_MS = 5_000
/** How often its last use is written down. */
const TOUCH_MS = 3_600_000
const SWEEP_MS = 3_600_000
const MAX_CACHED = 10_000

/** Somebody who has logged in. */
export interface Login {
  readonly tokenHash: string
  readonly username: string
  readonly role: UserRole
}

/** A login as its owner gets it: the token once, and the cookie that carries it. */
export interface LoginGrant {
  readonly username: string
  readonly role: UserRole
  readonly token: string
  /** The whole value of `Set-Cookie`. */
  readonly setCookie: string
}

export interface LoginsDeps {
  readonly users: Users
  readonly store: LoginStore
  readonly limiter: LoginLimiter
  /** SESSION_SECRET: nodes that share it accept each other's logins. */
  readonly secret: string
  /** Origins under which people reach the hub, beside the Host that it is called by. */
  readonly ownOrigins: ReadonlySet<string>
  /** Whether the browser at the other end speaks https, perhaps to a proxy in front of the hub. */
  isSecure(headers: IncomingHttpHeaders): boolean
  readonly clock: Clock
  readonly random: Random
  readonly tasks: TaskGroup
}

interface Cached {
  readonly login: Promise<Login | undefined>
  /** Monotonic, ms. */
  readonly until: number
}

/**
 * Who has logged in. A login is 256 random bits, of which the store has the hash; it is handed out signed, so that a forged one
 * costs nothing but a hash, and one form serves cookie and `x-auth-token`.
 */
export class Logins {
  readonly #deps: LoginsDeps
  readonly #cache = new Map<string, Cached>()
  readonly #sweeper: Timer

  constructor(deps: LoginsDeps) {
    this.#deps = deps
    this.#sweeper = deps.clock.every(SWEEP_MS, () =>
      deps.tasks.run('remove logins that are over', () => deps.store.removeExpired(deps.clock.now())),
    )
  }

  /** @throws HubError `access.login`, `access.rate-limited`, `storage.unavailable` */
  async login(input: {
    readonly username: string
    readonly password: string
    readonly credentials: Credentials
  }): Promise<LoginGrant> {
    const { password, credentials } = input
    const username = input.username.trim()
    const { limiter, users } = this.#deps
    const user = await limiter.guard(username, credentials.ip, () => users.verify(username, password))
    if (!user)
      throw new HubError('access.login', 'Username or password is wrong.', {
        cure: 'Try again; after five failures you have to wait for a quarter of an hour.',
      })
    return this.grant(user, credentials)
  }

  /** A new login for somebody who has proved who they are. */
  async grant(user: { username: string; role: UserRole }, credentials: Credentials): Promise<LoginGrant> {
    const { random, clock, store } = this.#deps
    const bare = random.id(256)
    const now = clock.now()
    await store.create({
      tokenHash: hashToken(bare),
      username: user.username,
      createdAt: now,
      expiresAt: now + ABSOLUTE_MS,
      lastSeenAt: now,
      ip: credentials.ip,
      userAgent: credentials.headers['user-agent']?.slice(0, 500),
    })
    const token = `${bare}.${this.#sign(bare)}`
    const secure = this.#deps.isSecure(credentials.headers)
    const setCookie = loginCookie(token, { secure, maxAgeMs: ABSOLUTE_MS })
    return { username: user.username, role: user.role, token, setCookie }
  }

  /**
   * Who has logged in with what this request carries; undefined when it carries nothing.
   * @throws HubError `access.unauthenticated` for a login that is over or was never one, `access.csrf`, `storage.unavailable`
   */
  async authenticate(credentials: Credentials): Promise<Login | undefined> {
    const token = this.#tokenOf(credentials)
    if (token === undefined) return undefined
    const tokenHash = this.#verified(token)
    const login = tokenHash === undefined ? undefined : await this.#lookUp(tokenHash)
    if (login) return login
    throw new HubError('access.unauthenticated', 'This login is over.', { cure: 'Log in again.' })
  }

  /** Ends the login that came with the request. Gives the `Set-Cookie` that clears it. */
  async logout(credentials: Credentials): Promise<string> {
    const token = this.#tokenOf(credentials)
    const tokenHash = token === undefined ? undefined : this.#verified(token)
    if (tokenHash !== undefined) {
      await this.#deps.store.remove(tokenHash)
      this.forget(tokenHash)
    }
    return loginCookie('', { secure: this.#deps.isSecure(credentials.headers), maxAgeMs: 0 })
  }

  /** @throws HubError `access.login` when the current password is wrong, `access.rate-limited`, `request.invalid-params` */
  async changePassword(
    login: Login,
    input: { readonly current: string; readonly next: string; readonly credentials: Credentials },
  ): Promise<void> {
    const { users, limiter } = this.#deps
    const change = async () => {
      try {
        await users.changePassword(login.username, input, login.tokenHash)
        return 'changed'
      } catch (error) {
        if (error instanceof HubError && error.code === 'access.login') return undefined
        throw error
      }
    }
    // Who has found an open browser must not be able to try passwords without end.
    const changed = await limiter.guard(login.username, input.credentials.ip, change)
    if (!changed)
      throw new HubError('access.login', 'The current password is wrong.', { cure: 'Try it again.' })
    this.forgetAll()
  }

  /** The login is looked up anew with its next request. */
  forget(tokenHash: string): void {
    this.#cache.delete(tokenHash)
  }

  /** So are all: a user has another role now, or other logins, or none. */
  forgetAll(): void {
    this.#cache.clear()
  }

  close(): void {
    this.#sweeper.stop()
  }

  /** The token of a request, proved to come from where it may come from. */
  #tokenOf(credentials: Credentials): string | undefined {
    const header = credentials.headers['x-auth-token']
    if (typeof header === 'string' && header !== '') return header
    const { isSecure, ownOrigins } = this.#deps
    const cookie = readLoginCookie(credentials.cookies, isSecure(credentials.headers))
    if (cookie !== undefined) checkSameOrigin(credentials, ownOrigins)
    return cookie
  }

  /** The hash of a token that carries our signature. */
  #verified(token: string): string | undefined {
    const [bare = '', signature = ''] = token.split('.', 2)
    const [expected, given] = [this.#sign(bare), signature].map((text) => Buffer.from(text))
    if (!expected || !given || expected.length !== given.length) return undefined
    return timingSafeEqual(expected, given) ? hashToken(bare) : undefined
  }

  #sign(bare: string): string {
    return createHmac('sha256', this.#deps.secret).update(`flotilla-login:${bare}`).digest('base64url')
  }

  #lookUp(tokenHash: string): Promise<Login | undefined> {
    const now = this.#deps.clock.monotonic()
    const cached = this.#cache.get(tokenHash)
    if (cached && cached.until > now) return cached.login
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear()
    const fresh = { login: this.#find(tokenHash), until: now + BELIEVED_MS }
    this.#cache.set(tokenHash, fresh)
    // A store that is away has not said that there is no such login.
    fresh.login.catch(() => {
      if (this.#cache.get(tokenHash) === fresh) this.#cache.delete(tokenHash)
    })
    return fresh.login
  }

  async #find(tokenHash: string): Promise<Login | undefined> {
    const { store, users, clock } = this.#deps
    const record = await store.find(tokenHash)
    if (!record) return undefined
    const now = clock.now()
    if (isOver(record, now)) {
      await store.remove(tokenHash)
      return undefined
    }
    const user = await users.find(record.username)
    if (user?.status !== 'active') return undefined
    if (now - record.lastSeenAt >= TOUCH_MS)
      this.#deps.tasks.run('note that a login is in use', () => store.touch(tokenHash, now))
    return { tokenHash, username: user.username, role: user.role }
  }
}

function isOver({ expiresAt, lastSeenAt }: LoginRecord, now: number): boolean {
  return now >= expiresAt || now - lastSeenAt >= IDLE_MS
}
