import { createHash } from 'node:crypto'

/**
 * What is kept of a token: its SHA-256, hex. Tokens of keys and logins have 256 random bits, so nothing slower is needed; and
 * a look-up by hash takes as long for a near miss as for any other.
 */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** A declared token of which only the hash is written down, as the hub's own export does. */
const HASHED = /^sha256:([0-9a-f]{64})$/i

export function hashOfDeclared(token: string): string {
  return HASHED.exec(token)?.[1]?.toLowerCase() ?? hashToken(token)
}

/** The token of a declared key as it may be written down without giving it away. */
export function withoutToken(tokenHash: string): string {
  return `sha256:${tokenHash}`
}
