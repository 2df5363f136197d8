import { type Argon2Parameters, argon2, timingSafeEqual } from 'node:crypto'
import { compare as compareBcrypt } from 'bcryptjs'
import { HubError } from '../domain/errors.ts'
import type { Random } from '../kernel/random.ts'
import { Semaphore } from '../kernel/semaphore.ts'
import { type Argon2Hash, costOfBcrypt, parsePhc, toPhc } from './phc.ts'

/**
 * What a hash costs: memory in KiB, passes, lanes. The first choice of the OWASP Password Storage Cheat Sheet for argon2id;
 * more of it makes guessing dearer, and each login slower (55 ms here) and larger (19 MiB while it lasts).
 */
const COST = { memory: 19_456, passes: 2, parallelism: 1 } as const
const TAG_BYTES = 32
const SALT_BITS = 128
/** Hashes at once: each takes a thread of the pool that files and names are looked up with too. */
const AT_ONCE = 2
/** Those that may wait for their turn: about three seconds' worth. */
const WAITING = 64

export interface Verification {
  readonly matches: boolean
  /** The hash is of a kind or cost that we would not make today. */
  readonly outdated: boolean
}

/** Longer than any password may be: not worth hashing. */
const LONGEST = 4_096

const NO: Verification = { matches: false, outdated: false }

/** Makes and checks password hashes: argon2id as PHC strings, and bcrypt as an import may bring it. */
export class Passwords {
  readonly #random: Random
  readonly #slots = new Semaphore(AT_ONCE)
  #present = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** @throws HubError `access.rate-limited` when too many wait */
  async hash(password: string): Promise<string> {
    const salt = Buffer.from(this.#random.id(SALT_BITS), 'base64url')
    const hash = await this.#inTurn(() => derive(password, { ...COST, salt, tag: Buffer.alloc(TAG_BYTES) }))
    return toPhc({ ...COST, salt, tag: hash })
  }

  /**
   * Whether the password is the one behind the hash. Without a hash nothing matches, in the time that a hash takes: nobody
   * learns from a clock which users exist.
   * @throws HubError `access.rate-limited` when too many wait
   */
  async verify(password: string, hash: string | undefined): Promise<Verification> {
    if (password.length > LONGEST) return this.verify('', undefined)
    if (hash !== undefined && costOfBcrypt(hash) !== undefined)
      return { matches: await this.#inTurn(() => compareBcrypt(password, hash)), outdated: true }
    const parsed = hash === undefined ? undefined : parsePhc(hash)
    const expected = parsed ?? NOBODY
    const tag = await this.#inTurn(() => derive(password, expected))
    const matches = timingSafeEqual(tag, expected.tag) && parsed !== undefined
    return matches ? { matches, outdated: !isCurrent(expected) } : NO
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#present >= AT_ONCE + WAITING)
      throw new HubError('access.rate-limited', 'Too many people are logging in at this moment.', {
        retryAfter: 5,
        cure: 'Try again in a few seconds.',
      })
    this.#present += 1
    const leave = await this.#slots.acquire()
    try {
      return await work()
    } finally {
      leave()
      this.#present -= 1
    }
  }
}

/** Stands in for users who do not exist. */
const NOBODY: Argon2Hash = { ...COST, salt: Buffer.alloc(SALT_BITS / 8), tag: Buffer.alloc(TAG_BYTES) }

function isCurrent({ memory, passes, parallelism, tag }: Argon2Hash): boolean {
  return (
    memory >= COST.memory &&
    passes >= COST.passes &&
    parallelism >= COST.parallelism &&
    tag.length >= TAG_BYTES
  )
}

function derive(password: string, { salt, tag, ...cost }: Argon2Hash): Promise<Buffer> {
  const parameters: Argon2Parameters = {
    message: Buffer.from(password, 'utf8'),
    nonce: salt,
    tagLength: tag.length,
    ...cost,
  }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (cause, derived) => {
      if (cause) reject(new HubError('internal', 'A password could not be hashed.', { cause }))
      else resolve(derived)
    })
  })
}
