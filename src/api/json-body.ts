import { HubError } from '../domain/errors.ts'

/** Deeper than any settings are; what walks a document may rely on it. */
const MOST_LEVELS = 64

/**
 * The value of a JSON body; undefined for an empty one.
 * @throws HubError `request.invalid-json` or `request.invalid`
 */
export function parseBody(text: string): unknown {
  if (text.trim() === '') return undefined
  if (isTooDeep(text))
    throw new HubError('request.invalid', `The body is nested deeper than ${MOST_LEVELS} levels.`, {
      cure: 'Send flatter JSON.',
    })
  try {
    return JSON.parse(text, refuseProto)
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    throw new HubError('request.invalid-json', 'The body is not valid JSON.', {
      cause,
      cure: 'Check it for missing quotes, brackets and commas; comments are not allowed here.',
    })
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__')
    throw new HubError('request.invalid', 'Nothing may be named "__proto__" in a body.', {
      cure: 'Choose another name.',
    })
  return value
}

function isTooDeep(text: string): boolean {
  let level = 0
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (quoted) {
      if (character === '\\') at += 1
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === '{' || character === '[') {
      level += 1
      if (level > MOST_LEVELS) return true
    } else if (character === '}' || character === ']') level -= 1
  }
  return false
}
