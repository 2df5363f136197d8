import { HubError } from '../domain/errors.ts'
import { isLoopback } from '../domain/loopback.ts'
import type { HubSettings } from '../domain/server-spec.ts'

/**
 * Sees to it that nobody opens the hub to a network, or loses its last key, by an oversight. Settings that would do so do not come
 * into force.
 */
export class Guard {
  readonly #host: string
  /** Whether anybody can be let in by something that does not stand in the settings: a key of the store, or a login. */
  readonly #others: () => boolean
  /** Whether keys have guarded the endpoints since the start. */
  #guarded = false

  constructor(host: string, others: () => boolean) {
    this.#host = host
    this.#others = others
  }

  /** @throws HubError `settings.invalid` */
  check(settings: HubSettings): void {
    if (!isLoopback(this.#host)) this.#requireKeys(settings)
    else if (this.#guarded) this.#requireGuard(settings)
  }

  /** These settings are in force now. */
  passed(settings: HubSettings): void {
    this.#guarded ||= settings.bearerAuth && settings.keys.length > 0
  }

  /** Where keys have guarded the endpoints, a file that lost them is an accident more often than a wish. */
  #requireGuard(settings: HubSettings): void {
    if (settings.keys.length > 0 || !settings.bearerAuth || this.#others()) return
    throw new HubError(
      'settings.invalid',
      'Without the last key every server would be open to every program on this machine.',
      {
        cure: 'If that is wanted, set "enableBearerAuth" to false in systemConfig.routing, or restart the hub.',
      },
    )
  }

  #requireKeys(settings: HubSettings): void {
    if (settings.bearerAuth && (settings.keys.length > 0 || this.#others())) return
    throw new HubError(
      'settings.invalid',
      `Listening on ${this.#host} would open every server to the network: ${settings.bearerAuth ? 'there is no key and no user' : 'keys are switched off'}.`,
      {
        cure: settings.bearerAuth
          ? 'Add a key to "bearerKeys" in the settings, set ADMIN_PASSWORD to have a user who makes keys, or listen on 127.0.0.1.'
          : 'Remove "enableBearerAuth": false from systemConfig.routing, or listen on 127.0.0.1.',
      },
    )
  }
}
