import { FULL_SCOPE, type KeyGrant, type KeyScope, type RestAccess } from './key-scope.ts'

/** What somebody may use: what the scope opens, as far as the viewer may see it. */
export interface Rights {
  readonly scope: KeyScope
  /** The username through whose eyes servers and groups are seen; `undefined` sees all that the scope opens. */
  readonly viewer: string | undefined
}

/** Who asks: only ever the outcome of a verified credential (or of an open loopback endpoint). */
export interface Principal extends Rights {
  /** Stable and free of secrets: `anonymous`, `key:<start of the token's hash>` or `user:<name>`. */
  readonly id: string
  readonly keyId: string | undefined
  /** Who is behind it, for records: the owner of the key. */
  readonly username: string | undefined
  readonly rest: RestAccess
  readonly grants: readonly KeyGrant[]
  readonly limits: RequestLimits | undefined
}

/** How much one key may ask for; shared by all that comes under it. */
export interface RequestLimits {
  /** Counts requests that have come. @throws HubError `access.rate-limited` */
  count(requests: number): void
  /** @throws HubError `access.rate-limited` when as many requests are under way as may be */
  ensureRoom(): void
  /** A request starts. @throws HubError `access.rate-limited` */
  enter(): void
  /** A request that has entered is over. */
  leave(): void
}

/** Nobody, where whoever can reach the hub is its operator. */
export const ANONYMOUS: Principal = {
  id: 'anonymous',
  scope: FULL_SCOPE,
  viewer: undefined,
  keyId: undefined,
  username: undefined,
  rest: 'none',
  grants: [],
  limits: undefined,
}

/** Nobody, where other people have servers too: sees what is for everybody. `''` is nobody's username. */
export const STRANGER: Principal = { ...ANONYMOUS, viewer: '' }
