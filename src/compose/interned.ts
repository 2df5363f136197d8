import type { ClientIdentity } from '../upstream/upstream.ts'

const MAX_IDENTITIES = 1_000

/** One copy of equal identities: thousands of sessions come from a handful of clients. */
export class InternedIdentities {
  readonly #known = new Map<string, ClientIdentity>()

  of(identity: ClientIdentity): ClientIdentity {
    const key = JSON.stringify(identity)
    const known = this.#known.get(key)
    if (known) return known
    // Identities come from outside: a client that makes up a new one each time must not fill the memory.
    if (this.#known.size >= MAX_IDENTITIES) this.#known.clear()
    this.#known.set(key, identity)
    return identity
  }
}
