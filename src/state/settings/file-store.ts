import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { SettingsEdit } from '../../domain/settings-revision.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { Semaphore } from '../../kernel/semaphore.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { backUp, removeOldBackups } from './backups.ts'
import { parseDocument } from './document.ts'
import { applyEdits, rewriteText } from './edit.ts'
import { holdingLock } from './file-lock.ts'
import {
  type Ownership,
  readOnly,
  removeLeftovers,
  syncFolder,
  writeProblem,
  writeWhole,
} from './whole-file.ts'

type Document = Record<string, unknown>

/** A settings file as it was read. */
export interface StoredFile {
  /** False for a file that is not there; it reads like an empty one. */
  readonly exists: boolean
  readonly text: string
  readonly document: Document
  /** SHA-256 of the bytes, hex. */
  readonly etag: string
}

/** A settings file that nobody else writes meanwhile. */
export interface LockedFile {
  readonly stored: StoredFile
  /** Makes the file say what the document says. @throws HubError `settings.read-only` or `settings.unwritable` */
  write(document: Document): Promise<StoredFile>
  /** Puts back what stood there before `write`. */
  undo(): Promise<void>
}

export interface FileStoreDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Throws for text that the hub could not run with: nothing such is ever written. */
  check(text: string): void
}

/**
 * The settings document in a file that people edit too. It is written whole and kept with its ten latest backups; a file
 * that does not parse is never written over.
 */
export class SettingsFileStore {
  readonly path: string
  readonly #deps: FileStoreDeps
  readonly #turn = new Semaphore(1)

  constructor(path: string, deps: FileStoreDeps) {
    this.path = path
    this.#deps = deps
  }

  /** @throws HubError `settings.unreadable`, or `settings.invalid` for a file that does not parse */
  async read(): Promise<StoredFile> {
    if (await isAbsent(this.path)) return MISSING.stored
    return (await this.#load(await this.#target())).stored
  }

  /** The etag that `read` would give now, without reading more than the bytes. @throws HubError `settings.unreadable` */
  async etag(): Promise<string> {
    try {
      return etagOf(await readFile(this.path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return MISSING.stored.etag
      throw unreadable(this.path, error)
    }
  }

  /**
   * Changes the file by edits or to another document.
   * @param expectedEtag refuses the change unless the file is the one that has this etag
   * @throws HubError `settings.conflict`, and what `exclusively` and `write` throw
   */
  write(change: readonly SettingsEdit[] | Document, expectedEtag?: string): Promise<StoredFile> {
    return this.exclusively(async (file) => {
      if (expectedEtag !== undefined && expectedEtag !== file.stored.etag) throw changedMeanwhile(this.path)
      return file.write(isEdits(change) ? applyEdits(file.stored.document, change) : change)
    })
  }

  /** Runs `work` while no other change is under way, in this process or another. */
  async exclusively<T>(work: (file: LockedFile) => Promise<T>): Promise<T> {
    const leave = await this.#turn.acquire()
    try {
      const target = await this.#target()
      const problem = await whyReadOnly(target)
      if (problem) throw problem
      return await this.#locked(target, async () => work(this.#open(target, await this.#load(target))))
    } finally {
      leave()
    }
  }

  /** Keeps a copy beside the file; undefined where nothing can be written. Returns the path of the copy. */
  async backUp(): Promise<string | undefined> {
    if (await this.whyReadOnly()) return undefined
    return this.exclusively(async () => {
      const target = await this.#target()
      const { bytes, owner } = await this.#load(target)
      try {
        return owner && (await backUp(target, bytes, owner, this.#deps.clock.now()))
      } catch (error) {
        throw writeProblem(target, error)
      }
    })
  }

  /** Why the file cannot be changed; undefined when it can, as far as can be told without trying. */
  async whyReadOnly(): Promise<HubError | undefined> {
    return whyReadOnly(await this.#target())
  }

  async #locked<T>(target: string, work: () => Promise<T>): Promise<T> {
    try {
      return await holdingLock(`${target}.lock`, this.#deps.clock, work)
    } catch (error) {
      throw isSqlite(error) ? writeProblem(target, error) : error
    }
  }

  #open(target: string, { stored, bytes, owner }: Loaded): LockedFile {
    const { clock, log, check } = this.#deps
    let undo = () => Promise.resolve()
    return {
      stored,
      write: async (document) => {
        const text = rewriteText(stored.text, document, this.path)
        check(text)
        try {
          await removeLeftovers(target)
          const backup = owner && (await backUp(target, bytes, owner, clock.now()))
          undo = () => putBack(target, { before: stored.text, written: text, backup })
          await writeWhole(target, text, owner)
          await this.#requireWritten(target, text)
        } catch (error) {
          await undo().catch((err: unknown) => log.error({ err }, 'the settings file could not be put back'))
          throw writeProblem(target, error)
        }
        await removeOldBackups(target).catch((err: unknown) =>
          log.warn({ err }, 'old backups could not be removed'),
        )
        return { exists: true, text, document, etag: etagOf(text) }
      },
      undo: () => undo(),
    }
  }

  async #requireWritten(target: string, text: string): Promise<void> {
    if ((await readFile(target, 'utf8')) === text) return
    throw new HubError(
      'settings.unwritable',
      `The settings file ${target} does not hold what was written to it.`,
      {
        cure: 'The settings are as they were. Check the disk, and whether another program writes this file.',
      },
    )
  }

  async #load(target: string): Promise<Loaded> {
    try {
      const [bytes, owner] = await Promise.all([readFile(target), stat(target)])
      const text = bytes.toString('utf8')
      return {
        bytes,
        owner,
        stored: { exists: true, text, document: readDocument(text, this.path), etag: etagOf(bytes) },
      }
    } catch (cause) {
      if (cause instanceof HubError) throw cause
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return MISSING
      throw unreadable(this.path, cause)
    }
  }

  /** Where the file is: a link stays, and what it points to is written. */
  async #target(): Promise<string> {
    try {
      return await realpath(this.path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw writeProblem(this.path, error)
      const folder = await realpath(dirname(this.path)).catch((cause: unknown) => {
        throw writeProblem(this.path, cause)
      })
      return join(folder, basename(this.path))
    }
  }
}

interface Loaded {
  readonly stored: StoredFile
  readonly bytes: Buffer
  readonly owner: Ownership | undefined
}

const MISSING: Loaded = {
  stored: { exists: false, text: '', document: {}, etag: 'none' },
  bytes: Buffer.alloc(0),
  owner: undefined,
}

async function whyReadOnly(target: string): Promise<HubError | undefined> {
  // Kubernetes puts the files of a ConfigMap into a folder such as `..2026_11_21_12_00_00.123`, which it replaces as a whole.
  if (/\/\.\.[^/]+\//.test(target))
    return readOnly(target, 'Kubernetes has mounted it from a ConfigMap or Secret')
  try {
    await access(dirname(target), constants.W_OK)
    const mode = await modeOf(target)
    if (mode === undefined) return undefined
    // For root nothing is forbidden; a file that nobody may write is meant to stay as it is.
    if ((mode & 0o222) === 0) return readOnly(target, 'its mode lets nobody write it')
    await access(target, constants.W_OK)
    return undefined
  } catch (error) {
    return writeProblem(target, error)
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Ends what `written` began. The backup takes its file's place again: that needs no room on the disk. What somebody else
 * has put there meanwhile stays.
 */
async function putBack(
  target: string,
  {
    before,
    written,
    backup,
  }: { readonly before: string; readonly written: string; readonly backup: string | undefined },
): Promise<void> {
  const present = await readFile(target, 'utf8').catch(() => '')
  if (present !== written && parses(present)) {
    // Nothing has changed, so there is nothing to keep a copy of; the disk may be full of them.
    if (present === before && backup) await rm(backup, { force: true })
    return
  }
  if (backup) await rename(backup, target)
  else await rm(target, { force: true })
  await syncFolder(dirname(target))
}

function parses(text: string): boolean {
  try {
    return text.trim() !== '' && isObject(parseDocument(text, '').value)
  } catch {
    // What does not parse is nobody's work.
    return false
  }
}

function readDocument(text: string, source: string): Document {
  const { value } = parseDocument(text, source)
  if (isObject(value)) return value
  throw new HubError('settings.invalid', `${source}:1:1: the document must be an object.`, {
    cure: 'Mend the file; "flotilla config validate" checks it.',
  })
}

function unreadable(path: string, cause: unknown): HubError {
  return new HubError(
    'settings.unreadable',
    `The settings file ${path} cannot be read: ${messageOf(cause)}.`,
    {
      cause,
      cure: 'Check that it exists and that the hub may read it.',
    },
  )
}

export function changedMeanwhile(source: string): HubError {
  return new HubError(
    'settings.conflict',
    `The settings (${source}) have been changed by somebody else meanwhile.`,
    {
      cure: 'Read them again, and make the change to what stands there now.',
    },
  )
}

export function etagOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Whether there is no such file, and perhaps not even its folder. */
async function isAbsent(path: string): Promise<boolean> {
  try {
    await stat(path)
    return false
  } catch (error) {
    // What is there and cannot be looked at shows when it is read.
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function isEdits(change: readonly SettingsEdit[] | Document): change is readonly SettingsEdit[] {
  return Array.isArray(change)
}

function isSqlite(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_SQLITE_ERROR'
}
