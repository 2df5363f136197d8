import type { KeyRecord, RecordOrigin, UserRecord } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import { type KeyGrant, sameScope } from '../domain/key-scope.ts'
import { ANONYMOUS, type Principal, STRANGER } from '../domain/principal.ts'
import type { KeySpec } from '../domain/server-spec.ts'
import { hashOfDeclared, hashToken } from '../domain/tokens.ts'
import type { Clock } from '../kernel/clock.ts'
import { KeyLimits } from './key-limits.ts'

/** What the ring must know of a user. */
export type Owner = Pick<UserRecord, 'username' | 'role' | 'status'>

export interface KeyringOptions {
  /** Whether requests without a key may pass as long as there is no key: on loopback. */
  readonly openWithoutKeys: boolean
  /** Whether keys are kept in a store too, which `load` brings: until then nobody can say that a key is unknown. */
  readonly stored: boolean
  readonly clock: Clock
}

/** A key as the ring holds it, wherever it comes from. */
export interface RingKey extends KeyRecord {
  readonly origin: RecordOrigin
}

interface Entry {
  readonly key: RingKey
  readonly principal: Principal
  usedAt: number | undefined
  /** Used since somebody asked. */
  usedAnew: boolean
}

/**
 * Every key of the hub, by the hash of its token: those of the settings and those of the store. Who shows a key is looked up
 * here and nowhere else, so that a request waits for nothing and a revoked key fails on its next.
 */
export class Keyring {
  readonly #options: KeyringOptions
  readonly #limits = new Map<string, KeyLimits>()
  #entries = new Map<string, Entry>()
  #byPrincipal = new Map<string, Entry>()
  #declared: readonly RingKey[] = []
  #stored: readonly KeyRecord[] = []
  #owners: ReadonlyMap<string, Owner> = new Map()
  #loaded: boolean
  /** Who comes without a key. */
  #nobody: Principal = STRANGER
  #bearerAuth = true
  /** Whether there has been any key since the start: who removes the last one does not mean to let everybody in. */
  #guarded = false

  constructor(options: KeyringOptions) {
    this.#options = options
    this.#loaded = !options.stored
  }

  /**
   * Takes over the keys of the settings.
   * @param bearerAuth false when the operator wants no keys at all
   */
  declare(keys: readonly KeySpec[], bearerAuth: boolean): void {
    this.#declared = keys.map(declaredKey)
    this.#bearerAuth = bearerAuth
    this.#rebuild()
  }

  /** Takes over the keys of the store, and all users: to some of them keys belong. */
  load(keys: readonly KeyRecord[], owners: Iterable<Owner>): void {
    this.#stored = keys
    this.#owners = new Map([...owners].map((owner) => [owner.username, owner] as const))
    this.#loaded = true
    this.#rebuild()
  }

  /** Whether requests without a key may pass. */
  get open(): boolean {
    if (!this.#options.openWithoutKeys) return false
    return !this.#bearerAuth || (this.#loaded && !this.#guarded)
  }

  /** Every key there is, those included that open nothing at present. */
  get keys(): readonly RingKey[] {
    const keys = [...this.#declared, ...this.#stored.map((key) => ({ ...key, origin: 'api' as const }))]
    return keys.map((key) => {
      const usedAt = this.#entries.get(key.tokenHash)?.usedAt
      return usedAt === undefined ? key : { ...key, lastUsedAt: Math.max(usedAt, key.lastUsedAt ?? 0) }
    })
  }

  /**
   * Who shows this credential: the value of the header, `Bearer <token>` or the bare token. Counts as one request.
   * @throws HubError `access.unauthenticated`, `access.rate-limited`, `storage.unavailable`
   */
  authenticate(credential: string | undefined): Principal {
    if (this.open) return this.#nobody
    const token = credential?.replace(/^Bearer +/i, '').trim()
    if (!token && this.#options.openWithoutKeys && !this.#loaded) throw this.#unknown()
    if (!token)
      throw new HubError('access.unauthenticated', 'This endpoint needs a bearer key.', {
        cure: 'Send "Authorization: Bearer <key>" with a key that the hub has made or that stands in "bearerKeys" of the settings.',
      })
    const entry = this.#entries.get(hashToken(token))
    if (!entry) throw this.#unknown()
    const { expiresAt } = entry.key
    const now = this.#options.clock.now()
    if (expiresAt !== undefined && expiresAt <= now)
      throw new HubError('access.unauthenticated', 'This bearer key has expired.', {
        cure: 'Make a new key.',
      })
    entry.principal.limits?.count(1)
    entry.usedAt = now
    entry.usedAnew = true
    return entry.principal
  }

  /** Whether a principal that was let in before would be so now, with the same rights. */
  knows(principal: Principal): boolean {
    if (this.open) return principal.id === this.#nobody.id && principal.viewer === this.#nobody.viewer
    const entry = this.#byPrincipal.get(principal.id)
    if (!entry || hasExpired(entry.key, this.#options.clock.now())) return false
    const known = entry.principal
    return (
      known === principal ||
      (known.viewer === principal.viewer &&
        known.limits === principal.limits &&
        sameScope(known.scope, principal.scope))
    )
  }

  /** When the keys of the store were last used, as far as that is new. */
  takeUsed(): Map<string, number> {
    const used = new Map<string, number>()
    for (const entry of this.#entries.values()) {
      const { key, usedAt, usedAnew } = entry
      if (usedAnew && usedAt !== undefined && key.origin === 'api') used.set(key.id, usedAt)
      entry.usedAnew = false
    }
    return used
  }

  /** When the next key expires after `now`, ms since the epoch. */
  nextExpiry(now: number): number | undefined {
    let next: number | undefined
    for (const { key } of this.#entries.values())
      if (key.expiresAt !== undefined && key.expiresAt > now)
        next = Math.min(next ?? key.expiresAt, key.expiresAt)
    return next
  }

  #unknown(): HubError {
    if (this.#loaded)
      return new HubError('access.unauthenticated', 'This bearer key is not known.', {
        cure: 'Check it for typing errors; it may also have been disabled or removed.',
      })
    return new HubError('storage.unavailable', 'The hub has not been able to read its keys yet.', {
      retryAfter: 5,
      cure: 'Try again in a moment; keys that stand in the settings work already.',
    })
  }

  #rebuild(): void {
    const before = this.#entries
    const entries = new Map<string, Entry>()
    // What the operator has written comes first: it may be narrower than the same token in the store.
    const keys = this.keys
    for (const key of keys) {
      if (!this.#isValid(key) || entries.has(key.tokenHash)) continue
      const { usedAt, usedAnew = false } = before.get(key.tokenHash) ?? {}
      entries.set(key.tokenHash, { key, principal: this.#principal(key), usedAt, usedAnew })
    }
    this.#entries = entries
    this.#byPrincipal = new Map([...entries.values()].map((entry) => [entry.principal.id, entry]))
    // Where others have servers too, private ones are not for whoever can reach the hub.
    const areAdmins = [...this.#owners.values()].every(({ role }) => role === 'admin')
    this.#nobody = this.#loaded && areAdmins ? ANONYMOUS : STRANGER
    this.#guarded ||= this.#declared.length + this.#stored.length > 0
    // A key that is only switched off keeps its count: switching it on again is no fresh start.
    const existing = new Set(keys.map(({ tokenHash }) => tokenHash))
    for (const tokenHash of this.#limits.keys()) if (!existing.has(tokenHash)) this.#limits.delete(tokenHash)
  }

  #isValid(key: RingKey): boolean {
    if (!key.enabled) return false
    return key.owner === undefined || this.#owners.get(key.owner)?.status !== 'disabled'
  }

  #principal(key: RingKey): Principal {
    const { scope, owner, rest, grants = [] } = key
    return {
      // Ids and names of declared keys may be shared or change; who holds a session is told by the token alone.
      id: `key:${key.tokenHash.slice(0, 16)}`,
      keyId: key.id,
      scope,
      // An owner who is no admin, or of whom nothing is known yet, lends the key no more than their own eyes.
      viewer: owner === undefined || this.#owners.get(owner)?.role === 'admin' ? undefined : owner,
      username: owner,
      rest,
      grants,
      limits: this.#limitsOf(key),
    }
  }

  #limitsOf(key: RingKey): KeyLimits | undefined {
    const { tokenHash, requestsPerMinute, maxConcurrent } = key
    const known = this.#limits.get(tokenHash)
    if (requestsPerMinute === undefined && maxConcurrent === undefined) {
      this.#limits.delete(tokenHash)
      return undefined
    }
    const spec = { requestsPerMinute, maxConcurrent }
    const limits = known ?? new KeyLimits(spec, this.#options.clock)
    known?.change(spec)
    this.#limits.set(tokenHash, limits)
    return limits
  }
}

function hasExpired(key: KeyRecord, now: number): boolean {
  return key.expiresAt !== undefined && key.expiresAt <= now
}

function declaredKey(spec: KeySpec): RingKey {
  const grants: readonly KeyGrant[] = spec.grants
  return {
    id: spec.id,
    name: spec.name,
    tokenHash: hashOfDeclared(spec.token),
    prefix: '',
    owner: spec.owner,
    scope: spec.scope,
    rest: spec.rest,
    grants,
    // An empty token is that of a variable which was not set: it opens nothing.
    enabled: spec.token !== '',
    expiresAt: spec.expiresAt,
    requestsPerMinute: spec.requestsPerMinute,
    maxConcurrent: spec.maxConcurrent,
    createdAt: 0,
    createdBy: undefined,
    lastUsedAt: undefined,
    origin: 'settings',
  }
}
