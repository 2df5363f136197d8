/** An argon2id hash, taken apart. */
export interface Argon2Hash {
  /** KiB. */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly salt: Buffer
  readonly tag: Buffer
}

/** Version 0x13 of RFC 9106, the only one in use. */
const ARGON2ID = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** A hash comes from a file or a database: its cost must not be able to stop the hub. */
const MOST = { memory: 262_144, passes: 16, parallelism: 16 }

/**
 * Reads a PHC string (github.com/P-H-C/phc-string-format); its base64 has no padding.
 * @returns undefined for other kinds of hashes, and for such as we would not compute
 */
export function parsePhc(text: string): Argon2Hash | undefined {
  const match = ARGON2ID.exec(text)
  if (!match) return undefined
  const [memory = 0, passes = 0, parallelism = 0] = match.slice(1, 4).map(Number)
  const [salt, tag] = match.slice(4).map((part) => Buffer.from(part, 'base64'))
  // The least that RFC 9106 §3.1 allows.
  if (!salt || !tag || salt.length < 8 || tag.length < 16 || tag.length > 128) return undefined
  if (passes < 1 || parallelism < 1 || memory < 8 * parallelism) return undefined
  if (memory > MOST.memory || passes > MOST.passes || parallelism > MOST.parallelism) return undefined
  return { memory, passes, parallelism, salt, tag }
}

export function toPhc({ memory, passes, parallelism, salt, tag }: Argon2Hash): string {
  const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${plain(salt)}$${plain(tag)}`
}

/** Each step doubles the time; 14 is about two seconds here. */
const DEAREST_BCRYPT = 14

/** The cost of a bcrypt hash; undefined when it is none, or one that we would not compute. */
export function costOfBcrypt(text: string): number | undefined {
  const match = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text)
  const cost = Number(match?.[1])
  return cost >= 4 && cost <= DEAREST_BCRYPT ? cost : undefined
}

/** Whether a password can be checked against this hash. */
export function isUsableHash(text: string): boolean {
  return parsePhc(text) !== undefined || costOfBcrypt(text) !== undefined
}
