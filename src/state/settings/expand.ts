import { HubError } from '../../domain/errors.ts'
import { isSealed } from '../secrets/secret-box.ts'

/** Where the values of `${VAR}` come from. */
export type Variables = Readonly<Record<string, string | undefined>>

/** The text of a file that settings name; undefined when it cannot be read. */
export type FileReader = (path: string) => string | undefined

/** All that values of settings may refer to. */
export interface Sources {
  readonly variables: Variables
  /** For `${file:/path}`; without it such names are not set. */
  readonly readFile?: FileReader | undefined
  /** For sealed secrets; without it they are unreadable. @throws HubError `secret.unreadable` */
  readonly openSecret?: ((sealed: string) => string) | undefined
}

export interface Expansion {
  readonly text: string
  /** Names that stood in `${…}` and are not set. */
  readonly missing: readonly string[]
}

/**
 * Replaces `${VAR}` (any name, empty when unset), `${VAR:-default}`, `${file:/path}` (a final line break is cut), and `$VAR`
 * (capitals, digits and underscores). Unlike in MCPHub, a `$VAR` that is not set stays as it stands: it is more often part
 * of a password than a forgotten variable. The result is trimmed, as users of that format expect.
 */
export function expand(text: string, variables: Variables, readFile?: FileReader): Expansion {
  if (!text.includes('$')) return { text, missing: [] }
  const missing: string[] = []
  const expanded = text.replace(
    /\$\{([^}]*)\}|\$([A-Z_][A-Z0-9_]*)/g,
    (whole: string, braced: string | undefined, bare: string | undefined) => {
      if (bare !== undefined) return own(variables, bare) ?? whole
      const [name = '', fallback] = (braced ?? '').split(/:-(.*)/s)
      const value = readFile && isFileName(name) ? readFile(name.slice(FILE.length)) : own(variables, name)
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

const FILE = 'file:'

function isFileName(name: string): boolean {
  return name.startsWith(FILE)
}

/** What is wrong with a name that `expand` reported. */
export function whyMissing(name: string): string {
  if (!isFileName(name)) return `\${${name}} is not set`
  return `the file ${name.slice(FILE.length)} cannot be read (it must be a file that the hub may read, of 64 KiB at most)`
}

/**
 * The value of a secret place: sealed text is opened and taken as it is, any other is expanded.
 * @throws HubError `secret.unreadable`
 */
export function resolveSecret(text: string, { variables, readFile, openSecret }: Sources): Expansion {
  if (!isSealed(text)) return expand(text, variables, readFile)
  if (openSecret) return { text: openSecret(text), missing: [] }
  throw new HubError('secret.unreadable', 'This value is sealed, and there is no key to open it with.', {
    cure: 'Set CRYPTO_SECRET to the secret under which it was written.',
  })
}
