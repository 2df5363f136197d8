import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HubError } from '../src/domain/errors.ts'
import { readTargets } from '../src/state/storage/dsn.ts'
import { Authority, type Certificate } from './harness/certificates.ts'
import {
  CERTIFIED,
  type DatabaseServer,
  type DatabaseSetup,
  PASSWORD,
  startMariaDb,
  startPostgres,
} from './harness/databases.ts'
import { runFlotilla } from './harness/hub-process.ts'
import { openRaw, openStorage } from './storage-contract/engine.ts'
import { user } from './storage-contract/records.ts'

/** Installing a server takes its time, once. */
const START_MS = 300_000

let folder: string
let ours: Authority
let others: Authority
/** For `localhost`, and not for 127.0.0.1. */
let right: Certificate
let misnamed: Certificate
let expired: Certificate
let client: Certificate
let foreign: Certificate

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-database-tls-'))
  ours = await Authority.make(folder, 'ours')
  others = await Authority.make(folder, 'others')
  right = await ours.sign('right', 2, 'DNS:localhost')
  misnamed = await ours.sign('misnamed', 2, 'DNS:database.example')
  expired = await ours.sign('expired', -1, 'DNS:localhost')
  client = await ours.sign('client')
  foreign = await others.sign('foreign')
}, START_MS)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A kind of database server, and how its users write what they want. */
interface Kind {
  start(setup: DatabaseSetup): Promise<DatabaseServer>
  readonly unchecked: string
  readonly chain: string
  readonly all: string
  readonly caOption: string
  own(certificate: Certificate): string
  /** One column, `encrypted`, of this connection. */
  readonly encrypted: string
  /** MariaDB does not say why it refuses whoever speaks no TLS. */
  readonly refusesPlain: 'tls-required' | 'denied'
}

const POSTGRES: Kind = {
  start: startPostgres,
  unchecked: 'sslmode=require',
  chain: 'sslmode=verify-ca',
  all: 'sslmode=verify-full',
  caOption: 'sslrootcert',
  own: ({ cert, key }) => `sslcert=${cert}&sslkey=${key}`,
  encrypted: 'select ssl as encrypted from pg_stat_ssl where pid = pg_backend_pid()',
  refusesPlain: 'tls-required',
}

const MARIADB: Kind = {
  start: startMariaDb,
  unchecked: 'tls=skip-verify',
  chain: 'ssl-mode=VERIFY_CA',
  all: 'tls=true',
  caOption: 'ssl-ca',
  own: ({ cert, key }) => `ssl-cert=${cert}&ssl-key=${key}`,
  encrypted: `select variable_value <> '' as encrypted from information_schema.session_status
    where variable_name = 'SSL_CIPHER'`,
  refusesPlain: 'denied',
}

/** A database on a server that shows one certificate after the other. */
class Place {
  readonly kind: Kind
  readonly server: DatabaseServer
  /** By name and without options. */
  readonly dsn: string
  readonly #show: (certificate: Certificate) => void

  static async start(kind: Kind): Promise<Place> {
    let shown = right
    const server = await kind.start({ tls: () => ({ ...shown, ca: ours.ca }) })
    const dsn = (await server.createDatabase()).replace('127.0.0.1', 'localhost')
    return new Place(kind, server, dsn, (certificate) => {
      shown = certificate
    })
  }

  private constructor(
    kind: Kind,
    server: DatabaseServer,
    dsn: string,
    show: (certificate: Certificate) => void,
  ) {
    this.kind = kind
    this.server = server
    this.dsn = dsn
    this.#show = show
  }

  async showing(certificate: Certificate, work: () => Promise<void>): Promise<void> {
    await this.#restart(certificate)
    try {
      await work()
    } finally {
      await this.#restart(right)
    }
  }

  async #restart(certificate: Certificate): Promise<void> {
    this.#show(certificate)
    await this.server.stop()
    await this.server.start()
  }
}

function targets(dsn: string) {
  return readTargets({ SQL_DSN: dsn }, '/nowhere')
}

async function isEncrypted({ kind }: Place, dsn: string): Promise<boolean> {
  const raw = await openRaw(targets(dsn))
  try {
    const { rows } = await sql.raw<{ readonly encrypted: unknown }>(kind.encrypted).execute(raw.db)
    return Boolean(rows[0]?.encrypted)
  } finally {
    await raw.close()
  }
}

/** What the hub says when it opens a database that it must not open, in which the password stands nowhere. */
async function refusal(dsn: string): Promise<HubError> {
  const error = await (async () => openStorage(targets(dsn)))().then(
    async (storage) => {
      await storage.close()
      throw new Error(`It was opened: ${dsn}`)
    },
    (reason: unknown) => reason,
  )
  if (!(error instanceof HubError)) throw error
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(PASSWORD)
  return error
}

async function expectRefused(dsn: string, reason: string, cure: string): Promise<void> {
  expect(await refusal(dsn)).toMatchObject({
    code: 'storage.unavailable',
    data: { reason },
    cure: expect.stringContaining(cure),
  })
}

let place: Place

/** @param more what is true of this kind only */
function tlsContract(name: string, kind: Kind, more: () => void): void {
  describe(name, () => {
    beforeAll(async () => {
      place = await Place.start(kind)
    }, START_MS)
    afterAll(() => place.server.close())
    checksContract(kind)
    more()
  })
}

function checksContract(kind: Kind): void {
  const { unchecked, chain, all, caOption, own } = kind
  const trusting = ({ ca }: Authority) => `${caOption}=${ca}`

  test('refuses who asks for nothing, and the hub says where TLS is asked for', async () => {
    await expectRefused(place.dsn, kind.refusesPlain, 'TLS')
  })

  test('is spoken to without a look at its certificate, if that is enough', async () => {
    expect(await isEncrypted(place, `${place.dsn}?${unchecked}`)).toBe(true)
  })

  test('keeps everything that the hub keeps, when all is checked', async () => {
    const dsn = `${place.dsn}?${all}&${trusting(ours)}`
    const storage = await openStorage(targets(dsn))
    await storage.users.create(user('alice'))
    expect(await storage.users.list()).toHaveLength(1)
    await storage.close()
    expect(await isEncrypted(place, dsn)).toBe(true)
  })

  test('is not trusted when nobody, or somebody else, vouches for it', async () => {
    for (const query of [all, `${all}&${trusting(others)}`, `${chain}&${trusting(others)}`])
      await expectRefused(`${place.dsn}?${query}`, 'tls-untrusted', caOption)
  })

  test('may have any address if only its authority counts', async () => {
    const byAddress = place.dsn.replace('localhost', '127.0.0.1')
    expect(await isEncrypted(place, `${byAddress}?${chain}&${trusting(ours)}`)).toBe(true)
  })

  test('is not trusted under a name that is not in its certificate', async () => {
    await place.showing(misnamed, async () => {
      await expectRefused(`${place.dsn}?${all}&${trusting(ours)}`, 'tls-name', 'as the host in SQL_DSN')
      expect(await isEncrypted(place, `${place.dsn}?${chain}&${trusting(ours)}`)).toBe(true)
    })
  }, 120_000)

  test('is not trusted after its time', async () => {
    await place.showing(expired, async () => {
      await expectRefused(`${place.dsn}?${all}&${trusting(ours)}`, 'tls-expired', 'Renew it')
      expect(await isEncrypted(place, `${place.dsn}?${unchecked}`)).toBe(true)
    })
  }, 120_000)

  test('is not asked at all when a file is of no use', async () => {
    const { cert } = client
    for (const [query, why] of [
      [`${all}&${caOption}=/nowhere.pem`, `/nowhere.pem (${caOption}) cannot be read`],
      [`${all}&${caOption}=${client.key}`, `(${caOption}) holds no certificate`],
      [`${unchecked}&${own({ cert, key: '/nowhere.key' })}`, '/nowhere.key'],
      [`${unchecked}&${own({ cert, key: foreign.key })}`, 'cannot be used with'],
    ]) {
      const { code, message } = await refusal(`${place.dsn}?${query}`)
      expect(code).toBe('settings.invalid')
      expect(message).toContain(why)
    }
  })
}

tlsContract('[R183] PostgreSQL that takes encrypted connections only', POSTGRES, () => {
  test('is checked under "require" too, once an authority is named', async () => {
    const dsn = `${place.dsn}?sslmode=require`
    expect(await isEncrypted(place, `${dsn}&sslrootcert=${ours.ca}`)).toBe(true)
    await expectRefused(`${dsn}&sslrootcert=${others.ca}`, 'tls-untrusted', 'sslrootcert')
  })

  test('is not trusted at an address that is not in its certificate', async () => {
    const dsn = place.dsn.replace('localhost', '127.0.0.1')
    await expectRefused(`${dsn}?sslmode=verify-full&sslrootcert=${ours.ca}`, 'tls-name', 'as the host')
  })

  test('sees the certificate of the hub', async () => {
    await place.server.query(`create database ${CERTIFIED}`)
    const dsn = `${place.dsn.replace(/hub_\d+$/, CERTIFIED)}?sslmode=verify-full&sslrootcert=${ours.ca}`
    await expectRefused(dsn, 'tls-client', 'sslcert and sslkey')
    expect(await isEncrypted(place, `${dsn}&sslcert=${client.cert}&sslkey=${client.key}`)).toBe(true)
    expect((await refusal(`${dsn}&sslcert=${foreign.cert}&sslkey=${foreign.key}`)).code).toBe(
      'storage.unavailable',
    )
  })

  test('is asked by commands with what the system, or Node, trusts', async () => {
    const backup = (query: string, env: Record<string, string>) =>
      runFlotilla(['backup', join(folder, `${query}.backup`)], {
        cwd: folder,
        env: { ...env, DATA_DIR: join(folder, 'data'), SQL_DSN: `${place.dsn}?${query}` },
      })
    expect(await backup('sslrootcert=system', { SSL_CERT_FILE: ours.ca })).toMatchObject({ code: 0 })
    expect(await backup('sslmode=verify-full', { NODE_EXTRA_CA_CERTS: ours.ca })).toMatchObject({ code: 0 })
    const refused = await backup('sslmode=prefer', {})
    expect(refused.code).toBe(78)
    expect(refused.stderr).toContain('SQL_DSN cannot be met: sslmode=prefer leaves it to the network')
    expect(refused.stderr).not.toContain(PASSWORD)
  }, 120_000)

  test('is not asked in the way that variables of other programs say', async () => {
    const env = { PGSSLMODE: 'disable', PGSSLNEGOTIATION: 'direct', NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    const { code, stderr } = await runFlotilla(['backup', join(folder, 'never')], {
      cwd: folder,
      env: { ...env, DATA_DIR: join(folder, 'data'), SQL_DSN: `${place.dsn}?sslmode=verify-full` },
    })
    expect(code).not.toBe(0)
    expect(stderr).toContain('no trusted authority has signed')
  }, 120_000)
})

tlsContract('[R183] MariaDB that takes encrypted connections only', MARIADB, () => {
  test('is asked in the words of its own programs too', async () => {
    const url = place.dsn.replace(/^(.*)@tcp\((.*)\)/s, 'mysql://$1@$2')
    const identity = `${url}?ssl-mode=VERIFY_IDENTITY`
    expect(await isEncrypted(place, `${identity}&ssl-ca=${ours.ca}`)).toBe(true)
    expect(await isEncrypted(place, `${url}?ssl-mode=REQUIRED`)).toBe(true)
    await expectRefused(`${identity}&ssl-ca=${others.ca}`, 'tls-untrusted', 'ssl-ca')
  })

  test('is not asked for a name at an address: the driver would take a certificate for "localhost"', async () => {
    const dsn = place.dsn.replace('localhost', '127.0.0.1')
    const { code, cure } = await refusal(`${dsn}?tls=true&ssl-ca=${ours.ca}`)
    expect([code, cure]).toEqual(['settings.invalid', expect.stringContaining('Give the host by its name')])
  })

  test('sees the certificate of the hub', async () => {
    await place.server.query("create user certified@'%' identified by 'secret' require x509")
    await place.server.query("grant all on *.* to certified@'%'")
    const dsn = `${place.dsn.replace(/^.*@(?=tcp)/s, 'certified:secret@')}?tls=true&ssl-ca=${ours.ca}`
    await expectRefused(dsn, 'denied', 'SQL_DSN')
    expect(await isEncrypted(place, `${dsn}&ssl-cert=${client.cert}&ssl-key=${client.key}`)).toBe(true)
    expect((await refusal(`${dsn}&ssl-cert=${foreign.cert}&ssl-key=${foreign.key}`)).code).toBe(
      'storage.unavailable',
    )
  })
})
