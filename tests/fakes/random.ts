import type { Random } from '../../src/kernel/random.ts'

/** Dice that always show the same side, and ids that count. */
export function fixedRandom(fraction: number): Random {
  let last = 0
  return {
    fraction: () => fraction,
    id: () => {
      last += 1
      return `id-${last}`
    },
  }
}
