import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import type { DatabaseTls, Verified } from './database-tls.ts'
import { describeTarget, parseDsn, readTargets, type ServerTarget } from './dsn.ts'

const DATA = '/var/lib/flotilla'

function server(kind: 'postgres' | 'mysql', more: Partial<ServerTarget> = {}): ServerTarget {
  return {
    kind,
    host: 'db',
    port: kind === 'postgres' ? 5_432 : 3_306,
    user: 'root',
    password: 'password',
    database: 'hub',
    tls: undefined,
    ...more,
  }
}

function encrypted(verify: Verified): DatabaseTls {
  return { verify, ca: undefined, own: undefined }
}

function read(text: string) {
  return parseDsn(text, 'SQL_DSN', DATA)
}

describe('where the database is', () => {
  test('[R226] is a file in the data folder when nothing says otherwise', () => {
    const file = { kind: 'sqlite', path: '/var/lib/flotilla/flotilla.db' }
    expect(readTargets({}, DATA)).toEqual({ main: file, logs: file })
    expect(readTargets({ SQL_DSN: '', DB_URL: ' ' }, DATA)).toEqual({ main: file, logs: file })
    expect(readTargets({ SQL_DSN: 'local' }, DATA).main).toEqual(file)
  })

  test('[R185] is said by SQL_DSN first, then DB_URL, then DATABASE_URL', () => {
    const all = {
      SQL_DSN: 'root:password@tcp(db:3306)/hub',
      DB_URL: 'postgres://root:password@db/hub',
      DATABASE_URL: 'sqlite:x.db',
    }
    expect(readTargets(all, DATA).main).toEqual(server('mysql'))
    expect(readTargets({ ...all, SQL_DSN: undefined }, DATA).main).toEqual(server('postgres'))
    expect(readTargets({ DATABASE_URL: all.DATABASE_URL }, DATA).main).toEqual({
      kind: 'sqlite',
      path: `${DATA}/x.db`,
    })
  })

  test('[R202] may be another place for the logs', () => {
    const targets = readTargets({ SQL_DSN: 'local', LOG_SQL_DSN: 'root:password@tcp(db:3306)/hub' }, DATA)
    expect(targets).toEqual({ main: { kind: 'sqlite', path: `${DATA}/flotilla.db` }, logs: server('mysql') })
  })
})

describe('a DSN', () => {
  test.each<[string, ServerTarget]>([
    ['root:password@tcp(db:3306)/hub', server('mysql')],
    ['root:password@tcp(db)/hub?charset=utf8mb4&parseTime=True&loc=Local', server('mysql')],
    ['root:password@tcp(db:3307)/hub?loc=Asia%2FShanghai', server('mysql', { port: 3_307 })],
    ['root:password@/hub', server('mysql', { host: '127.0.0.1' })],
    ['root:password@tcp/hub', server('mysql', { host: '127.0.0.1' })],
    ['root@tcp(db)/hub', server('mysql', { password: '' })],
    ['root:password@tcp([2001:db8::1]:3306)/hub', server('mysql', { host: '2001:db8::1' })],
    ['root:password@unix(/run/mysqld/mysqld.sock)/hub', server('mysql', { host: '/run/mysqld/mysqld.sock' })],
    ['root:p@ss:w/rd@tcp(db:3306)/hub', server('mysql', { password: 'p@ss:w/rd' })],
    ['root:a@tcp(x)/y@tcp(db:3306)/hub', server('mysql', { password: 'a@tcp(x)/y' })],
    ['root:100%25@tcp(db)/hub', server('mysql', { password: '100%25' })],
    ['root:password@tcp(db)/hub?tls=true', server('mysql', { tls: encrypted('name') })],
    [
      'root:password@unix(/run/m.sock)/hub?tls=skip-verify',
      server('mysql', { host: '/run/m.sock', tls: encrypted('nothing') }),
    ],
    ['mysql://root:password@db/hub', server('mysql')],
    ['mariadb://root:password@db:3307/hub', server('mysql', { port: 3_307 })],
    ['mysql://root:password@db/hub?ssl-mode=REQUIRED', server('mysql', { tls: encrypted('nothing') })],
    ['postgres://root:password@db/hub', server('postgres')],
    ['postgresql://root:password@db:5433/hub', server('postgres', { port: 5_433 })],
    ['POSTGRES://root:password@db/hub?sslmode=require', server('postgres', { tls: encrypted('nothing') })],
    ['postgres://root:p%40ss%3Aw%2Frd@db/hub', server('postgres', { password: 'p@ss:w/rd' })],
    ['postgres://root:p@ss:w/rd?#%@db/hub', server('postgres', { password: 'p@ss:w/rd?#%' })],
    ['postgres://root:password@db/hub?application_name=a@b', server('postgres')],
    [
      'postgres://ro%40ot:password@[::1]/h%20b',
      server('postgres', { user: 'ro@ot', host: '::1', database: 'h b' }),
    ],
    ['postgres://root:password@/hub?host=/run/postgresql', server('postgres', { host: '/run/postgresql' })],
    ['postgres://db/hub', server('postgres', { user: '', password: '' })],
  ])('%s is understood', (text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  test.each([
    ['sqlite:/data/hub.db', '/data/hub.db'],
    ['sqlite:///data/hub.db', '/data/hub.db'],
    ['sqlite:hub.db', `${DATA}/hub.db`],
    ['sqlite:./sub/hub.db?mode=rwc', `${DATA}/sub/hub.db`],
  ])('%s is a file', (text, path) => {
    expect(read(text)).toEqual({ kind: 'sqlite', path })
  })

  test.each([
    'secret',
    'root:secret@tcp(db:3306)',
    'root:secret@tcp(db:99999)/hub',
    'root:secret@tcp(a:b:c)/hub',
    'root:secret@udp(db)/hub',
    'root:secret@tcp(db)/hub?tls=secret',
    'postgres://root:secret@db',
    'postgres:root:secret@db/hub',
    'postgres://root:secret@db:0/hub',
    'postgres://root:secret@db/hub?sslmode=secret',
    'postgres://root:secret@db/hub?sslmode=prefer',
    'postgres://root:secret@db/hub?sslmode=require&sslpassword=secret',
    'postgres://root:secret@/hub?host=/run/postgresql&sslmode=require',
    'mysql://root:secret@127.0.0.1/hub?ssl-mode=VERIFY_IDENTITY',
    'root:secret@tcp([::1]:3306)/hub?tls=true',
    'root:secret@unix(/run/m.sock)/hub?tls=true',
    'oracle://root:secret@db/hub',
    'sqlite:',
    'sqlite://',
    'sqlite::memory:',
  ])('%s is refused, by the name of its variable and without its password', (text) => {
    try {
      parseDsn(text, 'DB_URL', DATA)
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      expect(error.code).toBe('settings.invalid')
      expect(error.message).toContain('DB_URL')
      expect(`${error.message}${error.cure}${JSON.stringify(error.data)}`).not.toContain('secret')
    }
  })

  test.each([
    ['local', 'sqlite:/var/lib/flotilla/flotilla.db'],
    ['root:p@ss@tcp(db:3306)/hub', 'mysql://root@db:3306/hub'],
    ['root:p@ss@unix(/run/m.sock)/hub', 'mysql://root@(/run/m.sock)/hub'],
    ['postgres://root:p@ss@[::1]/hub?sslmode=require', 'postgres://root@[::1]:5432/hub'],
  ])('%s stands in logs as %s', (text, described) => {
    expect(describeTarget(read(text))).toBe(described)
  })
})
