import { isAbsolute, join } from 'node:path'
import { HubError } from '../../domain/errors.ts'

export interface SqliteTarget {
  readonly kind: 'sqlite'
  readonly path: string
}

/** `unverified` encrypts without asking who is at the other end, as `sslmode=require` of libpq does. */
export type TlsMode = 'off' | 'unverified' | 'verified'

export interface ServerTarget {
  readonly kind: 'postgres' | 'mysql'
  /** A name or address; for a Unix socket its path (MySQL) or its folder (PostgreSQL), which begins with `/`. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: TlsMode
  /** A PEM file with the authorities to trust in place of the system's. */
  readonly caFile: string | undefined
}

export type DatabaseTarget = SqliteTarget | ServerTarget

export interface StorageTargets {
  readonly main: DatabaseTarget
  /** Where usage, access and audit records go. */
  readonly logs: DatabaseTarget
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Which databases the environment asks for: `SQL_DSN`, else `DB_URL`, else `DATABASE_URL`, else a file in the data folder;
 * for the logs `LOG_SQL_DSN`, else the same. Empty values count as not set.
 * @throws HubError `settings.invalid` that names the variable and shows nothing of its value
 */
export function readTargets(environment: Environment, dataDir: string): StorageTargets {
  const main = firstOf(environment, ['SQL_DSN', 'DB_URL', 'DATABASE_URL'], dataDir)
  const logs = firstOf(environment, ['LOG_SQL_DSN'], dataDir)
  const target = main ?? embedded(dataDir)
  return { main: target, logs: logs ?? target }
}

function firstOf(environment: Environment, names: string[], dataDir: string): DatabaseTarget | undefined {
  for (const name of names) {
    const value = environment[name]?.trim()
    if (value) return parseDsn(value, name, dataDir)
  }
  return undefined
}

function embedded(dataDir: string): SqliteTarget {
  return { kind: 'sqlite', path: join(dataDir, 'flotilla.db') }
}

/**
 * Reads one of: `local`; `sqlite:<path>`; `postgres://…`, `postgresql://…`, `mysql://…`, `mariadb://…`; the DSN of Go's MySQL
 * driver, `user:password@tcp(host:3306)/database?parameters` or `@unix(/path)/…`. A password may hold `@`, `:` and `/`: what
 * counts is the last `@` behind which a host and a database can be read.
 * @param variable where the text comes from
 * @throws HubError `settings.invalid`
 */
export function parseDsn(text: string, variable: string, dataDir: string): DatabaseTarget {
  if (text === 'local') return embedded(dataDir)
  const [, scheme, rest = ''] = /^([a-z0-9+]+):(.*)$/is.exec(text) ?? []
  switch (scheme?.toLowerCase()) {
    case 'sqlite':
      return sqliteTarget(rest, variable, dataDir)
    case 'postgres':
    case 'postgresql':
      if (rest.startsWith('//')) return urlTarget('postgres', rest.slice(2), variable)
      break
    case 'mysql':
    case 'mariadb':
      if (rest.startsWith('//')) return urlTarget('mysql', rest.slice(2), variable)
      break
  }
  return goTarget(text, variable)
}

/** How a target may stand in logs and status pages: without its password. */
export function describeTarget(target: DatabaseTarget): string {
  if (target.kind === 'sqlite') return `sqlite:${target.path}`
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  const address = target.host.startsWith('/') ? `(${host})` : `${host}:${target.port}`
  return `${target.kind}://${target.user}@${address}/${target.database}`
}

function sqliteTarget(rest: string, variable: string, dataDir: string): SqliteTarget {
  const path = rest.replace(/^\/\/(?=\/|$)/, '').replace(/\?.*$/, '')
  if (path === '' || path.startsWith('//')) throw invalid(variable, 'it names no file')
  if (path.includes(':memory:'))
    throw invalid(variable, 'a database in memory forgets everything when the hub stops')
  return { kind: 'sqlite', path: isAbsolute(path) ? path : join(dataDir, path) }
}

/** `user:password@host:port/database?parameters`, behind the slashes. */
const ADDRESS = /^(\[[0-9a-f:.%]+\]|[^\s:/?#@[\]]*)(?::(\d{1,5}))?\/([^/?#@]+)(?:\?(.*))?$/is

function urlTarget(kind: 'postgres' | 'mysql', rest: string, variable: string): ServerTarget {
  const found = behindCredentials(rest, ADDRESS)
  if (!found) throw invalid(variable, `it does not read as ${kind}://user:password@host:port/database`)
  const [, host = '', port, database = '', query] = found.match
  const parameters = new URLSearchParams(query)
  const [user, password] = splitOnce(found.credentials)
  return {
    kind,
    host: decode(host).replace(/^\[|\]$/g, '') || parameters.get('host') || '127.0.0.1',
    port: readPort(port, kind === 'postgres' ? 5_432 : 3_306, variable),
    user: decode(user),
    password: decode(password),
    database: decode(database),
    ...(kind === 'postgres' ? postgresTls(parameters, variable) : mysqlTls(parameters, variable)),
  }
}

/** `tcp(host:3306)/database?parameters` or `unix(/path)/database`; both parts before the slash may be missing. */
const GO_ADDRESS = /^(?:(tcp|tcp4|tcp6|unix)(?:\(([^()]*)\))?)?\/([^/?#@]+)(?:\?(.*))?$/is

function goTarget(text: string, variable: string): ServerTarget {
  const found = behindCredentials(text, GO_ADDRESS)
  if (!found)
    throw invalid(
      variable,
      'it is neither a database URL nor of the form user:password@tcp(host:3306)/database',
    )
  const [, network = 'tcp', address = '', database = '', query] = found.match
  const [user, password] = splitOnce(found.credentials)
  const shared = {
    kind: 'mysql' as const,
    user,
    password,
    database: decode(database),
    ...mysqlTls(new URLSearchParams(query), variable),
  }
  if (network.toLowerCase() === 'unix') return { ...shared, host: address || '/tmp/mysql.sock', port: 3_306 }
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(address) ?? []
  if (address !== '' && host === '') throw invalid(variable, 'the address in parentheses is not host:port')
  return {
    ...shared,
    host: host.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: readPort(port, 3_306, variable),
  }
}

interface Found {
  readonly credentials: string
  readonly match: RegExpExecArray
}

/** Cuts at the last `@` behind which `address` matches; without credentials the whole text may match. */
function behindCredentials(text: string, address: RegExp): Found | undefined {
  for (let at = text.lastIndexOf('@'); at >= 0; at = at === 0 ? -1 : text.lastIndexOf('@', at - 1)) {
    const match = address.exec(text.slice(at + 1))
    if (match) return { credentials: text.slice(0, at), match }
  }
  const match = address.exec(text)
  return match ? { credentials: '', match } : undefined
}

function splitOnce(credentials: string): [user: string, password: string] {
  const colon = credentials.indexOf(':')
  return colon === -1 ? [credentials, ''] : [credentials.slice(0, colon), credentials.slice(colon + 1)]
}

/** Percent signs that encode nothing stand for themselves: not everybody escapes a password. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function readPort(text: string | undefined, standard: number, variable: string): number {
  if (text === undefined) return standard
  const port = Number(text)
  if (port < 1 || port > 65_535) throw invalid(variable, 'its port is not between 1 and 65535')
  return port
}

type Tls = Pick<ServerTarget, 'tls' | 'caFile'>

/** The words of libpq, and `no-verify` of node-postgres. `prefer` cannot be had: it counts as no encryption. */
const SSL_MODES = new Map<string, TlsMode>([
  ['disable', 'off'],
  ['allow', 'off'],
  ['prefer', 'off'],
  ['require', 'unverified'],
  ['no-verify', 'unverified'],
  ['verify-ca', 'verified'],
  ['verify-full', 'verified'],
])

function postgresTls(parameters: URLSearchParams, variable: string): Tls {
  const mode = parameters.get('sslmode') ?? 'disable'
  const tls = SSL_MODES.get(mode.toLowerCase())
  if (!tls) throw invalid(variable, `its sslmode is none of ${[...SSL_MODES.keys()].join(', ')}`)
  return { tls, caFile: parameters.get('sslrootcert') ?? undefined }
}

/** `tls` as Go's driver has it, `ssl-mode` as the MySQL programs have it. */
const MYSQL_TLS = new Map<string, TlsMode>([
  ['false', 'off'],
  ['disabled', 'off'],
  ['preferred', 'off'],
  ['skip-verify', 'unverified'],
  ['required', 'unverified'],
  ['true', 'verified'],
  ['verify_ca', 'verified'],
  ['verify_identity', 'verified'],
])

function mysqlTls(parameters: URLSearchParams, variable: string): Tls {
  const mode = parameters.get('tls') ?? parameters.get('ssl-mode') ?? 'false'
  const tls = MYSQL_TLS.get(mode.toLowerCase())
  if (!tls) throw invalid(variable, `its tls or ssl-mode is none of ${[...MYSQL_TLS.keys()].join(', ')}`)
  return { tls, caFile: parameters.get('ssl-ca') ?? undefined }
}

function invalid(variable: string, why: string): HubError {
  return new HubError('settings.invalid', `The database in ${variable} cannot be understood: ${why}.`, {
    data: { variable },
    cure:
      'Examples: "local", "sqlite:/data/hub.db", "postgres://user:password@host:5432/database", ' +
      '"user:password@tcp(host:3306)/database".',
  })
}
