import type { AccessRecord, AuditRecord, Page, UsageRecord } from '../../domain/activity.ts'

/** Which records are meant; every part that is given must hold. */
export interface ActivityFilter {
  /** From this moment on, ms since the epoch. */
  readonly from?: number
  /** Up to, not including, this moment. */
  readonly to?: number
  readonly username?: string
  readonly keyId?: string
  readonly server?: string
  readonly tool?: string
  readonly success?: boolean
  /** Only records of these servers, as somebody without the right to all of them asks. */
  readonly servers?: readonly string[]
}

export interface PageRequest {
  readonly limit: number
  /** What an earlier page gave as `nextCursor`. @throws HubError `request.invalid-params` for any other text */
  readonly cursor?: string
}

export type UsageDimension = 'server' | 'tool' | 'username' | 'keyId' | 'day' | 'hour'

export interface UsageAggregate {
  /** The value of each dimension that was asked for; days and hours as ISO text in UTC. */
  readonly group: Readonly<Partial<Record<UsageDimension, string | null>>>
  readonly calls: number
  readonly errors: number
  readonly averageMs: number
  readonly maxMs: number
}

/** Where records of activity are kept. Every method may throw HubError `storage.unavailable`. */
export interface ActivityStore {
  /** Writes all or none; records whose id is there already are left as they are. */
  appendUsage(records: readonly UsageRecord[]): Promise<void>
  appendAccess(records: readonly AccessRecord[]): Promise<void>
  appendAudit(records: readonly AuditRecord[]): Promise<void>
  usage(filter: ActivityFilter, page: PageRequest): Promise<Page<UsageRecord>>
  access(
    filter: Pick<ActivityFilter, 'from' | 'to' | 'username'>,
    page: PageRequest,
  ): Promise<Page<AccessRecord>>
  audit(filter: Pick<ActivityFilter, 'from' | 'to'>, page: PageRequest): Promise<Page<AuditRecord>>
  /** Sorted by calls, most first. */
  aggregate(
    filter: ActivityFilter,
    by: readonly UsageDimension[],
    limit: number,
  ): Promise<readonly UsageAggregate[]>
  /** Removes up to `limit` records of a kind that are older than `before`; returns how many. */
  prune(kind: 'usage' | 'access' | 'audit', before: number, limit: number): Promise<number>
}
