import { isUtf8 } from 'node:buffer'
import { HubError, type RpcErrorObject } from '../domain/errors.ts'
import { findElements, findMembers, type Span } from './json-text.ts'

/** JSON-RPC 2.0 §4: MCP allows strings and integers, never null. */
export type RequestId = string | number

export type RpcErrorId = RequestId | null

export interface RpcRequest {
  readonly kind: 'request'
  readonly id: RequestId
  readonly method: string
  readonly params: Readonly<Record<string, unknown>> | undefined
  /** The bytes of `params`, as they came; undefined when there are none. */
  readonly body: Buffer | undefined
}

export interface RpcNotification {
  readonly kind: 'notification'
  readonly method: string
  readonly params: Readonly<Record<string, unknown>> | undefined
  readonly body: Buffer | undefined
}

export interface RpcResult {
  readonly kind: 'result'
  readonly id: RequestId
  readonly result: unknown
  /** Whether a tool calls this its error, where that is known without a look at `result`. */
  readonly isError?: boolean
  /** The bytes of `result`, as they came. */
  readonly body: Buffer
}

export interface RpcFailure {
  readonly kind: 'error'
  /** null when the sender could not read the id of what it answers. */
  readonly id: RequestId | null
  readonly error: RpcErrorObject
  /** The bytes of `error`, as they came. */
  readonly body: Buffer
}

export type RpcMessage = RpcRequest | RpcNotification | RpcResult | RpcFailure
export type RpcAnswer = RpcResult | RpcFailure

const ENVELOPE = ['id', 'params', 'result', 'error'] as const

/**
 * One message out of `bytes`.
 * @throws HubError `request.invalid-json` for text that is not JSON, `request.invalid` for JSON that is no message
 */
export function parseMessage(bytes: Buffer): RpcMessage {
  const { value, text } = parseJson(bytes)
  return toMessage(value, text, { start: 0, end: text.length })
}

/**
 * The messages of a request body: one, or a batch (JSON-RPC 2.0 §6; MCP had them in 2025-03-26 only). The elements
 * of a batch that are no messages come as errors.
 */
export function parseBody(
  bytes: Buffer,
): { kind: 'single'; message: RpcMessage } | { kind: 'batch'; items: (RpcMessage | HubError)[] } {
  const { value, text } = parseJson(bytes)
  if (!Array.isArray(value))
    return { kind: 'single', message: toMessage(value, text, { start: 0, end: text.length }) }
  const spans = findElements(text, 0)
  return {
    kind: 'batch',
    items: value.map((item: unknown, index) => {
      try {
        return toMessage(item, text, spans[index] ?? { start: 0, end: 0 })
      } catch (error) {
        if (error instanceof HubError) return error
        throw error
      }
    }),
  }
}

function parseJson(bytes: Buffer): { value: unknown; text: Buffer } {
  // JSON is UTF-8 (RFC 8259 §8.1). Bytes that are not are read with replacement characters, and passed on so too.
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  // Some programs for Windows begin with a byte order mark; it may be ignored (RFC 8259 §8.1).
  const given = marked ? bytes.subarray(3) : bytes
  const text = singleLine(isUtf8(given) ? given : Buffer.from(given.toString('utf8')))
  try {
    return { value: JSON.parse(text.toString('utf8')), text }
  } catch (cause) {
    throw new HubError('request.invalid-json', 'The message is not JSON.', {
      cause,
      cure: `Send one JSON-RPC 2.0 message. The parser said: ${(cause as SyntaxError).message}`,
    })
  }
}

/**
 * Line breaks in JSON stand only between tokens: a blank in their place means the same. On a pipe a break would end the
 * message, and what follows would be a message of its own.
 */
function singleLine(text: Buffer): Buffer {
  if (text.indexOf(0x0a) === -1 && text.indexOf(0x0d) === -1) return text
  const copy = Buffer.from(text)
  for (let i = 0; i < copy.length; i += 1) if (copy[i] === 0x0a || copy[i] === 0x0d) copy[i] = 0x20
  return copy
}

function toMessage(value: unknown, bytes: Buffer, span: Span): RpcMessage {
  if (!isObject(value)) throw invalid('a message must be a JSON object')
  if (value['jsonrpc'] !== '2.0') throw invalid('"jsonrpc" must be "2.0"')
  const at = findMembers(bytes, span, ENVELOPE)
  const id = value['id']
  const body = (member: 'params' | 'result' | 'error') => {
    const found = at[member]
    return found && bytes.subarray(found.start, found.end)
  }
  if ('method' in value) return toCall(value, id, body('params'))
  if ('result' in value) {
    if (!isRequestId(id)) throw invalid('a response needs the "id" of its request')
    return { kind: 'result', id, result: value['result'], body: body('result') ?? Buffer.from('null') }
  }
  if ('error' in value) return toFailure(value['error'], id, body('error'))
  throw invalid('a message needs "method", "result" or "error"')
}

function toCall(value: Record<string, unknown>, id: unknown, body: Buffer | undefined): RpcMessage {
  const { method, params } = value
  if (typeof method !== 'string') throw invalid('"method" must be a string')
  if (params !== undefined && !isObject(params)) throw invalid('"params" must be an object')
  if (!('id' in value)) return { kind: 'notification', method, params, body }
  if (!isRequestId(id)) throw invalid('"id" must be a string or an integer of at most 2^53')
  return { kind: 'request', id, method, params, body }
}

function toFailure(error: unknown, id: unknown, body: Buffer | undefined): RpcFailure {
  if (!isObject(error) || !Number.isInteger(error['code']) || typeof error['message'] !== 'string')
    throw invalid('"error" needs an integer "code" and a string "message"')
  if (id !== null && id !== undefined && !isRequestId(id))
    throw invalid('"id" must be a string or an integer of at most 2^53')
  return {
    kind: 'error',
    id: isRequestId(id) ? id : null,
    error: { code: Number(error['code']), message: error['message'], data: error['data'] },
    body: body ?? Buffer.from(JSON.stringify(error)),
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || Number.isSafeInteger(value)
}

function invalid(why: string): HubError {
  return new HubError('request.invalid', `This is not a JSON-RPC 2.0 message: ${why}.`, {
    cure: 'See https://modelcontextprotocol.io/specification for the form of each message.',
  })
}

const CLOSE_BRACE = 0x7d

export function encodeRequest(id: RequestId, method: string, params: Buffer | undefined): Buffer {
  return withBody(
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)}`,
    'params',
    params,
  )
}

export function encodeNotification(method: string, params: Buffer | undefined): Buffer {
  return withBody(`{"jsonrpc":"2.0","method":${JSON.stringify(method)}`, 'params', params)
}

export function encodeResult(id: RequestId, result: Buffer): Buffer {
  return withBody(`{"jsonrpc":"2.0","id":${JSON.stringify(id)}`, 'result', result)
}

/** `id` is null only where the request's id could not be read (JSON-RPC 2.0 §5). */
export function encodeError(id: RequestId | null, error: Buffer | RpcErrorObject): Buffer {
  const body = Buffer.isBuffer(error) ? error : Buffer.from(JSON.stringify(error))
  return withBody(`{"jsonrpc":"2.0","id":${JSON.stringify(id)}`, 'error', body)
}

export function encodeAnswer(id: RequestId, answer: RpcAnswer): Buffer {
  return answer.kind === 'result' ? encodeResult(id, answer.body) : encodeError(id, answer.body)
}

/** JSON bytes of a value that the hub made itself. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** `head`, the member with its bytes, and the closing brace, in one piece of memory. */
function withBody(head: string, member: string, body: Buffer | undefined): Buffer {
  if (!body) return Buffer.from(`${head}}`)
  const start = `${head},"${member}":`
  const length = Buffer.byteLength(start)
  const message = Buffer.allocUnsafe(length + body.length + 1)
  message.write(start)
  message.set(body, length)
  message[length + body.length] = CLOSE_BRACE
  return message
}
