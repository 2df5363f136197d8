import type { KeyRecord, LoginRecord, UserRecord } from '../../src/domain/accounts.ts'
import type { AccessRecord, AuditRecord, UsageRecord } from '../../src/domain/activity.ts'
import type { Revision } from '../../src/domain/settings-revision.ts'

export const T = 1_763_700_000_000

/** Texts that are easily damaged on the way into a database and back. */
export const AWKWARD = [
  'plain',
  'Ünïcödé 日本語',
  '😀 emoji 👩‍👩‍👧',
  `quotes ' " \` and \\ backslash`,
  "'; drop table users; --",
  '%_ like * ?',
  'line\nbreak\ttab\r',
  ' spaces around ',
  '$1 :name ${x} {{y}}',
]

export function user(username: string, more: Partial<UserRecord> = {}): UserRecord {
  return {
    username,
    role: 'user',
    status: 'active',
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA',
    email: undefined,
    fullName: undefined,
    origin: 'api',
    declaredHash: undefined,
    createdAt: T,
    lastLoginAt: undefined,
    ...more,
  }
}

export function key(id: string, more: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id,
    name: `key ${id}`,
    tokenHash: id.padEnd(64, '0').slice(0, 64),
    prefix: 'flt_abc',
    owner: undefined,
    scope: { kind: 'all' },
    rest: 'none',
    grants: [],
    enabled: true,
    expiresAt: undefined,
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    createdAt: T,
    createdBy: undefined,
    lastUsedAt: undefined,
    ...more,
  }
}

export function login(tokenHash: string, more: Partial<LoginRecord> = {}): LoginRecord {
  return {
    tokenHash,
    username: 'alice',
    createdAt: T,
    expiresAt: T + 1_000,
    lastSeenAt: T,
    ip: undefined,
    userAgent: undefined,
    ...more,
  }
}

export function revision(number: number, more: Partial<Revision> = {}): Revision {
  return {
    number,
    at: T + number,
    author: 'alice',
    reason: undefined,
    checksum: 'c'.repeat(64),
    changes: [],
    document: '{}',
    ...more,
  }
}

export function usage(id: string, more: Partial<UsageRecord> = {}): UsageRecord {
  return {
    id,
    timestamp: T,
    username: 'alice',
    keyId: undefined,
    server: 'time',
    tool: 'now',
    success: true,
    durationMs: 10,
    error: undefined,
    arguments: undefined,
    ip: undefined,
    userAgent: undefined,
    sessionId: undefined,
    node: 'n1',
    ...more,
  }
}

export function access(id: string, more: Partial<AccessRecord> = {}): AccessRecord {
  return {
    id,
    timestamp: T,
    username: 'alice',
    keyId: undefined,
    action: 'servers.update',
    resource: '/api/servers/time',
    method: 'PUT',
    statusCode: 200,
    durationMs: 5,
    ip: undefined,
    userAgent: undefined,
    requestId: 'r1',
    node: 'n1',
    ...more,
  }
}

export function audit(id: string, more: Partial<AuditRecord> = {}): AuditRecord {
  return {
    id,
    timestamp: T,
    actor: 'alice',
    action: 'user.create',
    target: 'user:bob',
    success: true,
    details: undefined,
    ip: undefined,
    node: 'n1',
    ...more,
  }
}
