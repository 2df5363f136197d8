import type { Batch } from './batches.ts'
import type { AccessEntry, AuditEntry, RecordMaker, UsageEntry } from './record-maker.ts'

/** What one entry takes in memory without its arguments, roughly. */
const ENTRY_BYTES = 512
/** So much is written before its time: about 20,000 entries. Fewer and larger bursts of writing disturb calls less: 5,000 cost twice as much. */
const FULL_BYTES = 20_000 * ENTRY_BYTES
/** More is not kept in memory. */
const MAX_BYTES = 64 * 1024 * 1024

/** Entries that wait to be written, each kind in the order in which it came. */
export class Queue {
  readonly #maker: RecordMaker
  readonly #usage: UsageEntry[] = []
  readonly #access: AccessEntry[] = []
  readonly #audit: AuditEntry[] = []
  #bytes = 0

  constructor(maker: RecordMaker) {
    this.#maker = maker
  }

  get size(): number {
    return this.#usage.length + this.#access.length + this.#audit.length
  }

  get isEmpty(): boolean {
    return this.size === 0
  }

  /** There is enough for several batches. */
  get isFull(): boolean {
    return this.#bytes >= FULL_BYTES
  }

  /** Nothing more is taken. */
  get overflows(): boolean {
    return this.#bytes >= MAX_BYTES
  }

  addUsage(entry: UsageEntry): void {
    this.#usage.push(entry)
    this.#bytes += ENTRY_BYTES + entry.argumentsBytes
  }

  addAccess(entry: AccessEntry): void {
    this.#access.push(entry)
    this.#bytes += ENTRY_BYTES
  }

  addAudit(entry: AuditEntry): void {
    this.#audit.push(entry)
    this.#bytes += ENTRY_BYTES
  }

  /** Records of one kind, the oldest first, at most `limit`; undefined when nothing waits. */
  take(limit: number): Batch | undefined {
    if (this.#audit.length > 0) {
      const entries = this.#audit.splice(0, limit)
      this.#bytes -= ENTRY_BYTES * entries.length
      return { kind: 'audit', records: entries.map((entry) => this.#maker.audit(entry)) }
    }
    if (this.#access.length > 0) {
      const entries = this.#access.splice(0, limit)
      this.#bytes -= ENTRY_BYTES * entries.length
      return { kind: 'access', records: entries.map((entry) => this.#maker.access(entry)) }
    }
    if (this.#usage.length === 0) return undefined
    const entries = this.#usage.splice(0, limit)
    for (const { argumentsBytes } of entries) this.#bytes -= ENTRY_BYTES + argumentsBytes
    return { kind: 'usage', records: entries.map((entry) => this.#maker.usage(entry)) }
  }
}
