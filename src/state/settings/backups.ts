import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Ownership, writeWhole } from './whole-file.ts'

/** So many backups stay; older ones are removed. */
const KEPT = 10

/** Keeps a copy of what stands in a file, as `<file>.backup.<ms>`. Returns its path. */
export async function backUp(path: string, content: Buffer, owner: Ownership, now: number): Promise<string> {
  const newest = (await backupsOf(path)).at(-1)
  // Several changes within one millisecond, or a clock that was set back, must not hide which one is the latest.
  const stamp = newest === undefined ? now : Math.max(now, newest + 1)
  const backup = `${path}.backup.${stamp}`
  await writeWhole(backup, content, owner)
  return backup
}

export async function removeOldBackups(path: string): Promise<void> {
  const stamps = await backupsOf(path)
  for (const stamp of stamps.slice(0, -KEPT)) await rm(`${path}.backup.${stamp}`, { force: true })
}

/** The times of a file's backups, ms since the epoch, oldest first. */
export async function backupsOf(path: string): Promise<readonly number[]> {
  const start = `${basename(path)}.backup.`
  const names = await readdir(dirname(join(path)))
  return names
    .filter((name) => name.startsWith(start) && /^\d{1,15}$/.test(name.slice(start.length)))
    .map((name) => Number(name.slice(start.length)))
    .sort((a, b) => a - b)
}
