import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTargets, type StorageTargets } from '../../src/state/storage/dsn.ts'
import { type DatabaseServer, startMariaDb, startPostgres } from '../harness/databases.ts'
import type { Engine } from './engine.ts'

export async function sqliteEngine(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-sqlite-'))
  let databases = 0
  return {
    readsWhileAway: true,
    async create() {
      databases += 1
      return readTargets({}, join(folder, String(databases)))
    },
    takeAway: (targets) => lockFile(targets),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

export async function postgresEngine(): Promise<Engine> {
  return serverEngine(await startPostgres())
}

export async function mariaDbEngine(): Promise<Engine> {
  return serverEngine(await startMariaDb())
}

function serverEngine(server: DatabaseServer): Engine {
  return {
    readsWhileAway: false,
    create: async () => readTargets({ SQL_DSN: await server.createDatabase() }, '/nowhere'),
    async takeAway() {
      await server.stop()
      return () => server.start()
    },
    close: () => server.close(),
  }
}

const HOLD = `
  const { DatabaseSync } = require('node:sqlite')
  const db = new DatabaseSync(process.argv[1], { timeout: 10_000 })
  db.exec('begin immediate')
  process.stdout.write('locked')
  process.stdin.resume().once('end', () => db.exec('rollback'))`

/** Another process holds the file's lock until the result is called. */
async function lockFile({ main }: StorageTargets): Promise<() => Promise<void>> {
  if (main.kind !== 'sqlite') throw new Error('Only a file can be locked.')
  const child = spawn(process.execPath, ['-e', HOLD, main.path], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return async () => {
    const ended = once(child, 'exit')
    child.stdin.end()
    await ended
  }
}
