import { HubError } from '../../../domain/errors.ts'

/** The last record of a page. Records are sorted by both, so that what is written meanwhile moves nothing. */
export interface Position {
  readonly timestamp: number
  readonly id: string
}

export function cursorOf({ timestamp, id }: Position): string {
  return Buffer.from(JSON.stringify([timestamp, id])).toString('base64url')
}

/** @throws HubError `request.invalid-params` for what is not the text of a cursor */
export function readCursor(cursor: string): Position {
  const [timestamp, id, ...more] = parse(cursor)
  if (typeof timestamp !== 'number' || typeof id !== 'string' || more.length > 0 || id.includes('\0'))
    throw new HubError('request.invalid-params', 'The cursor is none that the hub gave.', {
      cure: 'Begin without a cursor, and go on with "nextCursor" of each answer.',
    })
  return { timestamp, id }
}

function parse(cursor: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(value) ? value : []
  } catch {
    // The caller says what is wrong with it.
    return []
  }
}
