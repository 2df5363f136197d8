import { describe, expect, test } from 'vitest'
import { type DatabaseTls, mysqlTls, type PemOption, postgresTls, type Verified } from './database-tls.ts'

class Refused extends Error {}

function refuse(why: string, cure: string): Error {
  return new Refused(`${why}. ${cure}`)
}

const ENGINES = { postgres: postgresTls, mysql: mysqlTls }
type Engine = keyof typeof ENGINES

function read(engine: Engine, query: string, host = 'db'): DatabaseTls | undefined {
  return ENGINES[engine](new URLSearchParams(query), host, refuse)
}

function encrypted(verify: Verified, more: Partial<DatabaseTls> = {}): DatabaseTls {
  return { verify, ca: undefined, own: undefined, ...more }
}

function file(option: string, path: string): PemOption {
  return { option, path }
}

describe('PostgreSQL, as libpq has it', () => {
  const ca = file('sslrootcert', '/ca.pem')
  const own = { cert: file('sslcert', '/me.pem'), key: file('sslkey', '/me.key') }

  test.each<[string, DatabaseTls | undefined]>([
    ['', undefined],
    ['application_name=x&uselibpqcompat=true', undefined],
    ['sslmode=disable', undefined],
    ['sslmode=disable&sslrootcert=/ca.pem', undefined],
    ['sslmode=require', encrypted('nothing')],
    ['sslmode=no-verify', encrypted('nothing')],
    ['sslmode=require&sslrootcert=/ca.pem', encrypted('chain', { ca })],
    ['sslmode=verify-ca&sslrootcert=/ca.pem', encrypted('chain', { ca })],
    ['sslmode=verify-full', encrypted('name')],
    ['sslmode=verify-full&sslrootcert=/ca.pem', encrypted('name', { ca })],
    ['sslMode=Verify-Full&SSLROOTCERT=/ca.pem', encrypted('name', { ca })],
    ['sslmode=verify-full&sslrootcert=system', encrypted('name', { ca: 'system' })],
    ['sslrootcert=system', encrypted('name', { ca: 'system' })],
    ['sslmode=require&sslcert=/me.pem&sslkey=/me.key', encrypted('nothing', { own })],
    ['sslmode=require&channel_binding=prefer&gssencmode=disable', encrypted('nothing')],
    ['sslmode=require&sslnegotiation=postgres', encrypted('nothing')],
  ])('understands "%s"', (query, expected) => {
    expect(read('postgres', query)).toEqual(expected)
  })

  test.each([
    ['sslmode=prefer', 'sslmode=prefer leaves it to the network'],
    ['sslmode=allow', 'sslmode=allow leaves it to the network'],
    ['sslmode=on', 'its sslmode is none of disable, allow'],
    ['sslmode=', 'its sslmode is none of'],
    ['sslmode=require&sslmode=disable', 'it has sslmode more than once'],
    ['sslrootcert=/ca.pem', 'Add sslmode=verify-full'],
    ['sslcert=/me.pem&sslkey=/me.key', 'Add sslmode=verify-full'],
    ['sslmode=verify-full&sslrootcert=', 'its sslrootcert names no file'],
    ['sslmode=verify-full&sslcert=/me.pem', 'Give sslcert and sslkey'],
    ['sslmode=verify-full&sslkey=/me.key', 'Give sslcert and sslkey'],
    ['sslmode=verify-ca', 'Name its file in sslrootcert'],
    ['sslmode=verify-ca&sslrootcert=system', 'Name its file in sslrootcert'],
    ['sslmode=require&sslrootcert=system', 'Name its file in sslrootcert'],
    ['sslmode=no-verify&sslrootcert=/ca.pem', 'says not to check the certificate'],
    ['ssl=true', 'it has ssl, which is not supported'],
    ['ssl=0', 'it has ssl, which is not supported'],
    ['tls=true', 'it has tls, which is not supported'],
    ['requiressl=1', 'it has requiressl, which is not supported'],
    ['sslmode=verify-full&sslcrl=/crl.pem', 'it has sslcrl, which is not supported'],
    [
      'sslmode=verify-full&ssl_min_protocol_version=TLSv1.3',
      'ssl_min_protocol_version, which is not supported',
    ],
    ['sslmode=require&sslnegotiation=direct', 'sslnegotiation can only be postgres'],
    ['sslmode=require&channel_binding=require', 'channel_binding can only be disable or prefer'],
    ['gssencmode=require', 'gssencmode can only be disable or prefer'],
  ])('refuses "%s"', (query, why) => {
    expect(() => read('postgres', query)).toThrow(Refused)
    expect(() => read('postgres', query)).toThrow(why)
  })

  test('has no TLS over a Unix socket', () => {
    expect(read('postgres', 'sslmode=disable', '/run/postgresql')).toBeUndefined()
    expect(() => read('postgres', 'sslmode=require', '/run/postgresql')).toThrow('over a Unix socket')
  })

  test.each(['127.0.0.1', '::1'])('can compare a certificate with the address %s', (host) => {
    expect(read('postgres', 'sslmode=verify-full', host)).toEqual(encrypted('name'))
  })
})

describe("MySQL, as its programs and Go's driver have it", () => {
  const ca = file('ssl-ca', '/ca.pem')
  const own = { cert: file('ssl-cert', '/me.pem'), key: file('ssl-key', '/me.key') }

  test.each<[string, DatabaseTls | undefined]>([
    ['', undefined],
    ['charset=utf8mb4&parseTime=True&loc=Local', undefined],
    ['tls=false', undefined],
    ['tls=skip-verify', encrypted('nothing')],
    ['tls=true', encrypted('name')],
    ['tls=True', encrypted('name')],
    ['tls=1', encrypted('name')],
    ['tls=true&ssl-ca=/ca.pem', encrypted('name', { ca })],
    ['tls=true&ssl-ca=system', encrypted('name', { ca: file('ssl-ca', 'system') })],
    ['ssl-mode=DISABLED', undefined],
    ['ssl-mode=REQUIRED', encrypted('nothing')],
    ['sslMode=REQUIRED', encrypted('nothing')],
    ['ssl-mode=VERIFY_CA&ssl-ca=/ca.pem', encrypted('chain', { ca })],
    ['ssl-mode=VERIFY_IDENTITY', encrypted('name')],
    ['ssl-mode=verify_identity&ssl-ca=/ca.pem', encrypted('name', { ca })],
    ['ssl-mode=REQUIRED&ssl-cert=/me.pem&ssl-key=/me.key', encrypted('nothing', { own })],
  ])('understands "%s"', (query, expected) => {
    expect(read('mysql', query)).toEqual(expected)
  })

  test.each([
    ['tls=preferred', 'tls=preferred leaves it to the network'],
    ['ssl-mode=PREFERRED', 'ssl-mode=preferred leaves it to the network'],
    ['tls=custom', 'its tls is none of false, 0, preferred, skip-verify, true, 1'],
    ['tls=REQUIRED', 'its tls is none of'],
    ['ssl-mode=true', 'its ssl-mode is none of'],
    ['tls=true&ssl-mode=DISABLED', 'it has both ssl-mode and tls'],
    ['ssl-mode=REQUIRED&sslmode=DISABLED', 'it has both ssl-mode and sslmode'],
    ['ssl-ca=/ca.pem', 'Add tls=true'],
    ['ssl-mode=REQUIRED&ssl-ca=/ca.pem', 'says not to check the certificate'],
    ['tls=skip-verify&ssl-ca=/ca.pem', 'says not to check the certificate'],
    ['ssl-mode=VERIFY_CA', 'Name its file in ssl-ca'],
    ['tls=true&ssl-cert=/me.pem', 'Give ssl-cert and ssl-key'],
    ['tls=true&sslrootcert=/ca.pem', 'it has sslrootcert, which is not supported'],
    ['tls=true&ssl_ca=/ca.pem', 'it has ssl_ca, which is not supported'],
    ['tls=true&ssl-capath=/certs', 'it has ssl-capath, which is not supported'],
    ['tls=true&tls-version=TLSv1.3', 'it has tls-version, which is not supported'],
    ['useSSL=true', 'it has useSSL, which is not supported'],
    ['trustServerCertificate=false', 'it has trustServerCertificate, which is not supported'],
    ['encrypt=true', 'it has encrypt, which is not supported'],
  ])('refuses "%s"', (query, why) => {
    expect(() => read('mysql', query)).toThrow(Refused)
    expect(() => read('mysql', query)).toThrow(why)
  })

  test.each(['127.0.0.1', '::1', '/run/mysqld/mysqld.sock'])('has no name to check at %s', (host) => {
    expect(() => read('mysql', 'tls=true', host)).toThrow('Give the host by its name')
    expect(read('mysql', 'ssl-mode=VERIFY_CA&ssl-ca=/ca.pem', host)).toEqual(encrypted('chain', { ca }))
  })
})
