import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf } from '../../domain/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { ActivityKind, Batch } from './batches.ts'

export interface SpoolOptions {
  readonly folder: string
  /** The oldest segments go when all together are larger. Higher bridges longer outages of the database, lower spares the disk. */
  readonly maxBytes?: number
  readonly segmentBytes?: number
  readonly maxRejected?: number
}

/** A file of records of one kind, one JSON object on each line. */
export interface Segment {
  readonly file: string
  readonly kind: ActivityKind
  readonly records: number
  /** What it takes on the disk. */
  readonly bytes: number
}

const MAX_BYTES = 256 * 1024 * 1024
const SEGMENT_BYTES = 4 * 1024 * 1024
const MAX_REJECTED = 1000
/** Small files take a block all the same. */
const BLOCK_BYTES = 4096
/** `<number>-<kind>-<records>.ndjson`: what is in it shows without reading it. */
const NAME = /^(\d{12})-(usage|access|audit)-(\d+)\.ndjson$/

/**
 * Keeps records on disk while the database is away, oldest first out. A segment is written whole, flushed to the disk and then given its
 * name: after a crash it is there with all its records, or not at all.
 */
export class Spool {
  readonly #folder: string
  readonly #options: Required<SpoolOptions>
  readonly #log: Logger
  #segments: Segment[] = []
  #lastNumber = 0
  #opened: Promise<void> | undefined
  #dropped = 0

  constructor(options: SpoolOptions, log: Logger) {
    this.#options = {
      maxBytes: MAX_BYTES,
      segmentBytes: SEGMENT_BYTES,
      maxRejected: MAX_REJECTED,
      ...options,
    }
    this.#folder = options.folder
    this.#log = log
  }

  /** How many records wait here. */
  get records(): number {
    return this.#segments.reduce((sum, { records }) => sum + records, 0)
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0
  }

  /** Records that were given up because the spool was full. */
  get dropped(): number {
    return this.#dropped
  }

  get oldest(): Segment | undefined {
    return this.#segments[0]
  }

  /** Looks for what an earlier run has left. */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  /** Resolves when the records are on the disk. @throws when that is not possible */
  async add(batch: Batch): Promise<void> {
    await this.open()
    for (const { text, records } of this.#split(batch)) await this.#write(batch.kind, text, records)
    await this.#enforceBound()
  }

  /** The records of a segment, without lines that are broken. @throws when the file cannot be read */
  async read({ file, kind, records }: Segment): Promise<Batch> {
    const text = await readFile(join(this.#folder, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      // Whoever removed it did not want it any more.
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const batch = parseSegment(kind, text)
    const lost = Math.max(0, records - batch.records.length)
    this.#dropped += lost
    if (lost > 0)
      this.#log.error({ file, lost }, 'RECORDS ARE LOST: a spool file, or lines of it, are broken or gone')
    return batch
  }

  async remove(segment: Segment): Promise<void> {
    this.#segments = this.#segments.filter((other) => other !== segment)
    await rm(join(this.#folder, segment.file), { force: true })
  }

  /** Puts a record aside that the database does not take, for people to look at. */
  async reject(batch: Batch, error: unknown): Promise<void> {
    const folder = join(this.#folder, 'rejected')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const known = (await readdir(folder)).sort()
    for (const file of known.slice(0, Math.max(0, known.length + 1 - this.#options.maxRejected)))
      await rm(join(folder, file), { force: true })
    const [record] = batch.records
    const text = JSON.stringify({ kind: batch.kind, error: messageOf(error), record })
    await writeWhole(folder, `${record?.id}.json`, text)
  }

  async #open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const found: Segment[] = []
    for (const file of (await readdir(this.#folder)).sort()) {
      // Written half, when a crash came: its records were not promised to anybody.
      if (file.endsWith('.tmp')) await rm(join(this.#folder, file), { force: true })
      const parts = NAME.exec(file)
      if (!parts) continue
      const { size } = await stat(join(this.#folder, file))
      found.push({ file, kind: kindOf(parts[2]), records: Number(parts[3]), bytes: onDisk(size) })
      this.#lastNumber = Number(parts[1])
    }
    this.#segments = found
  }

  *#split(batch: Batch): Generator<{ text: string; records: number }> {
    let lines: string[] = []
    let size = 0
    for (const record of batch.records) {
      const line = `${JSON.stringify(record)}\n`
      if (size + line.length > this.#options.segmentBytes && lines.length > 0) {
        yield { text: lines.join(''), records: lines.length }
        lines = []
        size = 0
      }
      lines.push(line)
      size += line.length
    }
    if (lines.length > 0) yield { text: lines.join(''), records: lines.length }
  }

  async #write(kind: ActivityKind, text: string, records: number): Promise<void> {
    this.#lastNumber += 1
    const file = `${String(this.#lastNumber).padStart(12, '0')}-${kind}-${records}.ndjson`
    await writeWhole(this.#folder, file, text)
    this.#segments.push({ file, kind, records, bytes: onDisk(Buffer.byteLength(text)) })
  }

  async #enforceBound(): Promise<void> {
    for (let { bytes } = this; bytes > this.#options.maxBytes; ) {
      const { oldest } = this
      if (!oldest) return
      this.#dropped += oldest.records
      bytes -= oldest.bytes
      this.#log.error(
        { records: oldest.records, kind: oldest.kind, maxBytes: this.#options.maxBytes },
        'RECORDS ARE LOST: the database is away for so long that the spool is full; the oldest records go',
      )
      await this.remove(oldest)
    }
  }
}

function onDisk(bytes: number): number {
  return Math.max(BLOCK_BYTES, bytes)
}

async function writeWhole(folder: string, file: string, text: string): Promise<void> {
  const path = join(folder, file)
  const temporary = `${path}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    // What takes room on a full disk is of no use to anybody; if it cannot be removed either, the next start does it.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncFolder(folder)
}

/** Without this a power cut may take the name of a file whose content is safe. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function kindOf(text: string | undefined): ActivityKind {
  if (text === 'access' || text === 'audit') return text
  return 'usage'
}

const optional = z
  .string()
  .optional()
  .transform((text) => text)
const common = { id: z.string(), timestamp: z.number(), ip: optional, node: z.string() }
const usage = z.object({
  ...common,
  username: optional,
  keyId: optional,
  server: z.string(),
  tool: z.string(),
  success: z.boolean(),
  durationMs: z.number(),
  error: optional,
  arguments: optional,
  userAgent: optional,
  sessionId: optional,
})
const access = z.object({
  ...common,
  username: optional,
  keyId: optional,
  action: z.string(),
  resource: z.string(),
  method: z.string(),
  statusCode: z.number(),
  durationMs: z.number(),
  userAgent: optional,
  requestId: z.string(),
})
const audit = z.object({
  ...common,
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  success: z.boolean(),
  details: optional,
})

function parseSegment(kind: ActivityKind, text: string): Batch {
  const values = text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine)
  const valid = <T>(schema: z.ZodType<T>): T[] =>
    values.flatMap((value) => {
      const { success, data } = schema.safeParse(value)
      return success ? [data] : []
    })
  return readBatch(kind, valid)
}

function readBatch(kind: ActivityKind, valid: <T>(schema: z.ZodType<T>) => T[]): Batch {
  switch (kind) {
    case 'usage':
      return { kind, records: valid(usage) }
    case 'access':
      return { kind, records: valid(access) }
    case 'audit':
      return { kind, records: valid(audit) }
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // Such a line is no record: the reader notices that one is missing.
    return undefined
  }
}
