import { HubError } from '../../domain/errors.ts'

/**
 * How many characters (code points) go into a column. The engines say different things about what is too long, and SQLite
 * nothing at all: so the hub says it, before it asks one.
 */
export const WIDTHS = {
  username: 50,
  password: 255,
  email: 100,
  fullName: 100,
  serverName: 100,
  groupName: 100,
  keyId: 50,
  keyName: 100,
  prefix: 32,
  hash: 64,
  actor: 100,
  section: 255,
  ip: 45,
  recordId: 50,
  loggedName: 255,
  sessionId: 100,
  action: 100,
  method: 20,
  requestId: 100,
  node: 100,
} as const

/**
 * `text`, when it can be stored and read back as it is.
 * @param what how to call it in the error, such as `username`
 * @throws HubError `request.invalid-params`
 */
export function storable(what: string, text: string, width = Number.POSITIVE_INFINITY): string {
  const length = text.length <= width ? text.length : countCharacters(text)
  if (length > width)
    throw new HubError(
      'request.invalid-params',
      `The ${what} is too long: it has ${length} characters, and ${width} can be stored.`,
      { data: { field: what, length, limit: width }, cure: 'Choose a shorter one.' },
    )
  if (text.includes('\0') || !text.isWellFormed())
    throw new HubError(
      'request.invalid-params',
      `The ${what} holds a character that cannot be stored: U+0000 or half of a surrogate pair.`,
      { data: { field: what }, cure: 'Leave that character out.' },
    )
  return text
}

/**
 * `text`, made to fit. For logs: a record of what happened is not refused because a server calls its tool by a name of a
 * thousand letters.
 */
export function fitted(text: string, width = Number.POSITIVE_INFINITY): string {
  // Nearly every text is fine, and there are many of them.
  if (text.length <= width && !text.includes('\0') && text.isWellFormed()) return text
  const clean = text.replaceAll('\0', '\ufffd').toWellFormed()
  if (clean.length <= width || countCharacters(clean) <= width) return clean
  return `${[...clean].slice(0, width - 1).join('')}…`
}

function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}
