import { isAbsolute, join } from 'node:path'
import { HubError } from '../../domain/errors.ts'
import { type DatabaseTls, mysqlTls, postgresTls, type Refuse } from './database-tls.ts'

export interface SqliteTarget {
  readonly kind: 'sqlite'
  readonly path: string
}

export interface ServerTarget {
  readonly kind: 'postgres' | 'mysql'
  /** A name or address; for a Unix socket its path (MySQL) or its folder (PostgreSQL), which begins with `/`. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** undefined: nothing is encrypted. */
  readonly tls: DatabaseTls | undefined
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
  const name = decode(host).replace(/^\[|\]$/g, '') || parameters.get('host') || '127.0.0.1'
  const readTls = kind === 'postgres' ? postgresTls : mysqlTls
  return {
    kind,
    host: name,
    port: readPort(port, kind === 'postgres' ? 5_432 : 3_306, variable),
    user: decode(user),
    password: decode(password),
    database: decode(database),
    tls: readTls(parameters, name, refuseTls(variable)),
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
  const place = network.toLowerCase() === 'unix' ? socketPlace(address) : tcpPlace(address, variable)
  return {
    kind: 'mysql',
    ...place,
    user,
    password,
    database: decode(database),
    tls: mysqlTls(new URLSearchParams(query), place.host, refuseTls(variable)),
  }
}

type Place = Pick<ServerTarget, 'host' | 'port'>

function socketPlace(path: string): Place {
  return { host: path || '/tmp/mysql.sock', port: 3_306 }
}

function tcpPlace(address: string, variable: string): Place {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(address) ?? []
  if (address !== '' && host === '') throw invalid(variable, 'the address in parentheses is not host:port')
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: readPort(port, 3_306, variable) }
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

function refuseTls(variable: string): Refuse {
  return (why, cure) =>
    new HubError(
      'settings.invalid',
      `The TLS options of the database in ${variable} cannot be met: ${why}.`,
      {
        data: { variable },
        cure,
      },
    )
}

function invalid(variable: string, why: string): HubError {
  return new HubError('settings.invalid', `The database in ${variable} cannot be understood: ${why}.`, {
    data: { variable },
    cure:
      'Examples: "local", "sqlite:/data/hub.db", "postgres://user:password@host:5432/database", ' +
      '"user:password@tcp(host:3306)/database".',
  })
}
