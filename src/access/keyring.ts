import { createHash } from 'node:crypto'
import { HubError } from '../domain/errors.ts'
import { ANONYMOUS, type Principal } from '../domain/principal.ts'
import type { KeyScope, KeySpec } from '../domain/server-spec.ts'

/** The keys that open the MCP endpoints. Only their hashes are kept in memory. */
export class Keyring {
  readonly #principals = new Map<string, Principal>()
  readonly #open: boolean

  /** @param open whether requests without a key may pass: on loopback, as long as nobody has configured a key */
  constructor(keys: readonly KeySpec[], open: boolean) {
    for (const key of keys) {
      const hashed = hash(key.token)
      // Ids and names may be shared or change; who holds a session is told by the token alone.
      this.#principals.set(hashed, { id: `key:${hashed.slice(0, 16)}`, scope: key.scope })
    }
    this.#open = open
  }

  /** Whether a principal that was let in before would be so now, with the same rights. */
  knows(principal: Principal): boolean {
    if (this.#open) return true
    for (const known of this.#principals.values())
      if (known.id === principal.id && sameScope(known.scope, principal.scope)) return true
    return false
  }

  /**
   * Who shows this credential: the value of the header, `Bearer <token>` or the bare token.
   * @throws HubError `access.unauthenticated`
   */
  authenticate(credential: string | undefined): Principal {
    if (this.#open) return ANONYMOUS
    const token = credential?.replace(/^Bearer +/i, '').trim()
    if (!token)
      throw new HubError('access.unauthenticated', 'This endpoint needs a bearer key.', {
        cure: 'Send "Authorization: Bearer <key>" with a key from "bearerKeys" of the settings.',
      })
    const principal = this.#principals.get(hash(token))
    if (!principal)
      throw new HubError('access.unauthenticated', 'This bearer key is not known.', {
        cure: 'Check it for typing errors; it may also have been disabled or removed.',
      })
    return principal
  }
}

function sameScope(a: KeyScope, b: KeyScope): boolean {
  if (a.kind === 'all' || b.kind === 'all') return a.kind === b.kind
  return (
    a.groups.symmetricDifference(b.groups).size === 0 && a.servers.symmetricDifference(b.servers).size === 0
  )
}

/** Looking up the hash takes as long for a near miss as for any other: the time tells nothing of the key. */
function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
