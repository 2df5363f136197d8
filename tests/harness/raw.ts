import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { dataOf } from './events.ts'

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body as JSON, of an event stream the last message; or undefined. */
  readonly json:
    | {
        error?: { code: number; message: string; data?: Record<string, unknown> }
        result?: unknown
        id?: unknown
      }
    | undefined
}

export interface RawRequest {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  /** Give up after this, ms. */
  readonly timeoutMs?: number
}

/** One HTTP request exactly as written; global fetch would not send another Host. */
export function raw(
  url: string,
  { method = 'POST', headers = {}, body, timeoutMs = 10_000 }: RawRequest = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    // Node frames the body of some methods only when it is told how long it is.
    const framed =
      body === undefined || headers['transfer-encoding']
        ? headers
        : { ...headers, 'content-length': String(Buffer.byteLength(body)) }
    const request = httpRequest(
      url,
      { method, headers: framed, agent: false, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: text,
            json: parse(isStream(response) ? (dataOf(text).at(-1) ?? '') : text),
          })
        })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** A hub answers a call that takes a while as a stream; on a busy machine that may be any call. */
function isStream({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.startsWith('text/event-stream') ?? false
}

function parse(text: string): RawAnswer['json'] {
  try {
    return JSON.parse(text) as RawAnswer['json']
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export const MCP_HEADERS: Record<string, string> = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
}

/** Opens a session by hand and returns the headers to use in it. */
export async function openSession(
  url: string,
  protocolVersion = '2025-11-25',
  headers: Record<string, string> = {},
): Promise<Record<string, string>> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
  const answer = await raw(url, {
    headers: { ...MCP_HEADERS, ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  })
  const id = answer.headers['mcp-session-id']
  if (typeof id !== 'string') throw new Error(`no session: ${answer.status} ${answer.body}`)
  return { ...MCP_HEADERS, ...headers, 'mcp-session-id': id, 'mcp-protocol-version': protocolVersion }
}

export function rpc(id: number | string, method: string, params?: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) })
}
