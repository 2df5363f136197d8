import type { AccessRecord, AuditRecord, UsageRecord } from '../../domain/activity.ts'
import type { ActivityStore } from './ports.ts'

export interface RecordOf {
  readonly usage: UsageRecord
  readonly access: AccessRecord
  readonly audit: AuditRecord
}

export type ActivityKind = keyof RecordOf
export const ACTIVITY_KINDS: readonly ActivityKind[] = ['usage', 'access', 'audit']

/** Records of one kind that are written together. */
export type Batch = {
  [K in ActivityKind]: { readonly kind: K; readonly records: readonly RecordOf[K][] }
}[ActivityKind]

export type AppendStore = Pick<ActivityStore, 'appendUsage' | 'appendAccess' | 'appendAudit'>

/** Writes all records of a batch or none. */
export function append(store: AppendStore, batch: Batch): Promise<void> {
  switch (batch.kind) {
    case 'usage':
      return store.appendUsage(batch.records)
    case 'access':
      return store.appendAccess(batch.records)
    case 'audit':
      return store.appendAudit(batch.records)
  }
}

/** The records from `start` up to, not including, `end`. */
export function part(batch: Batch, start: number, end?: number): Batch {
  switch (batch.kind) {
    case 'usage':
      return { kind: batch.kind, records: batch.records.slice(start, end) }
    case 'access':
      return { kind: batch.kind, records: batch.records.slice(start, end) }
    case 'audit':
      return { kind: batch.kind, records: batch.records.slice(start, end) }
  }
}
