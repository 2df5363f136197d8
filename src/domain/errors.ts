/**
 * Every way in which Flotilla itself says no. `http` is the status on MCP endpoints when no session stream can carry
 * the answer; `rpc` the JSON-RPC code (JSON-RPC 2.0 §5.1; own codes lie in −32000…−32019, which MCP leaves to servers).
 */
const CODES = {
  'request.invalid-json': { http: 400, rpc: -32700 },
  'request.invalid': { http: 400, rpc: -32600 },
  'request.invalid-params': { http: 400, rpc: -32602 },
  'request.duplicate-member': { http: 400, rpc: -32600 },
  'request.unknown-method': { http: 404, rpc: -32601 },
  'request.too-large': { http: 413, rpc: -32600 },
  'request.media-type': { http: 415, rpc: -32600 },
  'request.not-acceptable': { http: 406, rpc: -32600 },
  'request.method-not-allowed': { http: 405, rpc: -32600 },
  'request.protocol-version': { http: 400, rpc: -32600 },
  'request.cancelled': { http: 499, rpc: -32000 },
  'route.unknown': { http: 404, rpc: -32600 },
  'endpoint.unknown': { http: 404, rpc: -32600 },
  'access.origin': { http: 403, rpc: -32003 },
  'access.host': { http: 403, rpc: -32003 },
  'access.unauthenticated': { http: 401, rpc: -32005 },
  'access.denied': { http: 403, rpc: -32003 },
  'session.required': { http: 400, rpc: -32600 },
  'session.unknown': { http: 404, rpc: -32001 },
  'session.limit': { http: 503, rpc: -32004 },
  'hub.stopping': { http: 503, rpc: -32004 },
  'tool.unknown': { http: 404, rpc: -32602 },
  'prompt.unknown': { http: 404, rpc: -32602 },
  'resource.unknown': { http: 404, rpc: -32002 },
  'server.unavailable': { http: 503, rpc: -32010 },
  'upstream.lost': { http: 502, rpc: -32011 },
  'upstream.timeout': { http: 504, rpc: -32012 },
  'upstream.invalid': { http: 502, rpc: -32013 },
  'upstream.rejected': { http: 502, rpc: -32014 },
  'upstream.overloaded': { http: 503, rpc: -32015 },
  'client.unsupported': { http: 400, rpc: -32601 },
  'client.ambiguous': { http: 409, rpc: -32016 },
  'client.gone': { http: 410, rpc: -32017 },
  'access.rate-limited': { http: 429, rpc: -32006 },
  'access.login': { http: 401, rpc: -32005 },
  'access.csrf': { http: 403, rpc: -32003 },
  'settings.invalid': { http: 422, rpc: -32603 },
  'settings.conflict': { http: 412, rpc: -32603 },
  'settings.read-only': { http: 409, rpc: -32603 },
  'settings.unwritable': { http: 507, rpc: -32603 },
  'secret.unreadable': { http: 500, rpc: -32603 },
  'storage.unavailable': { http: 503, rpc: -32007 },
  'storage.invalid': { http: 500, rpc: -32603 },
  'resource.exists': { http: 409, rpc: -32603 },
  'resource.missing': { http: 404, rpc: -32603 },
  'resource.in-use': { http: 409, rpc: -32603 },
  'user.exists': { http: 409, rpc: -32603 },
  'user.last-admin': { http: 409, rpc: -32603 },
  'server.launch-denied': { http: 403, rpc: -32003 },
  'settings.unreadable': { http: 500, rpc: -32603 },
  'cluster.off': { http: 409, rpc: -32603 },
  'link.refused': { http: 401, rpc: -32018 },
  'link.lost': { http: 503, rpc: -32018 },
  'link.violation': { http: 502, rpc: -32018 },
  'link.version': { http: 409, rpc: -32018 },
  'link.replaced': { http: 409, rpc: -32018 },
  'node.duplicate': { http: 409, rpc: -32018 },
  internal: { http: 500, rpc: -32603 },
} as const satisfies Record<string, { http: number; rpc: number }>

export type HubErrorCode = keyof typeof CODES

export function isHubErrorCode(code: unknown): code is HubErrorCode {
  return typeof code === 'string' && Object.hasOwn(CODES, code)
}

export interface HubErrorDetails {
  /** What the reader can do about it, as a sentence. */
  readonly cure?: string
  /** Facts for programs; never secrets. */
  readonly data?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
  /** Seconds after which trying again makes sense (becomes `Retry-After`). */
  readonly retryAfter?: number
}

/** An error of the hub's own: what happened, why (`cause`) and what to do (`cure`). */
export class HubError extends Error {
  override readonly name = 'HubError'
  readonly code: HubErrorCode
  readonly cure: string | undefined
  readonly data: Readonly<Record<string, unknown>>
  readonly retryAfter: number | undefined

  constructor(code: HubErrorCode, what: string, details: HubErrorDetails = {}) {
    super(what, details.cause === undefined ? {} : { cause: details.cause })
    this.code = code
    this.cure = details.cure
    this.data = details.data ?? {}
    this.retryAfter = details.retryAfter
  }

  get httpStatus(): number {
    return CODES[this.code].http
  }

  /** The error object of a JSON-RPC error response. */
  toRpc(): RpcErrorObject {
    const message = this.cure ? `${this.message} ${this.cure}` : this.message
    return { code: CODES[this.code].rpc, message, data: { code: this.code, ...this.data } }
  }
}

/** Whoever comes while the hub shuts down: there will be another hub soon. */
export function hubStopping(): HubError {
  return new HubError('hub.stopping', 'The hub is stopping.', {
    retryAfter: 5,
    cure: 'Connect again in a moment.',
  })
}

/** JSON-RPC 2.0 §5.1. */
export interface RpcErrorObject {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

/** `error` as a HubError: itself, or `internal` around it. */
export function toHubError(error: unknown): HubError {
  if (error instanceof HubError) return error
  return new HubError('internal', `Something inside the hub went wrong: ${messageOf(error)}.`, {
    cause: error,
    cure: 'This is a bug in Flotilla: please report it with the log line that has this message.',
  })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
