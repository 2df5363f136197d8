import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { HubError } from '../../../../domain/errors.ts'

/** A pool of pg that takes no client back that did not answer in time: it waits for that answer still. */
export class DiscardingPool implements PostgresPool {
  readonly options: object
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
    this.options = pool.options
  }

  async connect(): Promise<PostgresPoolClient> {
    return new DiscardableClient(await this.#pool.connect())
  }

  end(): Promise<void> {
    return this.#pool.end()
  }
}

class DiscardableClient implements PostgresPoolClient {
  readonly #client: PoolClient
  #gaveUp = false

  constructor(client: PoolClient) {
    this.#client = client
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  query<R>(
    statement: string | PostgresCursor<R>,
    parameters: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    if (typeof statement !== 'string') throw new HubError('internal', 'Rows of PostgreSQL are not streamed.')
    return this.#ask(statement, parameters)
  }

  release(destroy?: boolean): void {
    this.#client.release(destroy || this.#gaveUp)
  }

  async #ask<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    try {
      return (await this.#client.query(sql, [...parameters])) as unknown as PostgresQueryResult<R>
    } catch (error) {
      this.#gaveUp ||= error instanceof Error && error.message === 'Query read timeout'
      throw error
    }
  }
}
