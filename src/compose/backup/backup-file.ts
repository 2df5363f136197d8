import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { DumpedRow } from '../../state/storage/dump.ts'

/** The first line of a backup. */
export interface BackupHead {
  readonly format: 'flotilla-backup'
  readonly version: 1
  /** ISO 8601. */
  readonly at: string
  /** The Flotilla that made it. */
  readonly flotilla: string
}

/** A file that belongs to the hub: the settings file, or a secret that it has generated. */
export interface BackupFile {
  readonly kind: 'settings' | 'secret'
  readonly name: string
  readonly text: string
}

export type BackupLine =
  | BackupHead
  | { readonly file: BackupFile }
  | { readonly table: string; readonly row: DumpedRow }

/**
 * Writes a backup: gzipped lines of JSON, the last of which has the number of lines and the SHA-256 of all before it. The file
 * appears whole or not at all, and nobody but its owner may read it.
 * @param write gives the lines after the head to `take`
 * @throws HubError `settings.unwritable`, and what `write` throws
 */
export async function writeBackup(
  path: string,
  head: BackupHead,
  write: (take: (line: BackupLine) => Promise<void>) => Promise<void>,
): Promise<number> {
  const temporary = `${path}.tmp`
  const checksum = createHash('sha256')
  let lines = 0
  try {
    const file = await open(temporary, 'w', 0o600)
    await file.close()
    const gzip = createGzip()
    const written = pipeline(gzip, createWriteStream(temporary, { flags: 'r+', flush: true }))
    // Whoever waits for room would wait for ever if writing fails. Whether it does is asked at the end, or there.
    const failed = written.then(() => undefined)
    failed.catch(() => undefined)
    const put = async (text: string) => {
      if (!gzip.write(`${text}\n`)) await Promise.race([drained(gzip), failed])
    }
    const take = async (line: BackupLine) => {
      const text = JSON.stringify(line)
      checksum.update(`${text}\n`)
      lines += 1
      await put(text)
    }
    try {
      await take(head)
      await write(take)
      await put(JSON.stringify({ end: true, lines, sha256: checksum.digest('hex') }))
    } catch (error) {
      gzip.destroy()
      await written.catch(() => undefined)
      throw error
    }
    gzip.end()
    await written
    await rename(temporary, path)
    return lines
  } catch (cause) {
    await rm(temporary, { force: true })
    if (cause instanceof HubError) throw cause
    throw new HubError('settings.unwritable', `The backup ${path} cannot be written: ${messageOf(cause)}.`, {
      cause,
      cure: 'Choose another place, or make room there.',
    })
  }
}

function drained(stream: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => stream.once('drain', () => resolve()))
}

/**
 * The lines of a backup after its head, once it is known that the file is whole.
 * @throws HubError `settings.invalid` for a file that is no backup, is damaged, or was made by a newer version
 */
export async function openBackup(
  path: string,
): Promise<{ head: BackupHead; lines: () => AsyncGenerator<Exclude<BackupLine, BackupHead>> }> {
  const head = await verify(path)
  return { head, lines: () => contents(path) }
}

async function verify(path: string): Promise<BackupHead> {
  const checksum = createHash('sha256')
  let head: BackupHead | undefined
  let lines = 0
  let end: { lines?: unknown; sha256?: unknown } | undefined
  for await (const text of textLines(path)) {
    const line = parse(path, text)
    head ??= asHead(path, line)
    if (end) throw damaged(path, 'something follows its end')
    if ('end' in line) end = line
    else {
      checksum.update(`${text}\n`)
      lines += 1
    }
  }
  if (!head) throw damaged(path, 'it is empty')
  if (!end) throw damaged(path, 'its end is missing')
  if (end.lines !== lines || end.sha256 !== checksum.digest('hex'))
    throw damaged(path, 'its content is not what was written')
  return head
}

async function* contents(path: string): AsyncGenerator<Exclude<BackupLine, BackupHead>> {
  for await (const text of textLines(path)) {
    const line = parse(path, text)
    if ('table' in line || 'file' in line) yield line as unknown as Exclude<BackupLine, BackupHead>
  }
}

async function* textLines(path: string): AsyncGenerator<string> {
  // Errors of the file or of the compression end the loop below, which alone would not hear of them.
  const source = createReadStream(path)
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  let pieces: string[] = []
  try {
    for await (const chunk of source.pipe(gunzip).setEncoding('utf8') as AsyncIterable<string>) {
      const [first = '', ...others] = chunk.split('\n')
      pieces.push(first)
      for (const piece of others) {
        yield pieces.join('')
        pieces = [piece]
      }
    }
    if (pieces.join('') !== '') throw damaged(path, 'its last line is not whole')
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    throw damaged(path, messageOf(cause), cause)
  } finally {
    source.destroy()
  }
}

function parse(path: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (cause) {
    throw damaged(path, 'a line of it is no JSON', cause)
  }
  throw damaged(path, 'a line of it is no object')
}

function asHead(path: string, line: Record<string, unknown>): BackupHead {
  if (line['format'] !== 'flotilla-backup') throw damaged(path, 'it is no backup of Flotilla')
  if (line['version'] !== 1)
    throw new HubError('settings.invalid', `The backup ${path} has a format that this version cannot read.`, {
      cure: `It was made by Flotilla ${String(line['flotilla'])}: restore it with that version.`,
    })
  return line as unknown as BackupHead
}

function damaged(path: string, why: string, cause?: unknown): HubError {
  return new HubError('settings.invalid', `${path} cannot be restored: ${why}.`, {
    cause,
    cure: 'Nothing was changed. Use another backup.',
  })
}
