import { isObject } from '../../mcp/json-rpc.ts'

/** The way from a document to a place in it: names of members and numbers of items. */
export type JsonPath = readonly (string | number)[]

/** A path as a JSON pointer (RFC 6901 §3). */
export function toPointer(path: JsonPath): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** What stands at `path`; undefined when there is nothing. */
export function valueAt(value: unknown, path: JsonPath): unknown {
  let at = value
  for (const step of path) {
    if (Array.isArray(at)) at = typeof step === 'number' ? at[step] : undefined
    else at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined
  }
  return at
}
