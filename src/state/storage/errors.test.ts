import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { type Failure, failureOf, storageError } from './errors.ts'

const ALTNAMES =
  "Hostname/IP does not match certificate's altnames: Host: db. is not in the cert's altnames: DNS:x"
const OPENSSL = '40FD02683E7F0000:error:0A000418:SSL routines:ssl3_read_bytes:'

/** As drivers throw them: PostgreSQL has SQLSTATEs, MySQL numbers, SQLite extended result codes, Node names. */
const SAMPLES: [Failure, object][] = [
  ['away', { code: 'ECONNREFUSED' }],
  ['away', { code: 'ECONNRESET', errno: -104 }],
  ['away', { code: 'EAI_AGAIN' }],
  ['away', { code: '57P01' }],
  ['away', { code: '57P03' }],
  ['away', { code: '08006' }],
  ['away', { message: 'Connection terminated unexpectedly' }],
  ['away', { message: 'timeout exceeded when trying to connect' }],
  ['away', { message: 'Query read timeout' }],
  ['away', { code: 'PROTOCOL_CONNECTION_LOST' }],
  ['away', { code: 'PROTOCOL_SEQUENCE_TIMEOUT' }],
  ['away', { code: 'ER_SERVER_SHUTDOWN', errno: 1053 }],
  ['away', { message: 'Pool is closed.' }],
  ['busy', { code: '57014' }],
  ['busy', { code: '53300' }],
  ['busy', { code: 'ER_CON_COUNT_ERROR', errno: 1040 }],
  ['busy', { code: 'ER_LOCK_WAIT_TIMEOUT', errno: 1205 }],
  ['busy', { errno: 1969 }],
  ['busy', { code: 'ERR_SQLITE_ERROR', errcode: 5 }],
  ['busy', { code: 'ERR_SQLITE_ERROR', errcode: 517 }],
  ['full', { code: '53100' }],
  ['full', { code: 'ER_DISK_FULL', errno: 1021 }],
  ['full', { code: 'ERR_SQLITE_ERROR', errcode: 13 }],
  ['full', { code: 'ENOSPC', errno: -28 }],
  ['read-only', { code: '25006' }],
  ['read-only', { code: 'ER_OPTION_PREVENTS_STATEMENT', errno: 1290 }],
  ['read-only', { code: 'ERR_SQLITE_ERROR', errcode: 8 }],
  ['read-only', { code: 'EROFS' }],
  ['broken', { code: 'ERR_SQLITE_ERROR', errcode: 266 }],
  ['broken', { code: 'ERR_SQLITE_ERROR', errcode: 11 }],
  ['broken', { code: '58030' }],
  ['denied', { code: '28P01' }],
  ['denied', { code: '3D000' }],
  ['denied', { code: 'ER_ACCESS_DENIED_ERROR', errno: 1045 }],
  ['denied', { code: 'ERR_SQLITE_ERROR', errcode: 14 }],
  ['denied', { code: 'EACCES', errno: -13 }],
  ['duplicate', { code: '23505' }],
  ['duplicate', { code: 'ER_DUP_ENTRY', errno: 1062 }],
  ['duplicate', { code: 'ERR_SQLITE_ERROR', errcode: 2067 }],
  ['duplicate', { code: 'ERR_SQLITE_ERROR', errcode: 1555 }],
  ['too-long', { code: '22001' }],
  ['too-long', { code: 'ER_DATA_TOO_LONG', errno: 1406 }],
  ['conflict', { code: '40P01' }],
  ['conflict', { code: 'ER_LOCK_DEADLOCK', errno: 1213 }],
  ['no-table', { code: '42P01' }],
  ['no-table', { code: 'ER_NO_SUCH_TABLE', errno: 1146 }],
  ['tls-required', { code: 'ER_SECURE_TRANSPORT_REQUIRED', errno: 3159 }],
  [
    'tls-required',
    { code: '28000', message: 'no pg_hba.conf entry for host "::1", user "u", no encryption' },
  ],
  ['tls-required', { code: '28000', message: 'pg_hba.conf rejects connection for host "::1", SSL off' }],
  ['denied', { code: '28000', message: 'no pg_hba.conf entry for host "::1", user "u", SSL encryption' }],
  ['tls-missing', { message: 'The server does not support SSL connections' }],
  ['tls-missing', { code: 'HANDSHAKE_NO_SSL_SUPPORT', message: 'Server does not support secure connection' }],
  ['tls-name', { code: 'ERR_TLS_CERT_ALTNAME_INVALID', message: ALTNAMES }],
  ['tls-name', { code: 'HANDSHAKE_SSL_ERROR', message: ALTNAMES }],
  ['tls-expired', { code: 'CERT_HAS_EXPIRED', message: 'certificate has expired' }],
  ['tls-expired', { code: 'HANDSHAKE_SSL_ERROR', message: 'certificate is not yet valid' }],
  ...[
    'self-signed certificate',
    'self-signed certificate in certificate chain',
    'unable to verify the first certificate',
    'unable to get local issuer certificate',
    'certificate signature failure',
  ].map((message): [Failure, object] => ['tls-untrusted', { code: 'HANDSHAKE_SSL_ERROR', message }]),
  ['tls-client', { code: '28000', message: 'connection requires a valid client certificate' }],
  ['tls-client', { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', message: `${OPENSSL}tlsv1 alert unknown ca:x` }],
  ['tls-failed', { code: 'EPROTO', message: `write EPROTO ${OPENSSL}wrong version number:x` }],
  ['away', { code: 'HANDSHAKE_SSL_ERROR', message: 'read ECONNRESET' }],
  ['unknown', { code: 'ER_PARSE_ERROR', errno: 1064, message: "near 'unable to get a certificate'" }],
  ['unknown', { code: '42601' }],
  ['unknown', { code: 'ER_PARSE_ERROR', errno: 1064 }],
  ['unknown', { code: 'ERR_SQLITE_ERROR', errcode: 1 }],
  ['unknown', { message: 'x is not a function' }],
]

function thrown(sample: object): Error {
  return Object.assign(new Error('it failed'), sample)
}

describe('what an engine says', () => {
  test.each(SAMPLES)('means %s: %j', (failure, sample) => {
    expect(failureOf(thrown(sample))).toBe(failure)
  })

  test.each(SAMPLES)('becomes an error of the hub with a cause: %s, %j', (failure, sample) => {
    const cause = thrown(sample)
    const error = storageError(cause)
    if (!(error instanceof HubError)) throw error
    const codes: Partial<Record<Failure, string>> = {
      duplicate: 'resource.exists',
      'too-long': 'request.invalid-params',
      'no-table': 'internal',
      unknown: 'internal',
    }
    expect(error.code).toBe(codes[failure] ?? 'storage.unavailable')
    expect(error.retryAfter).toBe(error.code === 'storage.unavailable' ? 5 : undefined)
    expect(error.cause).toBe(cause)
  })

  test('is passed on without the statement and the rows that hang on it', () => {
    const cause = thrown({
      code: '23505',
      detail: 'Key (token_hash)=(abc)',
      sql: "insert … ('abc')",
      where: 'abc',
      cert: { raw: 'abc' },
    })
    storageError(cause)
    expect(JSON.stringify({ ...cause })).not.toContain('abc')
  })

  test('of the hub itself stays as it is', () => {
    const error = new HubError('user.exists', 'There is one.')
    expect(storageError(error)).toBe(error)
  })
})
