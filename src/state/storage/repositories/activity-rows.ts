import type { Insertable, Selectable } from 'kysely'
import type { AccessRecord, AuditRecord, UsageRecord } from '../../../domain/activity.ts'
import type { AccessTable, AuditTable, UsageTable } from '../schema.ts'
import { fitted, WIDTHS } from '../texts.ts'

/** A record of what happened is never refused: texts that are too long for their column end with `…`. */
function text(value: string | undefined, width?: number): string | null {
  return value === undefined ? null : fitted(value, width)
}

export function usageRow(record: UsageRecord): Insertable<UsageTable> {
  return {
    id: fitted(record.id, WIDTHS.recordId),
    timestamp: record.timestamp,
    username: fitted(record.username ?? '', WIDTHS.username),
    server_name: fitted(record.server, WIDTHS.loggedName),
    tool_name: fitted(record.tool, WIDTHS.loggedName),
    success: record.success,
    arguments: text(record.arguments),
    error_message: text(record.error),
    duration: Math.round(record.durationMs),
    ip: text(record.ip, WIDTHS.ip),
    user_agent: text(record.userAgent),
    session_id: text(record.sessionId, WIDTHS.sessionId),
    key_id: text(record.keyId, WIDTHS.keyId),
    node: fitted(record.node, WIDTHS.node),
  }
}

export function usageRecord(row: Selectable<UsageTable>): UsageRecord {
  return {
    id: row.id,
    timestamp: row.timestamp,
    username: row.username || undefined,
    keyId: row.key_id ?? undefined,
    server: row.server_name,
    tool: row.tool_name,
    success: Boolean(row.success),
    durationMs: row.duration,
    error: row.error_message ?? undefined,
    arguments: row.arguments ?? undefined,
    ip: row.ip ?? undefined,
    userAgent: row.user_agent ?? undefined,
    sessionId: row.session_id ?? undefined,
    node: row.node,
  }
}

export function accessRow(record: AccessRecord): Insertable<AccessTable> {
  return {
    id: fitted(record.id, WIDTHS.recordId),
    timestamp: record.timestamp,
    username: fitted(record.username ?? '', WIDTHS.username),
    action: fitted(record.action, WIDTHS.action),
    resource: fitted(record.resource),
    method: fitted(record.method, WIDTHS.method),
    status_code: record.statusCode,
    ip: text(record.ip, WIDTHS.ip),
    user_agent: text(record.userAgent),
    duration: Math.round(record.durationMs),
    details: null,
    key_id: text(record.keyId, WIDTHS.keyId),
    request_id: fitted(record.requestId, WIDTHS.requestId),
    node: fitted(record.node, WIDTHS.node),
  }
}

export function accessRecord(row: Selectable<AccessTable>): AccessRecord {
  return {
    id: row.id,
    timestamp: row.timestamp,
    username: row.username || undefined,
    keyId: row.key_id ?? undefined,
    action: row.action,
    resource: row.resource,
    method: row.method,
    statusCode: row.status_code,
    durationMs: row.duration,
    ip: row.ip ?? undefined,
    userAgent: row.user_agent ?? undefined,
    requestId: row.request_id,
    node: row.node,
  }
}

export function auditRow(record: AuditRecord): Insertable<AuditTable> {
  return {
    id: fitted(record.id, WIDTHS.recordId),
    timestamp: record.timestamp,
    actor: fitted(record.actor, WIDTHS.actor),
    action: fitted(record.action, WIDTHS.action),
    target: fitted(record.target),
    success: record.success,
    details: text(record.details),
    ip: text(record.ip, WIDTHS.ip),
    node: fitted(record.node, WIDTHS.node),
  }
}

export function auditRecord(row: Selectable<AuditTable>): AuditRecord {
  return {
    id: row.id,
    timestamp: row.timestamp,
    actor: row.actor,
    action: row.action,
    target: row.target,
    success: Boolean(row.success),
    details: row.details ?? undefined,
    ip: row.ip ?? undefined,
    node: row.node,
  }
}
