import { isIP } from 'node:net'

/** What of the server's certificate is checked: nothing, who has signed it, or that and the name in it. */
export type Verified = 'nothing' | 'chain' | 'name'

/** The option that names a PEM file, and its path. */
export interface PemOption {
  readonly option: string
  readonly path: string
}

export interface DatabaseTls {
  readonly verify: Verified
  /** Whose signatures count; `system`: those of the operating system's authorities; undefined: those of Node's. */
  readonly ca: PemOption | 'system' | undefined
  /** What the hub shows of itself. */
  readonly own: { readonly cert: PemOption; readonly key: PemOption } | undefined
}

/** Makes the error for what cannot be done as it is written. */
export type Refuse = (why: string, cure: string) => Error

/** `by ca`: the chain is checked if an authority is named, else nothing. */
type Mode = 'plain' | 'by ca' | Verified

/** How one family of drivers writes its wishes; all names in lower case. */
interface Vocabulary {
  /** The options that say whether there is TLS, the usual one first, with their words. */
  readonly modes: ReadonlyMap<string, ReadonlyMap<string, Mode | 'opportunistic'>>
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** The path that stands for the authorities of the operating system. */
  readonly systemCa: string | undefined
  /** Options that need nothing done as long as they have one of these values. */
  readonly harmless: ReadonlyMap<string, readonly string[]>
  /** What to write for a connection on which everything is checked. */
  readonly advice: string
}

/** Whatever is named so may be a wish for encryption, and must not be passed over. */
const SENSITIVE = /ssl|tls|cert|encrypt|^gssencmode$|^channel_binding$/

/** https://www.postgresql.org/docs/current/libpq-ssl.html; `no-verify` is a word of node-postgres. */
const LIBPQ: Vocabulary = {
  modes: new Map([
    [
      'sslmode',
      new Map<string, Mode | 'opportunistic'>([
        ['disable', 'plain'],
        ['allow', 'opportunistic'],
        ['prefer', 'opportunistic'],
        ['require', 'by ca'],
        ['no-verify', 'nothing'],
        ['verify-ca', 'chain'],
        ['verify-full', 'name'],
      ]),
    ],
  ]),
  ca: 'sslrootcert',
  cert: 'sslcert',
  key: 'sslkey',
  systemCa: 'system',
  harmless: new Map([
    ['channel_binding', ['disable', 'prefer']],
    ['gssencmode', ['disable', 'prefer']],
    ['sslnegotiation', ['postgres']],
  ]),
  advice: 'sslmode=verify-full',
}

/** https://dev.mysql.com/doc/refman/8.4/en/connection-options.html */
const SSL_MODE = new Map<string, Mode | 'opportunistic'>([
  ['disabled', 'plain'],
  ['preferred', 'opportunistic'],
  ['required', 'nothing'],
  ['verify_ca', 'chain'],
  ['verify_identity', 'name'],
])

/** https://github.com/go-sql-driver/mysql#tls */
const GO_TLS = new Map<string, Mode | 'opportunistic'>([
  ['false', 'plain'],
  ['0', 'plain'],
  ['preferred', 'opportunistic'],
  ['skip-verify', 'nothing'],
  ['true', 'name'],
  ['1', 'name'],
])

const MYSQL: Vocabulary = {
  modes: new Map([
    ['ssl-mode', SSL_MODE],
    ['sslmode', SSL_MODE],
    ['tls', GO_TLS],
  ]),
  ca: 'ssl-ca',
  cert: 'ssl-cert',
  key: 'ssl-key',
  systemCa: undefined,
  harmless: new Map(),
  advice: 'tls=true or ssl-mode=VERIFY_IDENTITY',
}

/** @param host begins with `/` for a Unix socket */
export function postgresTls(
  parameters: URLSearchParams,
  host: string,
  refuse: Refuse,
): DatabaseTls | undefined {
  const tls = readTls(parameters, LIBPQ, refuse)
  if (tls && host.startsWith('/'))
    throw refuse('PostgreSQL speaks no TLS over a Unix socket', 'Leave the TLS options out.')
  return tls
}

/** @param host begins with `/` for a Unix socket */
export function mysqlTls(parameters: URLSearchParams, host: string, refuse: Refuse): DatabaseTls | undefined {
  const tls = readTls(parameters, MYSQL, refuse)
  // Given an address, mysql2 would look for the name "localhost" in the certificate.
  if (tls?.verify === 'name' && (isIP(host) !== 0 || host.startsWith('/')))
    throw refuse(
      'the name in the certificate cannot be compared with an address or a path',
      'Give the host by its name, or check only who has signed: ssl-mode=VERIFY_CA with ssl-ca.',
    )
  return tls
}

function readTls(
  parameters: URLSearchParams,
  vocabulary: Vocabulary,
  refuse: Refuse,
): DatabaseTls | undefined {
  const options = readOptions(parameters, vocabulary, refuse)
  const ca = readCa(options, vocabulary, refuse)
  const own = readOwn(options, vocabulary, refuse)
  const mode = readMode(options, vocabulary, refuse) ?? (ca === 'system' ? 'name' : undefined)
  if (mode === 'plain') return undefined
  if (mode !== undefined) return { verify: verified(mode, ca, vocabulary, refuse), ca, own }
  if (ca ?? own)
    throw refuse(
      'it names files for TLS, and does not say how far to check the server',
      `Add ${vocabulary.advice}.`,
    )
  return undefined
}

type Options = ReadonlyMap<string, string>

function readOptions(parameters: URLSearchParams, vocabulary: Vocabulary, refuse: Refuse): Options {
  const { modes, ca, cert, key, harmless, advice } = vocabulary
  const known = [...modes.keys(), ca, cert, key]
  const options = new Map<string, string>()
  for (const [written, value] of parameters) {
    const name = written.toLowerCase()
    if (known.includes(name)) {
      if (options.has(name)) throw refuse(`it has ${name} more than once`, 'Say it once.')
      options.set(name, value)
    } else if (SENSITIVE.test(name) && !harmless.get(name)?.includes(value.toLowerCase())) {
      const values = harmless.get(name)
      throw refuse(
        values ? `${name} can only be ${values.join(' or ')}` : `it has ${written}, which is not supported`,
        `Leave it out. What is supported: ${known.join(', ')}. To check everything write ${advice}.`,
      )
    }
  }
  return options
}

function readMode(options: Options, { modes, advice }: Vocabulary, refuse: Refuse): Mode | undefined {
  const [name, second] = [...modes.keys()].filter((option) => options.has(option))
  if (name === undefined) return undefined
  if (second !== undefined) throw refuse(`it has both ${name} and ${second}`, 'Give only one of them.')
  const words = modes.get(name)
  const mode = words?.get(options.get(name)?.toLowerCase() ?? '')
  if (mode === undefined)
    throw refuse(`its ${name} is none of ${[...(words?.keys() ?? [])].join(', ')}`, `Write ${advice}.`)
  if (mode === 'opportunistic')
    throw refuse(
      `${name}=${options.get(name)?.toLowerCase()} leaves it to the network whether there is TLS; the drivers do with it or without`,
      `Insist on it with ${advice}, or leave the TLS options out to do without.`,
    )
  return mode
}

function readCa(options: Options, { ca, systemCa }: Vocabulary, refuse: Refuse): DatabaseTls['ca'] {
  const file = readFileOption(options, ca, refuse)
  return file !== undefined && file.path === systemCa ? 'system' : file
}

function readOwn(options: Options, vocabulary: Vocabulary, refuse: Refuse): DatabaseTls['own'] {
  const cert = readFileOption(options, vocabulary.cert, refuse)
  const key = readFileOption(options, vocabulary.key, refuse)
  if (cert && key) return { cert, key }
  if (cert ?? key)
    throw refuse('a certificate needs its key', `Give ${vocabulary.cert} and ${vocabulary.key}.`)
  return undefined
}

function readFileOption(options: Options, option: string, refuse: Refuse): PemOption | undefined {
  const path = options.get(option)
  if (path === '') throw refuse(`its ${option} names no file`, 'Give the path of a PEM file.')
  return path === undefined ? undefined : { option, path }
}

/** An authority that is named is asked, and one that is needed is named. */
function verified(
  mode: 'by ca' | Verified,
  ca: DatabaseTls['ca'],
  vocabulary: Vocabulary,
  refuse: Refuse,
): Verified {
  const verify = mode === 'by ca' ? (ca ? 'chain' : 'nothing') : mode
  const insist = `To check everything write ${vocabulary.advice}.`
  if (verify === 'nothing' && ca)
    throw refuse(`it names an authority (${vocabulary.ca}), and says not to check the certificate`, insist)
  // Anybody can have a certificate of a public authority, for a name of their own.
  if (verify === 'chain' && (ca === undefined || ca === 'system'))
    throw refuse(
      `without the name in the certificate only an authority of one's own tells anything`,
      `Name its file in ${vocabulary.ca}. ${insist}`,
    )
  return verify
}
