import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Certificate } from './certificates.ts'
import { freePort } from './ports.ts'
import { programs } from './programs.ts'
import { until } from './wait.ts'

const run = promisify(execFile)

/** A real database server, made for a test, on a port of its own. */
export interface DatabaseServer {
  /** Makes an empty database; gives its DSN, as `SQL_DSN` takes it. */
  createDatabase(): Promise<string>
  /** Runs SQL as the owner of everything. */
  query(sql: string): Promise<string>
  /** Takes the server away, at once, as a crash would. */
  stop(): Promise<void>
  /** Brings it back with what it had. */
  start(): Promise<void>
  /** Ends it and forgets everything. */
  close(): Promise<void>
}

/** What a server shows, and whose certificates it takes from clients. It then refuses whoever does not encrypt. */
export interface ServerTls extends Certificate {
  /** Path of a PEM file. */
  readonly ca: string
}

export interface DatabaseSetup {
  /** Asked at every start. Without it the server speaks no TLS. */
  readonly tls?: () => ServerTls
}

/** Who connects to this database of PostgreSQL shows a certificate as well, if the server has TLS. */
export const CERTIFIED = 'certified'

/** It holds all that makes passwords hard to read in a DSN. */
export const PASSWORD = 'p@ss:w/rd?#%'
const USER = 'flotilla'

const root = process.getuid?.() === 0

export async function startPostgres({ tls }: DatabaseSetup = {}): Promise<DatabaseServer> {
  const bin = await programs('initdb', 'postgresql', postgresFolders)
  const account = await unprivileged('postgres')
  const folder = await makeFolder('postgres', account)
  const data = join(folder, 'data')
  const secret = join(folder, 'password')
  await writeFile(secret, PASSWORD)
  if (account) await chown(secret, account.uid, account.gid)
  const initdb = ['-D', data, '-U', USER, '--pwfile', secret, '-A', 'scram-sha-256', '-E', 'UTF8', '-N']
  await run(
    join(bin, 'initdb'),
    [...initdb, '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US'],
    { ...account, cwd: folder },
  )
  if (tls) await writeFile(join(data, 'pg_hba.conf'), ONLY_ENCRYPTED)
  const port = await freePort()
  const psql = (database: string, sql: string) =>
    run(
      join(bin, 'psql'),
      ['-h', '127.0.0.1', '-p', String(port), '-U', USER, '-d', database, '-Atqc', sql],
      {
        env: { ...process.env, PGPASSWORD: PASSWORD },
      },
    )
  return started({
    folder,
    program: join(bin, 'postgres'),
    args: [
      '-D',
      data,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${folder}`,
      '-c',
      'fsync=off',
      '-c',
      'max_connections=50',
      ...(tls ? ['-c', 'ssl=on'] : []),
      ...(tls ? tlsArguments(folder, (option, path) => ['-c', `ssl_${option}_file=${path}`]) : []),
    ],
    account,
    beforeStart: async () => installTls(tls?.(), folder, account),
    isUp: () => psql('postgres', 'select 1'),
    query: async (sql) => (await psql('postgres', sql)).stdout,
    dsn: (name) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${name}`,
  })
}

const ONLY_ENCRYPTED = `
hostssl ${CERTIFIED} all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl all all 127.0.0.1/32 scram-sha-256
`

export async function startMariaDb({ tls }: DatabaseSetup = {}): Promise<DatabaseServer> {
  const bin = await programs('mariadbd', 'mariadb-server', () => ['/usr/sbin', '/usr/bin'])
  const account = await unprivileged('mysql')
  const folder = await makeFolder('mariadb', account)
  const data = join(folder, 'data')
  const socket = join(folder, 'socket')
  const port = await freePort()
  const init = join(folder, 'init.sql')
  await writeFile(
    init,
    `create user if not exists '${USER}'@'%' identified by '${PASSWORD}';\ngrant all on *.* to '${USER}'@'%' with grant option;\n`,
  )
  const user = account ? ['--user=mysql'] : []
  const install = await programs('mariadb-install-db', 'mariadb-server', () => ['/usr/bin'])
  await run(
    join(install, 'mariadb-install-db'),
    [
      '--no-defaults',
      `--datadir=${data}`,
      '--skip-test-db',
      '--auth-root-authentication-method=normal',
      ...user,
    ],
    { cwd: folder },
  )
  const clients = await programs('mariadb', 'mariadb-server', () => ['/usr/bin'])
  const client = (sql: string) =>
    run(join(clients, 'mariadb'), ['--no-defaults', `--socket=${socket}`, '-u', USER, '-N', '-e', sql], {
      env: { ...process.env, MYSQL_PWD: PASSWORD },
    })
  return started({
    folder,
    program: join(bin, 'mariadbd'),
    args: [
      '--no-defaults',
      `--datadir=${data}`,
      `--socket=${socket}`,
      `--port=${port}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--init-file=${init}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=2',
      '--innodb-buffer-pool-size=32M',
      '--skip-log-bin',
      ...(tls ? ['--require-secure-transport=ON'] : ['--skip-ssl']),
      ...(tls ? tlsArguments(folder, (option, path) => [`--ssl-${option}=${path}`]) : []),
      ...user,
    ],
    account: undefined,
    beforeStart: async () => installTls(tls?.(), folder, account),
    isUp: () => client('select 1'),
    query: async (sql) => (await client(sql)).stdout,
    dsn: (name) => `${USER}:${PASSWORD}@tcp(127.0.0.1:${port})/${name}`,
  })
}

interface Plan {
  readonly folder: string
  readonly program: string
  readonly args: readonly string[]
  readonly account: Account | undefined
  beforeStart(): Promise<void>
  isUp(): Promise<unknown>
  query(sql: string): Promise<string>
  dsn(database: string): string
}

async function started(plan: Plan): Promise<DatabaseServer> {
  let child: ChildProcess | undefined
  let said = ''
  let databases = 0
  const server: DatabaseServer = {
    async createDatabase() {
      databases += 1
      const name = `hub_${databases}`
      await plan.query(`create database ${name}`)
      return plan.dsn(name)
    },
    query: plan.query,
    async start() {
      await plan.beforeStart()
      const started = spawn(plan.program, plan.args, {
        ...plan.account,
        cwd: plan.folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child = started
      for (const stream of [started.stdout, started.stderr])
        stream.on('data', (text: Buffer) => {
          said = (said + text.toString()).slice(-4_000)
        })
      await until(
        `${plan.program} answers`,
        async () => {
          if (started.exitCode !== null) throw new Error(`${plan.program} has ended:\n${said}`)
          return plan.isUp().then(
            () => true,
            () => false,
          )
        },
        30_000,
      )
    },
    async stop() {
      const stopping = child
      child = undefined
      if (!stopping || stopping.exitCode !== null || stopping.signalCode !== null) return
      const ended = new Promise((resolve) => stopping.once('exit', resolve))
      // PostgreSQL: immediate shutdown, which ends its other processes too. MariaDB is one process.
      stopping.kill(plan.program.endsWith('postgres') ? 'SIGQUIT' : 'SIGKILL')
      await ended
    },
    async close() {
      await server.stop()
      await rm(plan.folder, { recursive: true, force: true })
    },
  }
  try {
    await server.start()
    return server
  } catch (error) {
    await server.close()
    throw error
  }
}

interface Account {
  readonly uid: number
  readonly gid: number
}

/** Whom to run a server as, when we are root, which servers refuse; else it runs as ourselves. */
async function unprivileged(preferred: string): Promise<Account | undefined> {
  if (!root) return undefined
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = lines.find(([name]) => name === preferred) ?? lines.find(([name]) => name === 'nobody')
  if (!found) throw new Error(`There is neither a user ${preferred} nor nobody to run a database as.`)
  return { uid: Number(found[2]), gid: Number(found[3]) }
}

async function makeFolder(name: string, account: Account | undefined): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `flotilla-${name}-`))
  await chmod(folder, 0o700)
  if (account) await chown(folder, account.uid, account.gid)
  return folder
}

const TLS_FILES = ['cert', 'key', 'ca'] as const

function tlsArguments(folder: string, write: (option: string, path: string) => string[]): string[] {
  return TLS_FILES.flatMap((option) => write(option, join(folder, `${option}.pem`)))
}

/** PostgreSQL takes no key that others can read. */
async function installTls(
  tls: ServerTls | undefined,
  folder: string,
  account: Account | undefined,
): Promise<void> {
  if (!tls) return
  for (const option of TLS_FILES) {
    const path = join(folder, `${option}.pem`)
    await copyFile(tls[option], path)
    await chmod(path, 0o600)
    if (account) await chown(path, account.uid, account.gid)
  }
}

/** Where Debian keeps the programs of PostgreSQL, newest version first. */
function postgresFolders(): string[] {
  const versions = '/usr/lib/postgresql'
  if (!existsSync(versions)) return []
  return readdirSync(versions)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, 'bin'))
}
