import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { HubError } from '../../domain/errors.ts'
import { encodeError, type RpcErrorId } from '../../mcp/json-rpc.ts'

export const JSON_TYPE = 'application/json'
export const EVENT_STREAM_TYPE = 'text/event-stream'

/**
 * The whole body of a request.
 * @throws HubError `request.too-large`, or `client.gone` when the client stops in the middle
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const declared = Number(request.headers['content-length'])
  if (declared > limit) return Promise.reject(tooLarge(limit))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) {
        chunks.length = 0
        reject(tooLarge(limit))
      } else chunks.push(chunk)
    })
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    // A client that goes away in the middle shows as an error too.
    request.on('error', (cause) =>
      reject(new HubError('client.gone', 'The client went away while sending.', { cause })),
    )
  })
}

function tooLarge(limit: number): HubError {
  return new HubError('request.too-large', `The body is larger than ${limit} bytes.`, {
    data: { limit },
    cure: 'Send less at once, or raise systemConfig.routing.jsonBodyLimit.',
  })
}

/** What the specification asks of every POST, as the SDKs write it: not worth taking apart each time. */
const WHAT_CLIENTS_SEND = `${JSON_TYPE}, ${EVENT_STREAM_TYPE}`

/** Whether `header` names the media type, or, for Accept, a range that includes it. Parameters such as q do not matter. */
export function accepts(
  header: string | undefined,
  type: typeof JSON_TYPE | typeof EVENT_STREAM_TYPE,
): boolean {
  if (header === undefined || header === WHAT_CLIENTS_SEND || header === type) return true
  const [main] = type.split('/')
  return header.split(',').some((part) => {
    const range = (part.split(';')[0] ?? '').trim().toLowerCase()
    return range === type || range === '*/*' || range === `${main}/*`
  })
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers?: Record<string, string>,
): void {
  const main = { 'Content-Type': JSON_TYPE, 'Content-Length': body.length }
  response.writeHead(status, headers ? { ...main, ...headers } : main)
  // As text, head and body leave in one write instead of two; latin1 carries each byte as it is.
  if (body.length < ONE_WRITE_BELOW) response.end(body.toString('latin1'), 'latin1')
  else response.end(body)
}

const ONE_WRITE_BELOW = 64 * 1024

const PARSER_ERRORS: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [
    431,
    'Request Header Fields Too Large',
    'The headers are too large. Send less in them.',
  ],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large', 'The chunk extensions are too large. Send none.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time. Send it again.'],
}

/** Answers what is not even HTTP, or comes too slowly, and closes the connection. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Who has failed to speak TLS would not understand the answer either.
  if (!socket.writable || error.code === 'ECONNRESET' || /^ERR_(SSL|TLS)_/.test(error.code ?? '')) {
    socket.destroy()
    return
  }
  const [status, phrase, message] = PARSER_ERRORS[error.code ?? ''] ?? [
    400,
    'Bad Request',
    'This is not a valid HTTP/1.1 request.',
  ]
  const body = encodeError(null, { code: -32600, message })
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.toString()}`,
  )
}

/** Says no: a status, and a JSON-RPC error that says why and what to do. */
export function sendError(
  response: ServerResponse,
  error: HubError,
  options: { id?: RpcErrorId; headers?: Record<string, string> } = {},
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const headers: Record<string, string> = { ...options.headers }
  if (error.retryAfter !== undefined) headers['Retry-After'] = String(error.retryAfter)
  if (error.code === 'access.unauthenticated')
    headers['WWW-Authenticate'] = 'Bearer realm="flotilla", error="invalid_token"'
  // What is left of a body that was too large is not worth reading.
  if (error.code === 'request.too-large') headers['Connection'] = 'close'
  sendJson(response, error.httpStatus, encodeError(options.id ?? null, error.toRpc()), headers)
}
