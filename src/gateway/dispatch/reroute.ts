import { isObject, isRequestId, type RequestId, type RpcRequest } from '../../mcp/json-rpc.ts'
import { type Edit, locate, type Span, splice } from '../../mcp/json-text.ts'
import { TOKEN_PATH } from '../../mcp/methods.ts'

export { locate } from '../../mcp/json-text.ts'
export { TOKEN_PATH } from '../../mcp/methods.ts'

export interface Changes {
  /** The server's own name; stands in the place of the exposed one. */
  readonly name: string
  readonly progressToken: number | undefined
}

/** The client's progress token, if the request carries one. */
export function progressTokenOf(request: RpcRequest): RequestId | undefined {
  const meta = request.params?.['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return isRequestId(token) ? token : undefined
}

/**
 * The params of a request with the exposed name and the client's progress token exchanged, all else byte for byte.
 * @param namePath where the name stands: `['name']`, or `['ref', 'name']` for completions; empty when there is none
 * @throws HubError `request.duplicate-member` when a member that matters stands there twice, exchanged or not
 */
export function rewriteParams(
  request: RpcRequest,
  namePath: readonly string[],
  { name, progressToken }: Changes,
): Buffer | undefined {
  const { body } = request
  if (!body) return body
  const edits: Edit[] = []
  const nameAt = namePath.length > 0 ? locate(body, namePath) : undefined
  if (nameAt) {
    const text = JSON.stringify(name)
    if (!standsAt(body, nameAt, text)) edits.push({ ...nameAt, text })
  }
  const tokenAt = progressToken === undefined ? undefined : locate(body, TOKEN_PATH)
  if (tokenAt) edits.push({ ...tokenAt, text: JSON.stringify(progressToken) })
  return splice(
    body,
    edits.sort((a, b) => a.start - b.start),
  )
}

function standsAt(bytes: Buffer, { start, end }: Span, text: string): boolean {
  return end - start === text.length && bytes.toString('latin1', start, end) === text
}
