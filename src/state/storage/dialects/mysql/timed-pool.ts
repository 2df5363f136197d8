import type { MysqlPool, MysqlPoolConnection, MysqlQueryResult } from 'kysely'
import type { Pool, PoolConnection, QueryError } from 'mysql2'
import { HubError } from '../../../../domain/errors.ts'
import type { Clock } from '../../../../kernel/clock.ts'
import { CONNECT_MS } from '../dialect.ts'

/** How much later the client gives up on a statement than the server should have: then the server is out of reach. */
const GRACE_MS = 5_000

type Answer = (error: unknown, result: MysqlQueryResult) => void

/** A pool of mysql2, in which nobody waits without end: neither for a free connection nor for an answer. */
export class TimedPool implements MysqlPool {
  readonly #pool: Pool
  readonly #clock: Clock
  readonly #statementMs: number
  readonly #connections = new WeakMap<PoolConnection, MysqlPoolConnection>()

  /** @param statementMs the server's own limit; 0 = none, and then there is none here */
  constructor(pool: Pool, clock: Clock, statementMs: number) {
    this.#pool = pool
    this.#clock = clock
    this.#statementMs = statementMs
  }

  getConnection(done: (error: unknown, connection: MysqlPoolConnection) => void): void {
    const gaveUp = new HubError('storage.unavailable', 'All connections to the database are in use.', {
      retryAfter: 5,
      cure: 'Try again in a moment.',
    })
    const fail = (error: unknown) => (done as (error: unknown) => void)(error)
    let waiting = true
    const timer = this.#clock.after(CONNECT_MS + 1_000, () => {
      waiting = false
      fail(gaveUp)
    })
    this.#pool.getConnection((error, connection) => {
      timer.stop()
      if (!waiting) return connection?.release()
      if (error) return fail(error)
      done(null, this.#timed(connection))
    })
  }

  end(done: (error: unknown) => void): void {
    this.#pool.end(done)
  }

  #timed(connection: PoolConnection): MysqlPoolConnection {
    const known = this.#connections.get(connection)
    if (known) return known
    const timed = timedConnection(connection, this.#statementMs === 0 ? 0 : this.#statementMs + GRACE_MS)
    this.#connections.set(connection, timed)
    return timed
  }
}

/** What Kysely needs of a connection. One that did not answer in time is of no use any more: it waits for that answer still. */
function timedConnection(connection: PoolConnection, timeoutMs: number): MysqlPoolConnection {
  const limit = timeoutMs === 0 ? {} : { timeout: timeoutMs }
  return {
    config: connection.config,
    threadId: connection.threadId,
    connect: (done) => done?.(undefined),
    destroy: () => connection.destroy(),
    release: () => connection.release(),
    query(sql: string, values: unknown, done?: Answer) {
      connection.query({ sql, values: values as unknown[], ...limit }, (error: QueryError | null, result) => {
        if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') connection.destroy()
        done?.(error, result as unknown as MysqlQueryResult)
      })
      return { stream: refuseStream }
    },
  }
}

function refuseStream(): never {
  throw new HubError('internal', 'Rows of MySQL are not streamed.')
}
