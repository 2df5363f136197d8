import { HubError, messageOf } from '../../domain/errors.ts'
import { type TlsFailure, tlsFailureOf } from './tls-failure.ts'

/** What went wrong, in words that all engines share. */
export type Failure =
  | 'away'
  | 'denied'
  | 'busy'
  | 'full'
  | 'read-only'
  | 'broken'
  | 'no-table'
  | 'duplicate'
  | 'too-long'
  /** The transaction lost against another one, and may be tried again as it is. */
  | 'conflict'
  | 'unknown'
  | TlsFailure

/** Of Node, for all that goes over a network. */
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
])

/** What `pg` and its pool say without a code. */
const PG_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed|Query read timeout|Cannot use a pool after|driver has already been destroyed)/

/** By SQLSTATE, or its class (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const POSTGRES: readonly (readonly [pattern: RegExp, failure: Failure])[] = [
  [/^(08|57P0)/, 'away'],
  [/^57014$/, 'busy'],
  [/^55P03$/, 'busy'],
  [/^53100$/, 'full'],
  [/^53/, 'busy'],
  [/^25006$/, 'read-only'],
  [/^25P03$/, 'busy'],
  [/^(58|XX)/, 'broken'],
  [/^(28|3D000|42501)/, 'denied'],
  [/^42P01$/, 'no-table'],
  [/^23505$/, 'duplicate'],
  [/^(22001|22003|22021|22P05|54000)$/, 'too-long'],
  [/^(40001|40P01)$/, 'conflict'],
]

/** By number (https://mariadb.com/kb/en/mariadb-error-code-reference/); 1969 and 3024 are time limits, 1040 and 1203 full houses. */
const MYSQL = new Map<number, Failure>([
  [1020, 'conflict'],
  [1021, 'full'],
  [1026, 'broken'],
  [1034, 'broken'],
  [1040, 'busy'],
  [1044, 'denied'],
  [1045, 'denied'],
  [1049, 'denied'],
  [1053, 'away'],
  [1062, 'duplicate'],
  [1114, 'full'],
  [1142, 'denied'],
  [1146, 'no-table'],
  [1152, 'away'],
  [1153, 'too-long'],
  [1158, 'away'],
  [1159, 'away'],
  [1160, 'away'],
  [1161, 'away'],
  [1203, 'busy'],
  [1205, 'busy'],
  [1213, 'conflict'],
  [1226, 'busy'],
  [1264, 'too-long'],
  [1290, 'read-only'],
  [1317, 'away'],
  [1366, 'too-long'],
  [1406, 'too-long'],
  [1698, 'denied'],
  [1792, 'read-only'],
  [1836, 'read-only'],
  [1927, 'away'],
  [1969, 'busy'],
  [3024, 'busy'],
  [3159, 'tls-required'],
  [4031, 'away'],
])

const MYSQL_MESSAGES = /^(Pool is closed|Can't add new command when connection is in closed state)/

/** By primary result code (https://www.sqlite.org/rescode.html). */
const SQLITE = new Map<number, Failure>([
  [3, 'denied'],
  [5, 'busy'],
  [6, 'busy'],
  [8, 'read-only'],
  [10, 'broken'],
  [11, 'broken'],
  [13, 'full'],
  [14, 'denied'],
  [18, 'too-long'],
  [23, 'denied'],
  [26, 'broken'],
])
const SQLITE_DUPLICATES = new Set([1555, 2067])

/** Of Node, for the file of SQLite. */
const FILES = new Map<string, Failure>([
  ['EACCES', 'denied'],
  ['EPERM', 'denied'],
  ['ENOENT', 'denied'],
  ['ENOTDIR', 'denied'],
  ['EISDIR', 'denied'],
  ['EROFS', 'read-only'],
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EIO', 'broken'],
  ['EEXIST', 'duplicate'],
])

export function failureOf(error: unknown): Failure {
  if (typeof error !== 'object' || error === null) return 'unknown'
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown }
  const message = messageOf(error)
  if (typeof errcode === 'number') return sqliteFailure(errcode, message)
  // mysql2 does not know all names. Node's own numbers are negative.
  if (typeof errno === 'number' && MYSQL.has(errno)) return MYSQL.get(errno) ?? 'unknown'
  const tls = tlsFailureOf(typeof code === 'string' ? code : undefined, message)
  if (tls) return tls
  if (typeof code === 'string') {
    if (NETWORK.has(code)) return 'away'
    if (/^(PROTOCOL_|HANDSHAKE_)/.test(code)) return 'away'
    if (/^[0-9A-Z]{5}$/.test(code)) {
      const known = POSTGRES.find(([pattern]) => pattern.test(code))
      if (known) return known[1]
    }
    const file = FILES.get(code)
    if (file) return file
  }
  return PG_MESSAGES.test(message) || MYSQL_MESSAGES.test(message) ? 'away' : 'unknown'
}

function sqliteFailure(errcode: number, message: string): Failure {
  if (SQLITE_DUPLICATES.has(errcode)) return 'duplicate'
  if (message.startsWith('no such table')) return 'no-table'
  return SQLITE.get(errcode & 0xff) ?? 'unknown'
}

const SENTENCES = {
  away: 'cannot be reached',
  denied: 'does not let the hub in',
  busy: 'is too busy to answer',
  full: 'has no space left',
  'read-only': 'takes no changes: it is read-only',
  broken: 'cannot read or write its files',
  conflict: 'had too many changes at once',
  'tls-required': 'takes encrypted connections only',
  'tls-missing': 'offers no TLS, which the hub is told to insist on',
  'tls-name': 'shows a certificate for another name',
  'tls-expired': 'shows a certificate that is not valid today',
  'tls-untrusted': 'shows a certificate that no trusted authority has signed',
  'tls-client': 'wants a certificate of the hub that it trusts',
  'tls-failed': 'and the hub do not agree on TLS',
} as const

const CURES = {
  away: 'It is tried again with every request; see whether the database runs.',
  denied:
    'Check the name, the rights and the password in SQL_DSN, and whether the server wants TLS; or who owns the file.',
  busy: 'Try again in a moment.',
  full: 'Make space on its disk.',
  'read-only': 'Let the hub write: a replica cannot serve as its database.',
  broken: 'Look at the disk and the log of the database; restore a backup if the file is damaged.',
  conflict: 'Try again in a moment.',
  'tls-required': 'Ask for TLS in SQL_DSN: sslmode=verify-full (PostgreSQL), tls=true (MySQL).',
  'tls-missing': 'Turn TLS on in the server. No password was sent.',
  'tls-name':
    'Use a name that stands in the certificate as the host in SQL_DSN, or have a certificate made for that host.',
  'tls-expired': 'Renew it, and check the clocks of both machines.',
  'tls-untrusted':
    'Name the PEM file of the authority in SQL_DSN: sslrootcert (PostgreSQL) or ssl-ca (MySQL). If it was named, somebody else may be answering.',
  'tls-client':
    'Name one in SQL_DSN, signed by an authority that the server trusts: sslcert and sslkey (PostgreSQL), ssl-cert and ssl-key (MySQL).',
  'tls-failed': 'See which versions of TLS the server speaks: the hub wants 1.2 or 1.3.',
} as const

function isUnavailable(failure: Failure): failure is keyof typeof SENTENCES {
  return failure in SENTENCES
}

/** The one place that turns what an engine says into an error of the hub's. */
export function storageError(error: unknown): unknown {
  if (error instanceof HubError) return error
  const failure = failureOf(error)
  const cause = withoutValues(error)
  if (isUnavailable(failure))
    return new HubError('storage.unavailable', `The database ${SENTENCES[failure]}.`, {
      cause,
      retryAfter: 5,
      cure: CURES[failure],
      data: { reason: failure },
    })
  switch (failure) {
    case 'too-long':
      return new HubError('request.invalid-params', 'A value is too large for the database, or not text.', {
        cause,
        cure: 'Choose a shorter one.',
      })
    case 'duplicate':
      return new HubError('resource.exists', 'There is one of that name or id already.', { cause })
    case 'no-table':
    case 'unknown':
      return new HubError('internal', 'The database refused a statement of the hub.', {
        cause,
        cure: 'This is a bug in Flotilla, or somebody has changed its tables: please report it with the log line that has this message.',
      })
    default:
      return failure satisfies never
  }
}

/**
 * Drivers hang statements and rows on their errors, and in them stand hashes and sealed secrets, on their way into a log; Node a whole
 * certificate.
 */
function withoutValues(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  for (const property of [
    'sql',
    'sqlMessage',
    'detail',
    'where',
    'internalQuery',
    'parameters',
    'query',
    'cert',
  ])
    if (property in error) Reflect.deleteProperty(error, property)
  return error
}
