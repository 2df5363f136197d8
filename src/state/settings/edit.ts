import { applyEdits as applyTextEdits, type FormattingOptions, modify } from 'jsonc-parser'
import { HubError } from '../../domain/errors.ts'
import type { SettingsEdit } from '../../domain/settings-revision.ts'
import { isObject } from '../../mcp/json-rpc.ts'
import { sameJson } from '../json/canonical.ts'
import { identitiesOf } from '../json/item-identity.ts'
import { type JsonPath, valueAt } from '../json/json-path.ts'
import { parseDocument } from './document.ts'

type Document = Record<string, unknown>

/** What is on the way to a place is made where it is missing; more steps than this are a mistake or an attack. */
const DEEPEST = 64
/** Beyond this many places a text is written anew in larger pieces: each place costs a pass over the text. */
const MOST_TEXT_EDITS = 60

/**
 * The document with the edits made, one after the other; the document itself stays as it is.
 * @throws HubError `settings.invalid` for a path that leads nowhere, and for the name `__proto__`
 */
export function applyEdits(document: Document, edits: readonly SettingsEdit[]): Document {
  return edits.reduce<Document>((edited, { path, value }) => {
    if (path.length > DEEPEST) throw badEdit(path, 'the path is too long')
    const next = setAt(edited, path, 0, value === undefined ? undefined : plainJson(value, path))
    if (!isObject(next)) throw badEdit(path, 'the document itself must be an object')
    return next
  }, document)
}

function setAt(at: unknown, path: JsonPath, depth: number, value: unknown): unknown {
  const step = path[depth]
  if (step === undefined) return value
  if (step === '__proto__') throw badEdit(path, 'nothing may be named "__proto__"')
  if (typeof step === 'number') return setItem(at ?? [], path, depth, step, value)
  const object = at ?? {}
  if (!isObject(object)) throw badEdit(path, `there is no object to put "${step}" into`)
  const inner = Object.hasOwn(object, step) ? object[step] : undefined
  const next = removesNothing(inner, path, depth, value) ? inner : setAt(inner, path, depth + 1, value)
  if (next === inner) return at
  const others = Object.entries(object)
  // The order of members is the operator's; a new one comes last.
  if (inner !== undefined)
    return Object.fromEntries(
      others.flatMap(([name, member]) =>
        name !== step ? [[name, member]] : next === undefined ? [] : [[name, next]],
      ),
    )
  return Object.fromEntries([...others, [step, next]])
}

function setItem(at: unknown, path: JsonPath, depth: number, index: number, value: unknown): unknown {
  if (!Array.isArray(at)) throw badEdit(path, 'there is no list at this place')
  if (!Number.isInteger(index) || index < 0 || index > at.length)
    throw badEdit(path, `the list has ${at.length} items`)
  const inner: unknown = at[index]
  if (removesNothing(inner, path, depth, value)) return at
  const next = setAt(inner, path, depth + 1, value)
  return next === undefined ? at.toSpliced(index, 1) : at.toSpliced(index, 1, next)
}

/** Removing what is not there makes nothing on the way to it. */
function removesNothing(inner: unknown, path: JsonPath, depth: number, value: unknown): boolean {
  if (value !== undefined || inner !== undefined) return false
  if (path[depth + 1] === '__proto__') throw badEdit(path, 'nothing may be named "__proto__"')
  return true
}

/** A copy as JSON would have it. */
function plainJson(value: unknown, path: JsonPath): unknown {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw badEdit(path, 'the value is not JSON')
  return JSON.parse(text, function refuse(this: unknown, name, member: unknown) {
    if (name === '__proto__') throw badEdit(path, 'nothing may be named "__proto__"')
    return member
  })
}

function badEdit(path: JsonPath, why: string): HubError {
  return new HubError(
    'settings.invalid',
    `${path.join('.') || 'the document'}: this cannot be changed: ${why}.`,
    {
      data: { path },
    },
  )
}

/** Few small edits that turn one document into the other, so that everything else in its text can stay. */
export function editsBetween(before: Document, after: Document): readonly SettingsEdit[] {
  for (const depth of [Number.POSITIVE_INFINITY, 3, 2]) {
    const edits = membersBetween(before, after, [], depth)
    if (edits.length <= MOST_TEXT_EDITS) return edits
  }
  return membersBetween(before, after, [], 1)
}

function membersBetween(before: Document, after: Document, path: JsonPath, depth: number): SettingsEdit[] {
  const removed = Object.keys(before).filter((name) => !Object.hasOwn(after, name))
  return [
    ...removed.map((name) => ({ path: [...path, name], value: undefined })),
    ...Object.entries(after).flatMap(([name, value]) => {
      const known = Object.hasOwn(before, name) ? before[name] : undefined
      return valuesBetween(known, value, [...path, name], depth - 1)
    }),
  ]
}

function valuesBetween(before: unknown, after: unknown, path: JsonPath, depth: number): SettingsEdit[] {
  if (sameJson(before, after)) return []
  if (depth > 0 && isObject(before) && isObject(after)) return membersBetween(before, after, path, depth)
  if (depth > 0 && Array.isArray(before) && Array.isArray(after) && grows(before, after))
    return after.flatMap((item: unknown, index) =>
      valuesBetween(before[index], item, [...path, index], depth - 1),
    )
  return [{ path, value: after }]
}

/** Whether the items kept their places, perhaps with new ones behind them. */
function grows(before: readonly unknown[], after: readonly unknown[]): boolean {
  if (after.length < before.length) return false
  const names = identitiesOf(before)
  const present = identitiesOf(after.slice(0, before.length))
  return names !== undefined && present !== undefined && names.every((name, index) => name === present[index])
}

/**
 * Text of the target document that keeps of `text` what it can: comments, order, and layout of all that does not change.
 * @throws HubError `settings.invalid` when `text` is no settings document
 */
export function rewriteText(text: string, target: Document, source: string): string {
  const mark = text.startsWith('\uFEFF') ? '\uFEFF' : ''
  const body = text.slice(mark.length)
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: body.includes('\r\n') ? '\r\n' : '\n' }
  const start = body.trim() === '' ? '{}\n' : body
  const before = parseDocument(start, source).value
  if (!isObject(before)) return `${mark}${JSON.stringify(target, undefined, 2)}\n`
  const edits = editsBetween(before, target)
  const quick = edits.reduce(
    (edited, { path, value }) => writeAt(edited, path, value, formattingOptions),
    start,
  )
  return mark + (holds(quick, target) ? quick : writeCarefully(start, edits, target, formattingOptions))
}

/** Checks each edit, for a text with a name that stands twice or with a stray comma has no one place for it. */
function writeCarefully(
  text: string,
  edits: readonly SettingsEdit[],
  target: Document,
  format: FormattingOptions,
): string {
  let edited = text
  for (const edit of edits) edited = writeWidening(edited, edit, format)
  return holds(edited, target) ? edited : writeAt(text, [], target, format)
}

/** Makes one edit; where that does not give what it should, by writing the object around the place anew. */
function writeWidening(text: string, edit: SettingsEdit, format: FormattingOptions): string {
  const wanted = applyEdits(readObject(text), [edit])
  for (let length = edit.path.length; length > 0; length -= 1) {
    const path = edit.path.slice(0, length)
    const written = writeAt(text, path, valueAt(wanted, path), format)
    if (holds(written, wanted)) return written
  }
  return writeAt(text, [], wanted, format)
}

function writeAt(text: string, path: JsonPath, value: unknown, formattingOptions: FormattingOptions): string {
  return applyTextEdits(text, modify(text, [...path], value, { formattingOptions }))
}

function holds(text: string, document: Document): boolean {
  try {
    return sameJson(parseDocument(text, '').value, document)
  } catch {
    // Text that does not parse holds nothing; the caller writes it in another way.
    return false
  }
}

function readObject(text: string): Document {
  const { value } = parseDocument(text, '')
  return isObject(value) ? value : {}
}
