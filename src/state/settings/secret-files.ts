import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { isAbsolute, sep } from 'node:path'
import type { FileReader } from './expand.ts'

/** Secrets are short; whoever names a longer file has named the wrong one. */
const LONGEST_BYTES = 64 * 1024

/**
 * Reads the files that `${file:/run/secrets/x}` names. A final line break is no part of the secret.
 * @param folders where such files may be, links followed; without it anywhere
 */
export function secretFileReader(folders?: readonly string[]): FileReader {
  return (path) => {
    if (!isAbsolute(path)) return undefined
    try {
      if (folders && !isWithin(realpathSync(path), folders)) return undefined
      return readSmallFile(path)
    } catch {
      // The caller says which file it was, and that it must be one that the hub may read.
      return undefined
    }
  }
}

function readSmallFile(path: string): string | undefined {
  // Opening a pipe would wait for somebody to write into it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(file).isFile()) return undefined
    const bytes = Buffer.alloc(LONGEST_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null)
    if (length > LONGEST_BYTES) return undefined
    return bytes.toString('utf8', 0, length).replace(/\r?\n$/, '')
  } finally {
    closeSync(file)
  }
}

function isWithin(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => {
    const real = existing(folder)
    return real !== undefined && path.startsWith(real.endsWith(sep) ? real : real + sep)
  })
}

function existing(folder: string): string | undefined {
  try {
    return realpathSync(folder)
  } catch {
    // A folder that is not there holds no file.
    return undefined
  }
}
