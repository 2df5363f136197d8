import { HubError } from '../domain/errors.ts'

/**
 * Finds where things stand in JSON text, so that a message can pass through with a few bytes exchanged and all others
 * as they came: numbers keep their digits, objects their order. Works on text that `JSON.parse` has accepted; it does
 * not check the text again.
 */
export interface Span {
  readonly start: number
  /** One past the last byte. */
  readonly end: number
}

export interface Edit extends Span {
  readonly text: string
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** From here on the native search for the next quote beats looking at each byte. */
const NATIVE_SEARCH_AFTER = 64

/**
 * The values of the `wanted` members of the object that `bytes` holds between `span.start` and `span.end`.
 * @throws HubError `request.duplicate-member` when a wanted member stands there twice: parsers disagree on which counts, so
 * nobody may rely on either
 */
export function findMembers<K extends string>(
  bytes: Buffer,
  span: Span,
  wanted: readonly K[],
): { [P in K]?: Span } {
  const found: { [P in K]?: Span } = {}
  let at = skipSpace(bytes, span.start)
  if (bytes[at] !== OPEN_OBJECT) return found
  at = skipSpace(bytes, at + 1)
  while (bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at)
    const name = matchKey(bytes, at, keyEnd, wanted)
    at = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1)
    const end = skipValue(bytes, at)
    if (name !== undefined) {
      if (Object.hasOwn(found, name)) throw duplicate(name)
      found[name] = { start: at, end }
    }
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  return found
}

/**
 * Where the value at `path` stands in `bytes`.
 * @throws HubError `request.duplicate-member`
 */
export function locate(bytes: Buffer, path: readonly string[]): Span | undefined {
  let at: Span | undefined = { start: 0, end: bytes.length }
  for (const member of path) at = at && findMembers(bytes, at, [member])[member]
  return at
}

/** The elements of the array that `bytes` holds from `start`. */
export function findElements(bytes: Buffer, start: number): Span[] {
  const found: Span[] = []
  let at = skipSpace(bytes, start)
  if (bytes[at] !== OPEN_ARRAY) return found
  at = skipSpace(bytes, at + 1)
  while (at < bytes.length && bytes[at] !== CLOSE_ARRAY) {
    const end = skipValue(bytes, at)
    found.push({ start: at, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  return found
}

/** `bytes` with each edit's span replaced by its text. Edits must be in order and must not overlap. */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of edits) {
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  pieces.push(bytes.subarray(at))
  return Buffer.concat(pieces)
}

function duplicate(member: string): HubError {
  return new HubError('request.duplicate-member', `The member "${member}" stands twice in one JSON object.`, {
    cure: 'Send each member once.',
  })
}

function matchKey<K extends string>(
  bytes: Buffer,
  start: number,
  end: number,
  wanted: readonly K[],
): K | undefined {
  const length = end - start - 2
  for (let i = start + 1; i < end - 1; i += 1) {
    if (bytes[i] === BACKSLASH) {
      const decoded: unknown = JSON.parse(bytes.toString('utf8', start, end))
      return wanted.find((name) => name === decoded)
    }
  }
  for (const name of wanted) if (name.length === length && equalsAscii(bytes, start + 1, name)) return name
  return undefined
}

function equalsAscii(bytes: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (bytes[start + i] !== text.charCodeAt(i)) return false
  return true
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  for (let c = bytes[at]; c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09; c = bytes[at]) at += 1
  return at
}

/** One past the value that starts at `from`. */
function skipValue(bytes: Buffer, from: number): number {
  const first = bytes[from]
  if (first === QUOTE) return skipString(bytes, from)
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return skipNested(bytes, from)
  let at = from
  for (let c = bytes[at]; c !== undefined && !endsScalar(c); c = bytes[at]) at += 1
  return at
}

function endsScalar(c: number): boolean {
  return c === COMMA || c === CLOSE_OBJECT || c === CLOSE_ARRAY || c === COLON || c <= 0x20
}

function skipNested(bytes: Buffer, from: number): number {
  let depth = 0
  let at = from
  while (at < bytes.length) {
    const c = bytes[at]
    if (c === QUOTE) {
      at = skipString(bytes, at)
      continue
    }
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) depth += 1
    else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) {
      depth -= 1
      if (depth === 0) return at + 1
    }
    at += 1
  }
  return at
}

/** One past the closing quote of the string whose opening quote is at `from`. */
function skipString(bytes: Buffer, from: number): number {
  let at = from + 1
  const near = at + NATIVE_SEARCH_AFTER
  while (at < near) {
    const c = bytes[at]
    if (c === QUOTE) return at + 1
    if (c === undefined) return at
    at += c === BACKSLASH ? 2 : 1
  }
  return skipLongString(bytes, at)
}

function skipLongString(bytes: Buffer, from: number): number {
  // `from` may lie right behind an escaped pair, never within one: backslashes before it do not count.
  for (let at = from; ; ) {
    const quote = bytes.indexOf(QUOTE, at)
    if (quote === -1) return bytes.length
    let backslashes = 0
    while (quote - 1 - backslashes >= from && bytes[quote - 1 - backslashes] === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return quote + 1
    at = quote + 1
  }
}
