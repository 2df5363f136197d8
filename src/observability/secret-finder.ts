/** Shorter values are not looked for: they would stand in every other word. */
const SHORTEST = 6
/** Shorter lines of a secret may stand in other texts too. */
const SHORTEST_LINE = 16
/** The hash of the last six characters; each older one has been shifted out of its 16 bits. */
const SHIFT = 3
const MASK = 0xffff

interface Place {
  readonly start: number
  readonly end: number
}

/**
 * Finds known secrets in text, as they are and in the forms that they take on their way: in JSON, in URLs, in base64. One pass over
 * the text, however many secrets there are: the hash of each six characters is looked up, and only a hit is compared.
 */
export class SecretFinder {
  /** No form is longer, in characters. */
  readonly longest: number
  /** Which hashes the first six characters of forms have. */
  readonly #hashes = new Uint8Array(MASK + 1)
  /** Forms by their first six characters. */
  readonly #forms = new Map<string, string[]>()

  constructor(secrets: Iterable<string>) {
    const whole = [...secrets].filter((secret) => secret.length >= SHORTEST)
    const forms = new Set([...whole, ...whole.flatMap(linesOf)].flatMap(formsOf))
    this.longest = Math.max(0, ...[...forms].map(({ length }) => length))
    for (const form of forms) {
      const first = form.slice(0, SHORTEST)
      this.#hashes[hashOf(first)] = 1
      const same = this.#forms.get(first)
      if (same) same.push(form)
      else this.#forms.set(first, [form])
    }
  }

  /** `text` itself when there is nothing to hide. */
  replace(text: string, mask: string): string {
    if (this.#forms.size === 0) return text
    const places = this.#find(text)
    if (places.length === 0) return text
    let result = ''
    let at = 0
    for (const { start, end } of places) {
      result += text.slice(at, start) + mask
      at = end
    }
    return result + text.slice(at)
  }

  /** In order; secrets that overlap are one place. */
  #find(text: string): Place[] {
    const places: Place[] = []
    const hashes = this.#hashes
    let hash = 0
    let start = 0
    let end = -1
    for (let at = 0; at < text.length; at += 1) {
      hash = ((hash << SHIFT) ^ text.charCodeAt(at)) & MASK
      if (hashes[hash] === 0) continue
      const from = at - SHORTEST + 1
      const until = from < 0 ? -1 : this.#longestAt(text, from)
      if (until <= end) continue
      if (from >= end) {
        if (end !== -1) places.push({ start, end })
        start = from
      }
      end = until
    }
    if (end !== -1) places.push({ start, end })
    return places
  }

  /** Where the longest form ends that begins at `from`; -1 if none does. */
  #longestAt(text: string, from: number): number {
    let end = -1
    for (const form of this.#forms.get(text.slice(from, from + SHORTEST)) ?? [])
      if (text.startsWith(form, from)) end = Math.max(end, from + form.length)
    return end
  }
}

function hashOf(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at += 1) hash = ((hash << SHIFT) ^ text.charCodeAt(at)) & MASK
  return hash
}

/** The lines of a private key and its like: logs are written line by line. */
function linesOf(secret: string): string[] {
  if (!secret.includes('\n')) return []
  return secret.split(/\r?\n/).filter((line) => line.length >= SHORTEST_LINE && !line.startsWith('-----'))
}

function formsOf(secret: string): string[] {
  const inJson = JSON.stringify(secret).slice(1, -1)
  const forms = [
    secret,
    inJson,
    // JSON within a string of JSON.
    JSON.stringify(inJson).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    new URLSearchParams({ '': secret }).toString().slice(1),
    ...base64Forms(secret),
  ]
  return forms.filter((form) => form.length >= SHORTEST)
}

/**
 * The part of base64 text that a secret decides alone, at each of the three places where it can begin within four characters: so it is
 * found within `user:secret` of HTTP Basic too.
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].flatMap((before) => {
    const bits = 8 * (before + bytes.length)
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const decided = text.slice(Math.ceil((8 * before) / 6), Math.floor(bits / 6))
    return [decided, decided.replaceAll('+', '-').replaceAll('/', '_')]
  })
}
