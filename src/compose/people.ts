import type { IncomingHttpHeaders } from 'node:http'
import { DeclaredUsers } from '../access/declared-users.ts'
import { Gatekeeper } from '../access/gatekeeper.ts'
import type { Keyring } from '../access/keyring.ts'
import { Keys } from '../access/keys.ts'
import { LoginLimiter } from '../access/login-limiter.ts'
import { Logins } from '../access/logins.ts'
import { Passwords } from '../access/passwords.ts'
import { Setup } from '../access/setup.ts'
import { Users } from '../access/users.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import type { Storage } from '../state/storage/storage.ts'

export interface PeopleDeps {
  readonly storage: Storage
  readonly keyring: Keyring
  readonly sessionSecret: string
  readonly adminPassword: string | undefined
  readonly readOnly: boolean
  /** Origins under which people reach the hub, beside the Host that it is called by. */
  readonly ownOrigins: ReadonlySet<string>
  /** Whether a proxy before the hub is believed when it says that the browser speaks https. */
  readonly behindProxy: boolean
  /** Whether the hub itself speaks https. */
  readonly overTls: boolean
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  bearerHeader(): string
  /** Keys or users have other rights now, or none. */
  accessChanged(): void
}

/** Who may log in and which keys there are, wired together. */
export class People {
  readonly users: Users
  readonly keys: Keys
  readonly logins: Logins
  readonly declared: DeclaredUsers
  readonly setup: Setup
  readonly gatekeeper: Gatekeeper
  readonly #storage: Storage
  readonly #tasks: TaskGroup

  constructor(deps: PeopleDeps) {
    const { storage, keyring, clock, random, log } = deps
    this.#storage = storage
    this.#tasks = new TaskGroup(log)
    const tasks = this.#tasks
    const passwords = new Passwords(random)
    const stores = { store: storage.users, logins: storage.logins, passwords, clock }
    const changed = async () => {
      this.logins.forgetAll()
      await this.keys.reload()
    }
    this.users = new Users({ ...stores, changed })
    this.declared = new DeclaredUsers({ ...stores, log, changed })
    this.keys = new Keys({
      ring: keyring,
      store: storage.keys,
      users: storage.users,
      clock,
      random,
      log,
      tasks,
      changed: deps.accessChanged,
    })
    this.logins = new Logins({
      users: this.users,
      store: storage.logins,
      limiter: new LoginLimiter(),
      secret: deps.sessionSecret,
      ownOrigins: deps.ownOrigins,
      isSecure: (headers) => (deps.behindProxy ? forwardedProtocol(headers) === 'https' : deps.overTls),
      clock,
      random,
      tasks,
    })
    this.setup = new Setup({ users: this.users, random, adminPassword: deps.adminPassword })
    this.gatekeeper = new Gatekeeper({
      keyring,
      logins: this.logins,
      bearerHeader: deps.bearerHeader,
      readOnly: deps.readOnly,
    })
  }

  /** Reads the keys, and again whenever somebody has changed keys or users: another node, or a command. */
  async start(): Promise<void> {
    const { changes } = this.#storage
    changes.on('keys', () => this.keys.reload())
    changes.on('users', () => {
      this.logins.forgetAll()
      return this.keys.reload()
    })
    await this.keys.start()
  }

  async close(): Promise<void> {
    this.logins.close()
    await this.#tasks.close()
    await this.keys.close()
  }
}

function forwardedProtocol(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['x-forwarded-proto']
  return (Array.isArray(value) ? value[0] : value)?.split(',').at(-1)?.trim().toLowerCase()
}
