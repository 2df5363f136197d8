import { randomBytes } from 'node:crypto'

/** A secret that a test hides somewhere, to look for it everywhere else. */
export interface Canary {
  readonly name: string
  readonly value: string
  /** Any of these in a text gives it away, or a part of it that is too large. */
  readonly signs: readonly string[]
}

/** @param around what stands before and after the core, such as characters that base64, URLs and JSON write differently */
export function makeCanary(name: string, [before, after]: readonly [string, string] = ['', '']): Canary {
  const core = randomBytes(12).toString('hex')
  return { name, value: `${before}${core}${after}`, signs: signsOf(core) }
}

/** A secret that somebody else has made. */
export function canaryOf(name: string, value: string): Canary {
  return { name, value, signs: signsOf(value) }
}

/** Text as it is (URLs and JSON leave letters and digits alone), and its base64 at each of the three places where it can begin. */
function signsOf(core: string): string[] {
  const inBase64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.from(' '.repeat(before) + core).toString('base64')
    const own = text.slice(Math.ceil((8 * before) / 6), Math.floor((8 * (before + core.length)) / 6))
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')]
  })
  return [core, ...inBase64]
}

/** The ways in which a program may write a secret, none of which may reach anybody. */
export function writings(secret: string): string[] {
  return [
    secret,
    JSON.stringify({ token: secret }),
    encodeURIComponent(secret),
    new URLSearchParams({ token: secret }).toString(),
    Buffer.from(secret).toString('base64'),
    Buffer.from(`user:${secret}`).toString('base64'),
    Buffer.from(secret).toString('base64url'),
  ]
}

/** What a text gives away, as `<where>: <canary>`. */
export function leaks(where: string, text: string, canaries: readonly Canary[]): string[] {
  return canaries.flatMap(({ name, signs }) => {
    const sign = signs.find((each) => text.includes(each))
    if (sign === undefined) return []
    const at = text.indexOf(sign)
    return [`${where}: ${name} in …${text.slice(Math.max(0, at - 120), at)}<HERE>`]
  })
}
