import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HubError, messageOf } from '../../domain/errors.ts'

/** Who may do what with a file: what a file that takes another's place must keep. */
export interface Ownership {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/**
 * Writes a file so that everybody sees the old content or the new one, also after a power failure: beside it, to the disk,
 * then in its place.
 * @param owner of the file whose place is taken; without one only the hub's user may read it
 */
export async function writeWhole(path: string, content: string | Buffer, owner?: Ownership): Promise<void> {
  const temporary = `${path}.tmp.${process.pid}`
  try {
    // One that a crash has left would keep its mode.
    await rm(temporary, { force: true })
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      if (owner) await keepOwnership(file, owner)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Makes sure that names which were made, changed or removed in a folder survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Removes what writers that were killed have left. Nobody may be writing. */
export async function removeLeftovers(path: string): Promise<void> {
  const names = await readdir(dirname(path))
  const start = basename(path)
  for (const name of names)
    if (name.startsWith(start) && /^(\.backup\.\d+)?\.tmp\.\d+$/.test(name.slice(start.length)))
      await rm(join(dirname(path), name), { force: true })
}

async function keepOwnership(file: FileHandle, { mode, uid, gid }: Ownership): Promise<void> {
  const own = await file.stat()
  if (own.uid !== uid || own.gid !== gid)
    await file.chown(uid, gid).catch((error: NodeJS.ErrnoException) => {
      // Only root may give files away. The file then belongs to the hub's user, who could write it before too.
      if (error.code !== 'EPERM') throw error
    })
  await file.chmod(mode & 0o7777)
}

const READ_ONLY: Readonly<Record<string, string>> = {
  EACCES: 'the hub may not write there',
  EPERM: 'the hub may not write there',
  EROFS: 'the file system is mounted read-only',
  EBUSY: 'the file itself is a mount point, which cannot be replaced',
}

/** What went wrong with writing a settings file, in words; the old file is intact. */
export function writeProblem(path: string, error: unknown): HubError {
  if (error instanceof HubError) return error
  const { code } = error as NodeJS.ErrnoException
  const why = READ_ONLY[code ?? '']
  if (why) return readOnly(path, why, error)
  const what = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : messageOf(error)
  return new HubError('settings.unwritable', `The settings file ${path} was not written: ${what}.`, {
    cause: error,
    cure: 'The settings are as they were. Make room on the disk, or check it, and try again.',
  })
}

export function readOnly(path: string, why: string, cause?: unknown): HubError {
  return new HubError('settings.read-only', `The settings file ${path} cannot be changed: ${why}.`, {
    cause,
    cure: 'Change it where it comes from, mount its folder for writing, or keep the settings in the database.',
  })
}
