import type { JsonPath } from './json-path.ts'

/** `change` for each string in a value, with the path at which it stands. */
export function mapStrings(
  value: unknown,
  change: (text: string, path: JsonPath) => string,
  path: JsonPath = [],
): unknown {
  if (typeof value === 'string') return change(value, path)
  if (Array.isArray(value))
    return value.map((item: unknown, index) => mapStrings(item, change, [...path, index]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [
      key,
      mapStrings(item, change, [...path, key]),
    ]),
  )
}
