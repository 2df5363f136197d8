import type { AccessRecord, UsageRecord } from '../../src/domain/activity.ts'
import type { AccessEntry, AuditEntry, UsageEntry } from '../../src/observability/activity/record-maker.ts'

/** A call of a tool with this name, of which only what a test cares about need be said. */
export function usageEntry(tool: string, parts: Partial<UsageEntry> = {}): UsageEntry {
  return {
    timestamp: 1_700_000_000_000,
    username: 'alice',
    keyId: 'k1',
    server: 'time',
    tool,
    success: true,
    durationMs: 12,
    error: undefined,
    arguments: undefined,
    argumentsBytes: 0,
    ip: '127.0.0.1',
    userAgent: 'test/1.0',
    sessionId: 's1',
    ...parts,
  }
}

export function accessEntry(action: string): AccessEntry {
  return {
    timestamp: 1_700_000_000_000,
    username: 'alice',
    keyId: undefined,
    action,
    resource: '/api/servers',
    method: 'GET',
    statusCode: 200,
    durationMs: 3,
    ip: '127.0.0.1',
    userAgent: undefined,
    requestId: 'r1',
  }
}

export function auditEntry(action: string, parts: Partial<AuditEntry> = {}): AuditEntry {
  return {
    timestamp: 1_700_000_000_000,
    actor: 'alice',
    action,
    target: 'server:time',
    success: true,
    details: undefined,
    ip: undefined,
    ...parts,
  }
}

export function usageRecord(id: string, parts: Partial<UsageRecord> = {}): UsageRecord {
  const { argumentsBytes: _, ...entry } = usageEntry('now')
  return { ...entry, arguments: undefined, id, node: 'n1', ...parts }
}

export function accessRecord(id: string): AccessRecord {
  return { ...accessEntry('servers.list'), id, node: 'n1' }
}
