import { connect, createServer, type Socket } from 'node:net'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import type { DatabaseTls } from '../../src/state/storage/database-tls.ts'
import type { OpenedDatabase } from '../../src/state/storage/dialects/dialect.ts'
import { openDatabase } from '../../src/state/storage/dialects/open.ts'
import type { ServerTarget, StorageTargets } from '../../src/state/storage/dsn.ts'
import { failureOf } from '../../src/state/storage/errors.ts'
import { recordingLogger } from '../harness/recording-logger.ts'
import { until } from '../harness/wait.ts'
import { type Engine, openStorage, refusal } from './engine.ts'
import { usage, user } from './records.ts'

/** What can go wrong with a server at the other end of a network. `slow` is a query that takes ten seconds. */
export function networkContract(engine: Engine, slow: string): void {
  const open = (target: ServerTarget, connections: number, statementMs: number): Promise<OpenedDatabase> =>
    openDatabase(
      target,
      { connections, statementMs, durability: 'everything' },
      { clock: systemClock, log: recordingLogger().logger },
    )

  describe.concurrent('over a network', () => {
    test('a connection that breaks between two statements harms nobody', async () => {
      const target = mainOf(await engine.create())
      const proxy = await silencer(target.port)
      const raw = await open({ ...target, port: proxy.port }, 1, 300)
      const broken = raw.db.transaction().execute(async (trx) => {
        await sql`select 1`.execute(trx)
        await proxy.cut()
        await sql`select 2`.execute(trx)
      })
      await expect(broken).rejects.toSatisfy((error) => failureOf(error) === 'away')
      expect(await failed(raw, 'select 1')).toBe('none')
      await raw.close()
      proxy.close()
    })

    test('a statement that takes too long is ended by the server, and its connection is used again', async () => {
      const raw = await open(mainOf(await engine.create()), 1, 300)
      const started = performance.now()
      expect(await failed(raw, slow)).toBe('busy')
      expect(performance.now() - started).toBeLessThan(8_000)
      expect(await failed(raw, 'select 1')).toBe('none')
      await raw.close()
    })

    test('a server that falls silent is given up, and so is its connection', async () => {
      const target = mainOf(await engine.create())
      const proxy = await silencer(target.port)
      const raw = await open({ ...target, port: proxy.port }, 1, 300)
      expect(await failed(raw, 'select 1')).toBe('none')
      proxy.silence(true)
      const started = performance.now()
      expect(await failed(raw, 'select 1')).toBe('away')
      expect(performance.now() - started).toBeLessThan(20_000)
      proxy.silence(false)
      expect(await failed(raw, 'select 1')).toBe('none')
      await raw.close()
      proxy.close()
    })

    test('a server that never greets is given up', async () => {
      const target = mainOf(await engine.create())
      const proxy = await silencer(target.port)
      proxy.silence(true)
      const started = performance.now()
      expect(await refusal(openStorage({ main: { ...target, port: proxy.port }, logs: target }))).toBe(
        'storage.unavailable',
      )
      expect(performance.now() - started).toBeLessThan(20_000)
      proxy.close()
    })

    test('nobody waits for ever for a free connection', async () => {
      const raw = await open(mainOf(await engine.create()), 1, 0)
      const done = Promise.withResolvers<void>()
      const holding = raw.db.connection().execute(() => done.promise)
      expect(['away', 'storage.unavailable']).toContain(await failed(raw, 'select 1'))
      done.resolve()
      await holding
      expect(await failed(raw, 'select 1')).toBe('none')
      await raw.close()
    })

    test('a wrong password or name is an error that says where to look', async () => {
      const target = mainOf(await engine.create())
      for (const wrong of [{ password: 'wrong' }, { user: 'nobody' }, { database: 'nothing' }]) {
        const main = { ...target, ...wrong }
        await expect(openStorage({ main, logs: main })).rejects.toMatchObject({
          code: 'storage.unavailable',
          cure: expect.stringContaining('SQL_DSN'),
        })
      }
    })
  })

  describe('TLS', () => {
    test('is insisted on: a server that has none is given up', async () => {
      const main = { ...mainOf(await engine.create()), tls: UNCHECKED }
      await expect(openStorage({ main, logs: main })).rejects.toMatchObject({
        code: 'storage.unavailable',
        data: { reason: 'tls-missing' },
      })
    })
  })

  describe('logs in a database of their own', () => {
    test('[R202] go there and nowhere else', async () => {
      const targets: StorageTargets = {
        main: (await engine.create()).main,
        logs: (await engine.create()).main,
      }
      const storage = await openStorage(targets)
      await storage.users.create(user('alice'))
      await storage.activity.appendUsage([usage('u1')])
      const [main, logs] = [await open(mainOf(targets), 1, 0), await open(targets.logs as ServerTarget, 1, 0)]
      for (const [raw, users, calls] of [
        [main, 1, 0],
        [logs, 0, 1],
      ] as const) {
        expect(await raw.db.selectFrom('users').selectAll().execute()).toHaveLength(users)
        expect(await raw.db.selectFrom('mcp_usage_logs').selectAll().execute()).toHaveLength(calls)
        await raw.close()
      }
      expect(storage.canBackUp).toBe(false)
      expect(await refusal(storage.backupTo('/tmp/x'))).toBe('request.invalid')
      await storage.close()
    })
  })
}

const UNCHECKED: DatabaseTls = { verify: 'nothing', ca: undefined, own: undefined }

function mainOf({ main }: StorageTargets): ServerTarget {
  if (main.kind === 'sqlite') throw new Error('This is about servers.')
  return main
}

async function failed({ db }: OpenedDatabase, statement: string): Promise<string> {
  try {
    await sql.raw(statement).execute(db)
    return 'none'
  } catch (error) {
    const failure = failureOf(error)
    return failure === 'unknown' ? ((error as { code?: string }).code ?? String(error)) : failure
  }
}

interface Silencer {
  readonly port: number
  /** From now on nothing comes back, or all does again: on connections that were silent nothing ever does. */
  silence(on: boolean): void
  /** Breaks all connections that there are. */
  cut(): Promise<void>
  close(): void
}

/** A way to a port, on which answers can be held back as a broken network does it: without a word. */
async function silencer(to: number): Promise<Silencer> {
  const sockets = new Set<Socket>()
  let silent = false
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1')
    let dead = false
    for (const [from, into] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => into.destroy())
      from.on('close', () => into.destroy())
      from.on('data', (bytes) => {
        dead ||= silent
        if (!dead) into.write(bytes)
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    silence: (on) => {
      silent = on
    },
    async cut() {
      for (const socket of sockets) socket.destroy()
      await until('the connections are gone', () => [...sockets].every(({ closed }) => closed))
      // The hub's own end hears of it in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve))
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
