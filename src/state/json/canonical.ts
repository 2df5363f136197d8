import { createHash } from 'node:crypto'
import { isObject } from '../../mcp/json-rpc.ts'

/** JSON text that is the same for all documents with the same content, whatever the order of their members. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    isObject(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : member,
  )
}

export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  // A value that is not there has no text, and is only the same as another such.
  if (a === undefined || b === undefined) return false
  return canonicalJson(a) === canonicalJson(b)
}

/** SHA-256 of the canonical JSON, hex. */
export function checksumOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
