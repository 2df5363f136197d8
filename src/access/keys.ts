import type { KeyRecord, RecordOrigin } from '../domain/accounts.ts'
import { HubError } from '../domain/errors.ts'
import { hashToken } from '../domain/tokens.ts'
import { backoffDelay, DEFAULT_BACKOFF } from '../kernel/backoff.ts'
import { type Clock, sleep, type Timer } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import type { TaskGroup } from '../kernel/task-group.ts'
import { checkLength } from './account-rules.ts'
import type { Keyring, Owner, RingKey } from './keyring.ts'
import type { KeyStore, UserStore } from './ports.ts'

/** So that people, and programs that look for leaked secrets, know one when they see it. */
export const TOKEN_PREFIX = 'flk_'
const SHOWN_CHARACTERS = TOKEN_PREFIX.length + 6
/** How often the times of last use are written down at most. */
const WRITE_USED_MS = 30_000

/** A key without anything that opens a door. */
export interface KeyView extends Omit<KeyRecord, 'tokenHash'> {
  readonly origin: RecordOrigin
}

export type KeyInput = Omit<KeyRecord, 'id' | 'tokenHash' | 'prefix' | 'createdAt' | 'lastUsedAt'>

/** Owner and author are settled when a key is made. */
export type KeyChanges = Partial<Omit<KeyInput, 'owner' | 'createdBy'>>

export interface KeysDeps {
  readonly ring: Keyring
  readonly store: KeyStore
  readonly users: Pick<UserStore, 'list'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly tasks: TaskGroup
  /** Keys have other rights now, or none. */
  changed(): void
}

/**
 * The keys of the store, and their way into the ring. `start` reads them, again and again while the store is away; `reload`
 * reads them anew when another node has changed some. What is changed here counts here at once.
 */
export class Keys {
  readonly #deps: KeysDeps
  readonly #writer: Timer
  /** When keys were last used, as far as that is not written down. */
  readonly #used = new Map<string, number>()
  #stored: readonly KeyRecord[] | undefined
  #owners: readonly Owner[] = []
  /** Grows with each change made here: what was read before it is out of date. */
  #version = 0
  #reading: Promise<void> = Promise.resolve()
  /** The reading after the one under way: whoever asks meanwhile gets that one. */
  #next: Promise<void> | undefined
  #failures = 0
  #expiry: Timer | undefined

  constructor(deps: KeysDeps) {
    this.#deps = deps
    this.#writer = deps.clock.every(WRITE_USED_MS, () =>
      deps.tasks.run('note when keys were used', () => this.#writeUsed()),
    )
  }

  /** Reads the keys; resolves after the first try. Until one succeeds, those of the settings work. */
  start(): Promise<void> {
    return this.reload()
  }

  /** Reads keys and their owners anew. Never rejects: what cannot be read now is read as soon as it can be. */
  reload(): Promise<void> {
    if (this.#next) return this.#next
    const next = this.#reading.then(() => {
      this.#next = undefined
      return this.#read()
    })
    this.#next = next
    this.#reading = next
    return next
  }

  /** The settings have other keys now: what depends on all of them is set anew. */
  declared(): void {
    this.#armExpiry()
  }

  /** The keys of settings and store. */
  list(): readonly KeyView[] {
    return this.#deps.ring.keys.map(viewOf)
  }

  find(id: string): KeyView | undefined {
    return this.list().find((key) => key.id === id)
  }

  /** A new key, and its token for the only time. @throws HubError `request.invalid-params`, `storage.unavailable` */
  async create(input: KeyInput): Promise<{ readonly key: KeyView; readonly token: string }> {
    const { random, clock, store } = this.#deps
    checkInput(input)
    checkExpiry(input, clock.now())
    const token = `${TOKEN_PREFIX}${random.id(256)}`
    const key: KeyRecord = {
      ...input,
      id: random.id(96),
      tokenHash: hashToken(token),
      prefix: token.slice(0, SHOWN_CHARACTERS),
      createdAt: clock.now(),
      lastUsedAt: undefined,
    }
    await store.create(key)
    await this.#take((keys) => [...keys.filter(({ id }) => id !== key.id), key])
    return { key: viewOf({ ...key, origin: 'api' }), token }
  }

  /** @throws HubError `resource.missing`, or `resource.in-use` for a key that stands in the settings */
  async update(id: string, changes: KeyChanges): Promise<KeyView> {
    const key = this.#require(id)
    checkInput({ ...key, ...changes })
    checkExpiry(changes, this.#deps.clock.now())
    const existed = await this.#deps.store.update(id, changes)
    const changed = { ...key, ...changes }
    await this.#take((keys) => keys.flatMap((each) => (each.id === id ? (existed ? [changed] : []) : [each])))
    if (!existed) throw missing(id)
    return viewOf({ ...changed, origin: 'api' })
  }

  /** @throws HubError `resource.missing`, or `resource.in-use` for a key that stands in the settings */
  async revoke(id: string): Promise<void> {
    this.#require(id)
    const existed = await this.#deps.store.remove(id)
    await this.#take((keys) => keys.filter((key) => key.id !== id))
    if (!existed) throw missing(id)
  }

  /** Writes down what is only known here yet. Never rejects; safe to call twice. */
  async close(): Promise<void> {
    this.#writer.stop()
    this.#expiry?.stop()
    try {
      await this.#writeUsed()
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the last use of keys could not be written down')
    }
  }

  #require(id: string): KeyRecord {
    const key = this.#stored?.find((each) => each.id === id)
    if (key) return key
    if (!this.find(id)) throw missing(id)
    throw new HubError('resource.in-use', `The key ${JSON.stringify(id)} stands in the settings.`, {
      cure: 'Change it under "bearerKeys" there.',
    })
  }

  async #take(change: (keys: readonly KeyRecord[]) => readonly KeyRecord[]): Promise<void> {
    this.#version += 1
    // The store is back before we have read it: a part of the keys must not pass for all of them.
    if (this.#stored === undefined) return this.reload()
    this.#show(change(this.#stored), this.#owners)
  }

  async #read(): Promise<void> {
    const { store, users } = this.#deps
    try {
      for (;;) {
        const version = this.#version
        const [keys, owners] = await Promise.all([store.list(), users.list()])
        // What was changed here meanwhile may be missing in what was read.
        if (version !== this.#version) continue
        this.#failures = 0
        return this.#show(keys, owners)
      }
    } catch (error) {
      this.#retry(error)
    }
  }

  #show(keys: readonly KeyRecord[], owners: readonly Owner[]): void {
    this.#stored = keys
    this.#owners = owners
    this.#deps.ring.load(keys, owners)
    this.#armExpiry()
    this.#deps.changed()
  }

  #retry(error: unknown): void {
    const { clock, random, log, tasks } = this.#deps
    this.#failures += 1
    const wait = backoffDelay(DEFAULT_BACKOFF, this.#failures, random.fraction())
    if (this.#failures === 1) log.warn({ err: error }, 'the keys could not be read; trying again')
    tasks.run('read the keys again', async (signal) => {
      await sleep(clock, wait, signal)
      if (!signal.aborted) await this.reload()
    })
  }

  /** Sessions of a key end when it expires, not with their next request only. */
  #armExpiry(): void {
    const { ring, clock, changed } = this.#deps
    this.#expiry?.stop()
    const now = clock.now()
    const next = ring.nextExpiry(now)
    if (next === undefined) return
    this.#expiry = clock.after(next - now, () => {
      changed()
      this.#armExpiry()
    })
  }

  async #writeUsed(): Promise<void> {
    for (const [id, at] of this.#deps.ring.takeUsed()) this.#used.set(id, at)
    if (this.#used.size === 0) return
    const writing = new Map(this.#used)
    await this.#deps.store.touch(writing)
    for (const [id, at] of writing) if (this.#used.get(id) === at) this.#used.delete(id)
  }
}

function viewOf({ tokenHash: _, ...view }: RingKey): KeyView {
  return view
}

function checkInput(input: KeyInput): void {
  if (input.name.trim() === '') throw invalid('A key needs a name.', 'Say what it is for.')
  checkLength('name of a key', input.name, 100)
  for (const limit of [input.requestsPerMinute, input.maxConcurrent])
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1))
      throw invalid('The limits of a key are whole numbers from 1 on.', 'Leave one out for no limit.')
}

function checkExpiry({ expiresAt }: KeyChanges, now: number): void {
  if (expiresAt !== undefined && expiresAt <= now)
    throw invalid('This key would have expired already.', 'Choose a later time, or none.')
}

function invalid(what: string, cure: string): HubError {
  return new HubError('request.invalid-params', what, { cure })
}

function missing(id: string): HubError {
  return new HubError('resource.missing', `There is no key ${JSON.stringify(id)}.`, {
    cure: 'GET /api/auth/keys lists them.',
  })
}
