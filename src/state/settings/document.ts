import { getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
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
 * What empty text means. `no settings`: an empty file is what a first start finds when a volume was just made.
 * `refused`: behind a hub that runs it is a file that was truncated, by a full disk or in the middle of being saved.
 */
export type EmptyText = 'no settings' | 'refused'

/**
 * Reads settings text: JSON in which comments and trailing commas may stand.
 * @param source how to call the text in errors, such as its path
 * @throws HubError `settings.invalid` with line and column
 */
export function parseDocument(
  text: string,
  source: string,
  empty: EmptyText = 'no settings',
): SettingsDocument {
  const errors: ParseError[] = []
  const body = text.replace(/^\uFEFF/, '')
  const isEmpty = body.trim() === ''
  if (isEmpty && empty === 'refused')
    throw invalidSettings(
      source,
      { line: 1, column: 1 },
      'it is not JSON: the file is empty; {} would mean no servers and no keys',
    )
  const root = parseTree(isEmpty ? '{}' : body, errors, { allowTrailingComma: true, disallowComments: false })
  const [first] = errors
  if (first || !root) {
    const at = positionOf(body, first?.offset ?? 0)
    throw invalidSettings(source, at, `it is not JSON: ${explain(first)}`)
  }
  const unusable = findMember(root, '__proto__')
  if (unusable)
    throw invalidSettings(
      source,
      positionOf(body, unusable.offset),
      'nothing may be named "__proto__": JavaScript would take it for something else',
    )
  return {
    value: getNodeValue(root),
    locate(path) {
      let node = root
      for (const step of path) {
        const child = childAt(node, step)
        if (!child) break
        node = child
      }
      return positionOf(body, node.offset)
    },
  }
}

/** Of several members with one name the last: it is the one that counts. */
function childAt(node: Node, step: string | number): Node | undefined {
  if (typeof step === 'number') return node.type === 'array' ? node.children?.[step] : undefined
  if (node.type !== 'object') return undefined
  return node.children?.findLast((member) => member.children?.[0]?.value === step)?.children?.[1]
}

/** The first member with this name, however deep. */
function findMember(node: Node, name: string): Node | undefined {
  if (node.type === 'property' && node.children?.[0]?.value === name) return node
  for (const child of node.children ?? []) {
    const found = findMember(child, name)
    if (found) return found
  }
  return undefined
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
