import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import type { Database } from './database.ts'
import type { Topic } from './schema.ts'

export interface ChangeFeedDeps {
  readonly database: Database
  readonly clock: Clock
  readonly log: Logger
}

type Listener = () => void | Promise<void>

/** How often the counters are looked at: what one node writes, the others know a second later. */
const POLL_MS = 1_000

/**
 * Tells what was written to the database, by this node and by others. It asks for all topics at once, and only that something has
 * changed: whoever listens reads anew.
 */
export class ChangeFeed {
  readonly #deps: ChangeFeedDeps
  readonly #tasks: TaskGroup
  readonly #listeners = new Map<Topic, Set<Listener>>()
  readonly #seen = new Map<string, number>()
  #started = false
  #away = false

  constructor(deps: ChangeFeedDeps) {
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
  }

  /** Calls `listener` after each change; the result ends that. */
  on(topic: Topic, listener: Listener): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  /** Begins: what is written from now on is told. @throws HubError `storage.unavailable` */
  async start(): Promise<void> {
    if (this.#started) return
    for (const { topic, number } of await this.#read()) this.#seen.set(topic, number)
    this.#started = true
    this.#tasks.run('change feed', async (signal) => {
      for (;;) {
        await sleep(this.#deps.clock, POLL_MS, signal)
        if (signal.aborted) return
        await this.#poll()
      }
    })
  }

  close(): Promise<void> {
    return this.#tasks.close()
  }

  async #poll(): Promise<void> {
    try {
      const counters = await this.#read()
      if (this.#away) this.#deps.log.info({}, 'the database is back')
      this.#away = false
      for (const { topic, number } of counters) {
        if (this.#seen.get(topic) === number) continue
        this.#seen.set(topic, number)
        this.#tell(topic as Topic)
      }
    } catch (error) {
      if (!this.#away) this.#deps.log.warn({ err: error }, 'the database cannot be asked for changes')
      this.#away = true
    }
  }

  #tell(topic: Topic): void {
    for (const listener of this.#listeners.get(topic) ?? [])
      this.#tasks.run(`after a change of ${topic}`, async () => listener())
  }

  #read() {
    return this.#deps.database.read((db) => db.selectFrom('change_counters').selectAll().execute())
  }
}
