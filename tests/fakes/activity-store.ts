import type { AccessRecord, AuditRecord, UsageRecord } from '../../src/domain/activity.ts'
import { HubError } from '../../src/domain/errors.ts'
import type { AppendStore } from '../../src/observability/activity/batches.ts'

type AnyRecord = UsageRecord | AccessRecord | AuditRecord

/** Keeps records in memory under their ids, and fails in the ways in which databases do. */
export class FakeActivityStore implements AppendStore {
  readonly usage = new Map<string, UsageRecord>()
  readonly access = new Map<string, AccessRecord>()
  readonly audit = new Map<string, AuditRecord>()
  /** How many records each call brought, also those that failed. */
  readonly calls: number[] = []
  /** The database cannot be reached. */
  isAway = false
  /** Calls neither succeed nor fail. */
  hangs = false
  /** Records that cannot be written, and with them every batch in which they are. */
  isBad: (record: AnyRecord) => boolean = () => false

  appendUsage(records: readonly UsageRecord[]): Promise<void> {
    return this.#append(this.usage, records)
  }

  appendAccess(records: readonly AccessRecord[]): Promise<void> {
    return this.#append(this.access, records)
  }

  appendAudit(records: readonly AuditRecord[]): Promise<void> {
    return this.#append(this.audit, records)
  }

  async #append<T extends AnyRecord>(kept: Map<string, T>, records: readonly T[]): Promise<void> {
    this.calls.push(records.length)
    if (this.hangs) return new Promise(() => undefined)
    if (this.isAway) throw new HubError('storage.unavailable', 'The database is away.')
    if (records.some(this.isBad)) throw new HubError('storage.invalid', 'A record cannot be written.')
    for (const record of records) if (!kept.has(record.id)) kept.set(record.id, record)
  }
}
