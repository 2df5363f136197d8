import { SecretFinder } from './secret-finder.ts'

export const MASK = '[redacted]'

/** Names of members, headers and query parameters whose values nobody should read. */
const SECRET_NAME =
  /auth(?:orization)?$|token|passw|passphrase|pwd|secret|credential|cookie|bearer|api[-_ ]?key|(?:access|private|signing|encryption)[-_ ]?key/i
/** `maxTokens`, `progressToken` and their like: a number there is a count or an id. */
const COUNTED = /tokens?$/i
// The lengths are bounded so that no text, however made, costs more than its length.
const NAMED = String.raw`[\w.-]{0,64}(?:authorization|token|passw|passphrase|pwd|secret|credential|cookie|api[-_]?key|access[-_]?key|private[-_]?key)[\w.-]{0,64}`
/** `?token=x`, `&api_key=x`: in URLs and forms. */
const IN_QUERY = new RegExp(String.raw`([?&;]${NAMED}=)[^&#;\s"'<>\\]+`, 'gi')
/** `"password": "x"` in JSON that stands within text. */
const IN_JSON = new RegExp(String.raw`("${NAMED}"\s{0,8}:\s{0,8}")(?:[^"\\]|\\.)+`, 'gis')
/** `\"password\": \"x\"` in JSON within a string of JSON. */
const IN_NESTED_JSON = new RegExp(
  String.raw`(\\"${NAMED}\\"\s{0,8}:\s{0,8}\\")(?:[^"\\]|\\\\(?:\\")?|\\[^"\\])+`,
  'gi',
)
/** `Bearer x`, `Basic x` (RFC 9110 §11.4), where x does not look like a word. */
const SCHEME = /\b(bearer|basic)(\s{1,8})(?=[\w~+/-]{0,512}(?:\d|=|\.\w))[\w.~+/=-]{6,}/gi
/** The keys that the hub makes itself: it keeps their hashes only, but knows how they look. */
const OWN_KEY = /flk_[\w-]{20,256}/g
/** The same in base64, where `flk_` is one of these, as it begins at the first, second or third of three bytes. */
const OWN_KEY_IN_BASE64 = /(?:ZmxrX|Zsa1|mbGtf)[\w+/-]{50,80}/g
/** `https://user:password@host`. */
const IN_AUTHORITY = /(\/\/[^\s/:@"']*:)[^\s/@"']+(?=@)/g

/** Deeper values are not looked into; nobody reads them. */
const DEEPEST = 32
const TOO_DEEP = '[too deep]'

/**
 * Keeps secrets out of what is written down: those that stand under a telling name, and the known values of the settings wherever
 * they stand.
 */
export class Redactor {
  #known = new SecretFinder([])

  /** From now on these values are hidden, and no others. Those of less than six characters cannot be. */
  setSecrets(secrets: Iterable<string>): void {
    this.#known = new SecretFinder(secrets)
  }

  /** Known values and the hub's own keys alone: for short texts that come often and have no room for more. */
  hideKnown(text: string): string {
    const hidden = this.#known.replace(text, MASK)
    return hidden.includes('flk_') ? hidden.replace(OWN_KEY, MASK) : hidden
  }

  /** Text of any kind, such as a sentence about an error. */
  redactText(text: string): string {
    return this.hideKnown(text)
      .replace(OWN_KEY_IN_BASE64, MASK)
      .replace(IN_QUERY, `$1${MASK}`)
      .replace(IN_JSON, `$1${MASK}`)
      .replace(IN_NESTED_JSON, `$1${MASK}`)
      .replace(SCHEME, `$1$2${MASK}`)
      .replace(IN_AUTHORITY, `$1${MASK}`)
  }

  /** The first `longest` characters of a text, of which no secret has only its first half. */
  redactStart(text: string, longest: number): string {
    return hiddenStart(text, this.#limits(longest), (start) => this.redactText(start)).slice(0, longest)
  }

  #limits(room: number): CopyLimits {
    return { room, margin: Math.max(MARGIN, this.#known.longest) }
  }

  /** A line of JSON, as a logger writes it: it stays JSON. Only known values are looked for; most lines pass as they are. */
  redactLine(line: string): string {
    const hidden = this.hideKnown(line)
    if (hidden === line) return line
    const end = line.endsWith('\n') ? '\n' : ''
    try {
      const hide = (text: string) => this.hideKnown(text)
      return JSON.stringify(new Copy(hide, () => false, WHOLE).of(JSON.parse(line))) + end
    } catch {
      // Not JSON after all, such as a line for people: hidden is what counts.
      return hidden
    }
  }

  /**
   * JSON text of a tool's arguments, of at most `maxBytes` (64 at least). What is longer becomes `{"cut":true,"start":"…"}` with as much of its text
   * as there is room for.
   * @param value the arguments, or JSON text of them
   */
  redactArguments(value: unknown, maxBytes: number): string {
    const copy = new Copy((text) => this.redactText(text), isSecret, this.#limits(maxBytes))
    const text = JSON.stringify(copy.of(typeof value === 'string' ? parsed(value) : value)) ?? 'null'
    return !copy.cut && Buffer.byteLength(text) <= maxBytes ? text : cutTo(text, maxBytes)
  }
}

interface CopyLimits {
  /** The copy ends when it has so many characters. */
  readonly room: number
  /** So many characters at the end of a text that was cut may be half of a secret, which nobody would recognize. */
  readonly margin: number
}

const WHOLE: CopyLimits = { room: Number.POSITIVE_INFINITY, margin: 0 }
/** Secrets that are known by what stands around them are not longer. */
const MARGIN = 256

/** `hide` of as much of a text as is needed, without the end where a secret may have been cut. */
function hiddenStart(text: string, { room, margin }: CopyLimits, hide: (text: string) => string): string {
  if (text.length <= room + margin) return hide(text)
  const start = hide(text.slice(0, room + margin))
  return start.slice(0, Math.max(0, start.length - margin))
}

/** A copy of a JSON value with its secrets hidden, as far as there is room. */
class Copy {
  cut = false
  #room: number
  readonly #limits: CopyLimits
  readonly #hide: (text: string) => string
  readonly #isSecret: (name: string, value: unknown) => boolean

  constructor(
    hide: (text: string) => string,
    isSecret: (name: string, value: unknown) => boolean,
    limits: CopyLimits,
  ) {
    this.#hide = hide
    this.#isSecret = isSecret
    this.#room = limits.room
    this.#limits = limits
  }

  of(value: unknown, depth = 0): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (typeof value !== 'object' || value === null) return this.#scalar(value)
    this.#room -= 2
    if (depth === DEEPEST) return TOO_DEEP
    return Array.isArray(value) ? this.#array(value, depth) : this.#object(value, depth)
  }

  #text(text: string): string {
    const hidden = this.#hideLong(text)
    this.#room -= hidden.length + 2
    return hidden
  }

  #hideLong(text: string): string {
    const { room, margin } = this.#limits
    this.cut ||= text.length > room + margin
    return hiddenStart(text, this.#limits, this.#hide)
  }

  /** Numbers too can be secrets. */
  #scalar(value: unknown): unknown {
    const text = String(value)
    this.#room -= text.length
    return typeof value === 'number' && this.#hide(text) !== text ? MASK : value
  }

  #array(values: readonly unknown[], depth: number): unknown[] {
    const copy: unknown[] = []
    for (const value of values) {
      if (this.#isFull()) break
      copy.push(this.of(value, depth + 1))
    }
    return copy
  }

  #object(members: object, depth: number): object {
    // Without a prototype even "__proto__" is a name like any other.
    const copy: Record<string, unknown> = Object.create(null)
    for (const [name, value] of Object.entries(members)) {
      if (this.#isFull()) break
      const shown = this.#text(name)
      copy[shown] = this.#isSecret(name, value) ? this.#text(MASK) : this.of(value, depth + 1)
    }
    return copy
  }

  #isFull(): boolean {
    this.cut ||= this.#room < 0
    return this.cut
  }
}

function isSecret(name: string, value: unknown): boolean {
  if (value === null || value === undefined || typeof value === 'boolean' || !SECRET_NAME.test(name))
    return false
  return !(typeof value === 'number' && COUNTED.test(name))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Then it is text.
    return text
  }
}

function cutTo(text: string, maxBytes: number): string {
  let start = text.slice(0, maxBytes)
  for (;;) {
    const result = JSON.stringify({ cut: true, start })
    const tooMuch = Buffer.byteLength(result) - maxBytes
    if (tooMuch <= 0 || start === '') return result
    // Each character takes one byte at least, and six at most.
    start = start.slice(0, Math.max(0, start.length - Math.ceil(tooMuch / 6)))
  }
}
