import { readFileSync } from 'node:fs'

const PAUSE_MS = 10
/** What one look and its pause can count at most: while a machine stands still, nothing can happen, and nothing was waited for. */
const MOST_MS = 100

/**
 * Looks until `look` returns something other than undefined or false.
 * @param ms time in which this process could look
 * @throws when that has not happened within `ms`
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 10_000,
): Promise<NonNullable<T>> {
  let waited = 0
  for (;;) {
    const from = performance.now()
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false) return seen
    if (waited > ms) throw new Error(`It did not happen within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    waited += Math.min(performance.now() - from, MOST_MS)
  }
}

/** Whether a process exists, and is more than an entry that its parent has yet to take note of. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** proc(5): the state follows the name, which stands in brackets and may contain some. */
function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch (error) {
    // It has ended since the look before.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return true
    throw error
  }
}
