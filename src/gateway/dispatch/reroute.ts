import { HubError } from '../../domain/errors.ts'
import { isObject, isRequestId, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts'
import { DuplicateMember, type Edit, findMembers, type Span, splice } from '../../mcp/json-text.ts'

export interface Changes {
  /** The server's own name in place of the exposed one. */
  readonly name?: string
  readonly progressToken?: number
}

/** The client's progress token, if the request carries one. */
export function progressTokenOf(request: RpcRequest): RequestId | undefined {
  const meta = request.params?.['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return isRequestId(token) ? token : undefined
}

/**
 * The params of a request with the exposed name and the client's progress token exchanged, all else byte for byte.
 * @param namePath where the name stands: `['name']`, or `['ref', 'name']` for completions
 * @throws HubError `request.invalid-params` when a member that matters stands there twice
 */
export function rewriteParams(
  request: RpcRequest,
  namePath: readonly string[],
  changes: Changes,
): Buffer | undefined {
  const { body } = request
  if (!body || (changes.name === undefined && changes.progressToken === undefined)) return body
  const edits: Edit[] = []
  const edit = (path: readonly string[], value: string | number | undefined) => {
    const at = value === undefined ? undefined : locate(body, path)
    if (at) edits.push({ ...at, text: JSON.stringify(value) })
  }
  edit(namePath, changes.name)
  edit(['_meta', 'progressToken'], changes.progressToken)
  return splice(
    body,
    edits.sort((a, b) => a.start - b.start),
  )
}

/** Where the value at `path` stands in `bytes`. */
export function locate(bytes: Buffer, path: readonly string[]): Span | undefined {
  let at: Span | undefined = { start: 0, end: bytes.length }
  try {
    for (const member of path) at = at && findMembers(bytes, at, [member])[member]
  } catch (error) {
    if (!(error instanceof DuplicateMember)) throw error
    throw new HubError('request.invalid-params', error.message, { cure: 'Send each member once.' })
  }
  return at
}
