import { readdir, readFile } from 'node:fs/promises'
import type { Logger } from '../../kernel/logger.ts'

/** The variable by which every descendant of a hub is known, whatever process group or session it has moved to. */
export const OWNER_VARIABLE = 'FLOTILLA_OWNER'

/** Sends `signal` to all processes of a group. Returns false when the group has none left. */
export function signalGroup(groupId: number, signal: NodeJS.Signals, log: Logger): boolean {
  try {
    process.kill(-groupId, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH')
      log.warn({ err: error, groupId }, 'a process group could not be signalled')
    return false
  }
}

/**
 * Kills every process whose environment carries `owner` under `OWNER_VARIABLE`: descendants that left the process group.
 * Works where there is a `/proc`; elsewhere it does nothing.
 */
export async function killOwned(owner: string, log: Logger): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const pids = await findOwned(owner)
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch (error) {
        log.debug({ err: error, pid }, 'a left-over process was gone before it was killed')
      }
    }
  }
}

async function findOwned(owner: string): Promise<number[]> {
  const needle = Buffer.from(`${OWNER_VARIABLE}=${owner}\0`)
  const entries = await readdir('/proc').catch(() => [])
  const found = await Promise.all(
    entries
      .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
      .map(async (entry) => {
        // Processes of other users and processes that have just ended cannot be read: they are not ours.
        const environment = await readFile(`/proc/${entry}/environ`).catch(() => undefined)
        return environment?.includes(needle) ? Number(entry) : undefined
      }),
  )
  return found.filter((pid) => pid !== undefined)
}
