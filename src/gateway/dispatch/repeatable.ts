import { HubError } from '../../domain/errors.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { METHOD } from '../../mcp/methods.ts'
import { keyOf, type Listing } from '../catalog/listing.ts'
import type { CallEvent } from './servers.ts'

/** Requests that read and change nothing. */
const READS: ReadonlySet<string> = new Set([
  METHOD.resourcesRead,
  METHOD.promptsGet,
  METHOD.complete,
  METHOD.toolsList,
  METHOD.promptsList,
  METHOD.resourcesList,
  METHOD.templatesList,
])

/**
 * Whether a request may be carried out twice: a plain read, or a tool of which its server says that it changes nothing, or nothing more
 * when called again.
 * @param name the server's own name of the tool
 */
export function isRepeatable(method: string, name: string, listing: Listing | undefined): boolean {
  if (method !== METHOD.toolsCall) return READS.has(method)
  const tool = listing?.tools.find((item) => keyOf('tools', item) === name)
  const annotations = tool?.['annotations']
  return (
    isObject(annotations) && (annotations['readOnlyHint'] === true || annotations['idempotentHint'] === true)
  )
}

/** Whether a call failed because its server, or the way there, went away. */
export function isLost(error: unknown): boolean {
  return error instanceof HubError && error.code === 'upstream.lost'
}

/** Whether the server has provably not taken the call up. */
export function isCertainlyNotAccepted(error: unknown): boolean {
  return error instanceof HubError && error.data['accepted'] === false
}

/** What a failed call says of its server. */
export function eventOf(error: unknown): CallEvent {
  if (!(error instanceof HubError)) return 'abandoned'
  return EVENTS.get(error.code) ?? 'abandoned'
}

const EVENTS: ReadonlyMap<string, CallEvent> = new Map([
  ['upstream.lost', 'lost'],
  ['upstream.timeout', 'timeout'],
  ['upstream.invalid', 'invalid'],
  ['upstream.rejected', 'invalid'],
  ['upstream.overloaded', 'invalid'],
])
