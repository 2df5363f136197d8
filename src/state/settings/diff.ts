import type { RevisionChange } from '../../domain/settings-revision.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { sameJson } from '../json/canonical.ts'
import { identitiesOf } from '../json/item-identity.ts'
import { type JsonPath, toPointer } from '../json/json-path.ts'
import { maskSecrets } from '../secrets/secrets-in-document.ts'

type Document = Record<string, unknown>

/** More changes than this are told in larger pieces. */
const MOST_CHANGES = 200
/** Longer values are told by their length, in characters of JSON. */
const LONGEST_VALUE = 2_000

/**
 * The places at which two documents differ. Both come with their secrets open, so that one that was sealed anew is no
 * change; what is told of them is masked.
 */
export function diffDocuments(before: Document, after: Document): readonly RevisionChange[] {
  const sides = { before: maskSecrets(before), after: maskSecrets(after) }
  for (const depth of [Number.POSITIVE_INFINITY, 4, 3, 2]) {
    const changes = compareMembers(
      { value: before, shown: sides.before },
      { value: after, shown: sides.after },
      [],
      depth,
    )
    if (changes.length <= MOST_CHANGES) return changes
  }
  return compareMembers(
    { value: before, shown: sides.before },
    { value: after, shown: sides.after },
    [],
    1,
  ).slice(0, MOST_CHANGES)
}

/** A value of one side, and the same as people may see it. */
interface Side {
  readonly value: unknown
  readonly shown: unknown
}

const NOTHING: Side = { value: undefined, shown: undefined }

function compare(before: Side, after: Side, path: JsonPath, depth: number): RevisionChange[] {
  if (sameJson(before.value, after.value)) return []
  if (depth > 0 && isObject(before.value) && isObject(after.value))
    return compareMembers(before, after, path, depth)
  if (depth > 0 && Array.isArray(before.value) && Array.isArray(after.value)) {
    const changes = compareItems(before, after, path, depth)
    if (changes) return changes
  }
  return [describe(before, after, path)]
}

function compareMembers(before: Side, after: Side, path: JsonPath, depth: number): RevisionChange[] {
  const names = new Set([...namesOf(before.value), ...namesOf(after.value)])
  return [...names].flatMap((name) =>
    compare(member(before, name), member(after, name), [...path, name], depth - 1),
  )
}

/** Items that have names are compared by them: a group stays the same group when another is removed before it. */
function compareItems(
  before: Side,
  after: Side,
  path: JsonPath,
  depth: number,
): RevisionChange[] | undefined {
  const [old, present] = [itemNames(before.value), itemNames(after.value)]
  if (!old || !present) return undefined
  const changes = [
    ...old.flatMap((name, index) =>
      present.includes(name) ? [] : compare(item(before, index), NOTHING, [...path, index], depth - 1),
    ),
    ...present.flatMap((name, index) =>
      compare(item(before, old.indexOf(name)), item(after, index), [...path, index], depth - 1),
    ),
  ]
  // Only their order has changed.
  return changes.length > 0 ? changes : undefined
}

function describe(before: Side, after: Side, path: JsonPath): RevisionChange {
  const pointer = toPointer(path)
  if (before.value === undefined) return { path: pointer, kind: 'added', after: bounded(after.shown) }
  if (after.value === undefined) return { path: pointer, kind: 'removed', before: bounded(before.shown) }
  return { path: pointer, kind: 'changed', before: bounded(before.shown), after: bounded(after.shown) }
}

function bounded(value: unknown): unknown {
  const { length } = JSON.stringify(value)
  return length <= LONGEST_VALUE ? value : `(${length} characters of JSON)`
}

function namesOf(value: unknown): readonly string[] {
  return isObject(value) ? Object.keys(value) : []
}

function itemNames(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) ? identitiesOf(value) : undefined
}

function member({ value, shown }: Side, name: string): Side {
  const of = (object: unknown) => (isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined)
  return { value: of(value), shown: of(shown) }
}

function item({ value, shown }: Side, index: number): Side {
  const of = (list: unknown) => (Array.isArray(list) ? (list[index] as unknown) : undefined)
  return { value: of(value), shown: of(shown) }
}
