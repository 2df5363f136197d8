import type { AccessRecord, AuditRecord, UsageRecord } from '../../domain/activity.ts'
import type { Redactor } from '../redaction.ts'
import type { RecordIds } from './ids.ts'

/** A tool call as it is reported: what costs time is done when its batch is written. */
export interface UsageEntry extends Omit<UsageRecord, 'id' | 'node' | 'arguments'> {
  /** As the client sent them, if they may be kept. */
  readonly arguments: unknown
  /** Roughly what they take in memory. */
  readonly argumentsBytes: number
}

export type AccessEntry = Omit<AccessRecord, 'id' | 'node'>
export type AuditEntry = Omit<AuditRecord, 'id' | 'node'>

export interface EntryOf {
  readonly usage: UsageEntry
  readonly access: AccessEntry
  readonly audit: AuditEntry
}

/** Larger arguments are cut, bytes of JSON text. */
const ARGUMENTS_BYTES = 8 * 1024
const LONGEST = { error: 1000, name: 255, userAgent: 255, ip: 45, sessionId: 100, details: 8 * 1024 }

/** Makes records of what was reported: with an id, without secrets, and of bounded size. */
export class RecordMaker {
  readonly #ids: RecordIds
  readonly #redactor: Redactor
  readonly #node: string

  constructor(ids: RecordIds, redactor: Redactor, node: string) {
    this.#ids = ids
    this.#redactor = redactor
    this.#node = node
  }

  usage(entry: UsageEntry): UsageRecord {
    const kept = entry.arguments
    return {
      id: this.#ids.next(),
      timestamp: entry.timestamp,
      username: start(entry.username, LONGEST.name),
      keyId: start(entry.keyId, LONGEST.name),
      server: start(entry.server, LONGEST.name),
      tool: start(entry.tool, LONGEST.name),
      success: entry.success,
      durationMs: Math.round(entry.durationMs),
      error: this.#text(entry.error, LONGEST.error),
      arguments: kept === undefined ? undefined : this.#redactor.redactArguments(kept, ARGUMENTS_BYTES),
      ip: start(entry.ip, LONGEST.ip),
      userAgent: this.#userAgent(entry.userAgent),
      sessionId: start(entry.sessionId, LONGEST.sessionId),
      node: this.#node,
    }
  }

  access(entry: AccessEntry): AccessRecord {
    return {
      ...entry,
      id: this.#ids.next(),
      durationMs: Math.round(entry.durationMs),
      resource: this.#text(entry.resource, LONGEST.name),
      ip: start(entry.ip, LONGEST.ip),
      userAgent: this.#userAgent(entry.userAgent),
      node: this.#node,
    }
  }

  audit(entry: AuditEntry): AuditRecord {
    const { details } = entry
    return {
      ...entry,
      id: this.#ids.next(),
      target: this.#text(entry.target, LONGEST.name),
      details: details === undefined ? undefined : this.#redactor.redactArguments(details, LONGEST.details),
      ip: start(entry.ip, LONGEST.ip),
      node: this.#node,
    }
  }

  #userAgent(text: string | undefined): string | undefined {
    return text === undefined ? undefined : start(this.#redactor.hideKnown(text), LONGEST.userAgent)
  }

  #text<T extends string | undefined>(text: T, longest: number): T extends string ? string : T
  #text(text: string | undefined, longest: number): string | undefined {
    return text === undefined ? undefined : this.#redactor.redactStart(text, longest)
  }
}

function start<T extends string | undefined>(text: T, longest: number): T extends string ? string : T
function start(text: string | undefined, longest: number): string | undefined {
  return text === undefined || text.length <= longest ? text : text.slice(0, longest)
}
