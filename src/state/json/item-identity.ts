import { isObject } from '../../mcp/json-rpc.ts'

/** By what people tell the items of a list apart, best first. */
const FIELDS = ['id', 'name', 'username', 'clientId', 'client_id', 'uri'] as const

/** Names for the items of a list, each different; undefined for a list whose items cannot be told apart by name. */
export function identitiesOf(items: readonly unknown[]): readonly string[] | undefined {
  const identities: string[] = []
  for (const item of items) {
    const field = isObject(item) ? FIELDS.find((each) => typeof item[each] === 'string') : undefined
    if (!isObject(item) || field === undefined) return undefined
    identities.push(`${field}:${String(item[field])}`)
  }
  return new Set(identities).size === identities.length ? identities : undefined
}

/**
 * For each item of `items` the one of `others` that it stands for: by name where all have one, else by its place in a list
 * of the same length.
 */
export function counterparts(items: readonly unknown[], others: readonly unknown[]): readonly unknown[] {
  const names = identitiesOf(items)
  const known = identitiesOf(others)
  if (names && known) return names.map((name) => others[known.indexOf(name)])
  if (items.length === others.length) return others
  return items.map(() => undefined)
}
