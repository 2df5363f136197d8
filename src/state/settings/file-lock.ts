import { DatabaseSync } from 'node:sqlite'
import { HubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'

/** How long to wait for another process, and how often to look, ms. */
const PATIENCE_MS = 10_000
const LOOK_MS = 10

/**
 * Runs `work` while nobody else holds the lock at `path`, and frees it whatever happens. The lock is an SQLite database that
 * one process at a time holds open for writing: the kernel frees it when that process ends, however that happens, so that
 * no stale lock is ever left.
 * @throws HubError `settings.conflict` when somebody keeps it for too long; SQLite's error when it cannot be made
 */
export async function holdingLock<T>(path: string, clock: Clock, work: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    const deadline = clock.monotonic() + PATIENCE_MS
    while (!tryLock(database)) {
      if (clock.monotonic() > deadline) throw held(path)
      await sleep(clock, LOOK_MS)
    }
    return await work()
  } finally {
    database.close()
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    // Nothing is ever stored in it: a journal would only need room, which a full disk does not have.
    database.exec('pragma journal_mode = memory; begin exclusive')
    return true
  } catch (error) {
    // SQLITE_BUSY, in any of its extended forms (sqlite.org/rescode.html).
    if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) === 5) return false
    throw error
  }
}

function held(path: string): HubError {
  return new HubError('settings.conflict', `Another process has held ${path} for ${PATIENCE_MS / 1_000} s.`, {
    retryAfter: 5,
    cure: 'Try again; if that lasts, look for a process that hangs while it writes the settings.',
  })
}
