/** Why a connection is not encrypted as one of the two sides wants it; `required`: the server does, and the hub was not told. */
export type TlsFailure =
  | 'tls-required'
  | 'tls-missing'
  | 'tls-name'
  | 'tls-expired'
  | 'tls-untrusted'
  | 'tls-client'
  | 'tls-failed'

type Table = readonly (readonly [pattern: RegExp, failure: TlsFailure])[]

/** Of OpenSSL and Node: mysql2 puts a code of its own in the place of theirs, so the words must do. */
const WORDS: Table = [
  [/does not match certificate's altnames/, 'tls-name'],
  [/certificate (has expired|is not yet valid)/, 'tls-expired'],
  [
    /self.signed certificate|unable to (get|verify)|certificate (signature|not trusted|rejected)|CA cert/,
    'tls-untrusted',
  ],
  [/alert (unknown ca|bad certificate|certificate (required|unknown|expired|revoked))/, 'tls-client'],
  [/SSL routines/, 'tls-failed'],
]

/** Of PostgreSQL, under `28000`; before version 14 it says "SSL off". */
const REFUSALS: Table = [
  [/^(no pg_hba\.conf entry|pg_hba\.conf rejects).*, (no encryption|SSL off)$/, 'tls-required'],
  [/valid client certificate/, 'tls-client'],
]

/** @param code undefined where the driver has none */
export function tlsFailureOf(code: string | undefined, message: string): TlsFailure | undefined {
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return 'tls-missing'
  if (code === undefined)
    return message === 'The server does not support SSL connections' ? 'tls-missing' : undefined
  if (code === '28000') return failureIn(REFUSALS, message)
  // SQLSTATEs and names of MySQL: what the server says of a statement may hold any words.
  return /^(.{5}|ER_.*)$/.test(code) ? undefined : failureIn(WORDS, message)
}

function failureIn(table: Table, message: string): TlsFailure | undefined {
  return table.find(([pattern]) => pattern.test(message))?.[1]
}
