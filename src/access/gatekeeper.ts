import type { IncomingHttpHeaders } from 'node:http'
import { HubError } from '../domain/errors.ts'
import { ANONYMOUS } from '../domain/principal.ts'
import { mayView, type Shareable } from '../domain/visibility.ts'
import type { Keyring } from './keyring.ts'
import type { Credentials } from './login-cookie.ts'
import type { Logins } from './logins.ts'
import { authorize, type Identity, loginPrincipal, mayChange, type Permission } from './permissions.ts'

export interface GatekeeperDeps {
  readonly keyring: Keyring
  readonly logins: Logins
  /** `systemConfig.routing.bearerAuthHeaderName`. */
  bearerHeader(): string
  /** READ_ONLY: this instance takes no changes. */
  readonly readOnly: boolean
}

/** Something with an owner, as the settings document may have it: with less said. */
export type Owned = { readonly [K in keyof Shareable]?: Shareable[K] | undefined }

/** Says who sends a request to the management API, and what they may do. */
export class Gatekeeper {
  readonly #deps: GatekeeperDeps

  constructor(deps: GatekeeperDeps) {
    this.#deps = deps
  }

  /**
   * A key counts before a login: who sends one means it. A login comes as cookie or as `x-auth-token`.
   * @throws HubError `access.unauthenticated`, `access.csrf`, `access.rate-limited`, `storage.unavailable`
   */
  async identify(credentials: Credentials): Promise<Identity> {
    const { keyring, logins } = this.#deps
    const bearer = headerOf(credentials.headers, this.#deps.bearerHeader())
    if (bearer === undefined) {
      const login = await logins.authenticate(credentials)
      if (login) {
        const principal = loginPrincipal(login.username, login.role)
        const { viewer } = principal
        return { kind: 'login', ...login, keyId: undefined, viewer, principal }
      }
    }
    const principal = keyring.authenticate(bearer)
    const { keyId, username, viewer } = principal
    return { kind: principal.id === ANONYMOUS.id ? 'open' : 'key', keyId, username, viewer, principal }
  }

  /** @throws HubError `access.denied` */
  authorize(identity: Identity, permission: Permission): void {
    authorize(identity, permission)
  }

  /** @throws HubError `settings.read-only` on an instance that takes no changes */
  requireWritable(): void {
    if (!this.#deps.readOnly) return
    throw new HubError('settings.read-only', 'This instance takes no changes (READ_ONLY).', {
      cure: 'Make the change at an instance that is not read-only.',
    })
  }

  mayView({ viewer }: Identity, { owner, visibility, sharedWithUsers }: Owned): boolean {
    return mayView(viewer, {
      owner,
      visibility: visibility ?? (owner ? 'private' : 'public'),
      sharedWithUsers: sharedWithUsers ?? [],
    })
  }

  mayChange(identity: Identity, { owner }: Owned): boolean {
    return mayChange(identity, { owner })
  }
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name.toLowerCase()]
  return Array.isArray(value) ? value[0] : value
}
