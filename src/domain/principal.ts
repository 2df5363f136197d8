import type { KeyScope } from './server-spec.ts'

/** Who asks: only ever the outcome of a verified credential (or of an open loopback endpoint). */
export interface Principal {
  /** Stable and free of secrets: `anonymous` or `key:<start of the token's hash>`. */
  readonly id: string
  readonly scope: KeyScope
}

export const ANONYMOUS: Principal = { id: 'anonymous', scope: { kind: 'all' } }
