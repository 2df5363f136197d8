/**
 * Whether a URI could have come from an RFC 6570 template. Only used to find the server that owns a URI, so each
 * expression simply stands for any text; of several templates that fit, the one with more literal text is meant.
 * Templates come from servers that may be hostile: no regular expression is built from them, and matching is linear.
 */
export interface TemplateMatcher {
  readonly template: string
  /** Number of literal characters in the template. */
  readonly literalLength: number
  matches(uri: string): boolean
}

const EXPRESSION = /\{[^{}]*\}/

export function templateMatcher(template: string): TemplateMatcher {
  const literals = template.split(EXPRESSION)
  const literalLength = literals.reduce((sum, literal) => sum + literal.length, 0)
  return { template, literalLength, matches: (uri) => fits(uri, literals) }
}

/** Whether `uri` is the literals in their order with any text between them. */
function fits(uri: string, literals: readonly string[]): boolean {
  const first = literals[0] ?? ''
  if (literals.length === 1) return uri === first
  const last = literals.at(-1) ?? ''
  if (!uri.startsWith(first) || !uri.endsWith(last)) return false
  const end = uri.length - last.length
  let at = first.length
  for (const literal of literals.slice(1, -1)) {
    const found = uri.indexOf(literal, at)
    if (found === -1) return false
    at = found + literal.length
  }
  return at <= end
}
