import { createHash } from 'node:crypto'

/** Clients and model APIs refuse longer names. */
export const MAX_NAME_LENGTH = 64
const HASH_LENGTH = 8

/**
 * The name under which `prefix`'s item is exposed: `<prefix><separator><name>`. A name that is too long or holds
 * characters that clients refuse is shortened or cleaned, and then ends in a hash of what it stands for, so that it
 * stays the same from start to start and two such names do not meet.
 */
export function exposedName(prefix: string, separator: string, name: string): string {
  const full = `${prefix}${separator}${name}`
  const clean = full.replace(/[^A-Za-z0-9_.-]+/g, '_')
  if (clean === full && full.length <= MAX_NAME_LENGTH) return full
  return shortened(clean, `${prefix}\0${name}`)
}

/** A second name for an item whose first, `taken`, is another's. */
export function secondName(taken: string, prefix: string, name: string): string {
  return shortened(taken, `${taken}\0${prefix}\0${name}`)
}

function shortened(base: string, standsFor: string): string {
  const hash = createHash('sha256').update(standsFor).digest('hex').slice(0, HASH_LENGTH)
  return `${base.slice(0, MAX_NAME_LENGTH - HASH_LENGTH - 1)}_${hash}`
}
