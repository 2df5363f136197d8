/** Where the values of `${VAR}` come from. */
export type Variables = Readonly<Record<string, string | undefined>>

export interface Expansion {
  readonly text: string
  /** Names that stood in `${…}` and are not set. */
  readonly missing: readonly string[]
}

/**
 * Replaces `${VAR}` (any name, empty when unset), `${VAR:-default}`, and `$VAR` (capitals, digits and underscores). Unlike
 * in MCPHub, a `$VAR` that is not set stays as it stands: it is more often part of a password than a forgotten variable.
 * The result is trimmed, as users of that format expect.
 */
export function expand(text: string, variables: Variables): Expansion {
  if (!text.includes('$')) return { text, missing: [] }
  const missing: string[] = []
  const expanded = text.replace(
    /\$\{([^}]*)\}|\$([A-Z_][A-Z0-9_]*)/g,
    (whole: string, braced: string | undefined, bare: string | undefined) => {
      if (bare !== undefined) return own(variables, bare) ?? whole
      const [name = '', fallback] = (braced ?? '').split(/:-(.*)/s)
      const value = own(variables, name)
      if (value !== undefined && (value !== '' || fallback === undefined)) return value
      if (fallback !== undefined) return fallback
      missing.push(name)
      return ''
    },
  )
  return { text: expanded.trim(), missing }
}

/** Not what every JavaScript object inherits, such as `constructor`. */
function own(variables: Variables, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined
}

/** `expand` over all strings in a value; reports missing names with the path at which they stand. */
export function expandDeep(
  value: unknown,
  variables: Variables,
  onMissing: (name: string, path: readonly (string | number)[]) => void,
  path: readonly (string | number)[] = [],
): unknown {
  if (typeof value === 'string') {
    const { text, missing } = expand(value, variables)
    for (const name of missing) onMissing(name, path)
    return text
  }
  if (Array.isArray(value))
    return value.map((item: unknown, index) => expandDeep(item, variables, onMissing, [...path, index]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [
      key,
      expandDeep(item, variables, onMissing, [...path, key]),
    ]),
  )
}
