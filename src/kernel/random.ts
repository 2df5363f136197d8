import { randomBytes } from 'node:crypto'

/** Randomness as the code may see it: handed in, so that tests choose the dice. */
export interface Random {
  /** A number in [0, 1), good enough for jitter and never for secrets. */
  fraction(): number
  /** `bits / 8` random bytes from the system's generator, as base64url text (visible ASCII only). */
  id(bits: number): string
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  id: (bits) => randomBytes(Math.ceil(bits / 8)).toString('base64url'),
}
