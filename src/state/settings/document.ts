import {
  findNodeAtLocation,
  getNodeValue,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import { HubError } from '../../domain/errors.ts'

/** A place in a text, both counted from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface SettingsDocument {
  readonly value: unknown
  /** Where the value at `path` stands, or the nearest thing around it that exists. */
  locate(path: readonly (string | number)[]): Position
}

/**
 * Reads settings text: JSON in which comments and trailing commas may stand.
 * @param source how to call the text in errors, such as its path
 * @throws HubError `settings.invalid` with line and column
 */
export function parseDocument(text: string, source: string): SettingsDocument {
  const errors: ParseError[] = []
  // An empty file is what a first start finds when a volume was just made: the same as no settings.
  const body = text.replace(/^\uFEFF/, '')
  const root = parseTree(body.trim() === '' ? '{}' : body, errors, {
    allowTrailingComma: true,
    disallowComments: false,
  })
  const [first] = errors
  if (first || !root) {
    const at = positionOf(body, first?.offset ?? 0)
    throw invalidSettings(source, at, `it is not JSON: ${explain(first)}`)
  }
  return {
    value: getNodeValue(root),
    locate(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const node = findNodeAtLocation(root, path.slice(0, length))
        if (node) return positionOf(body, node.offset)
      }
      return positionOf(body, root.offset)
    },
  }
}

export function invalidSettings(source: string, at: Position, why: string): HubError {
  return new HubError('settings.invalid', `${source}:${at.line}:${at.column}: ${why}.`, {
    data: { source, line: at.line, column: at.column },
    cure: 'Mend the file; "flotilla config validate" checks it.',
  })
}

function explain(error: ParseError | undefined): string {
  if (!error) return 'nothing was found'
  // The library's codes are words run together: "PropertyNameExpected".
  return printParseErrorCode(error.error)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
}

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}
