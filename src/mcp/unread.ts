import { HubError, type RpcErrorObject } from '../domain/errors.ts'
import {
  isObject,
  type RequestId,
  type RpcFailure,
  type RpcNotification,
  type RpcRequest,
  type RpcResult,
} from './json-rpc.ts'

/**
 * Messages whose JSON another node has checked already: here it is parsed only if somebody looks at it, so that what merely
 * passes through costs nothing but its bytes.
 */
type Params = Readonly<Record<string, unknown>> | undefined

export class UnreadResult implements RpcResult {
  readonly kind = 'result'
  readonly id: RequestId
  readonly body: Buffer
  readonly isError: boolean
  #value: { readonly is: unknown } | undefined

  constructor(id: RequestId, body: Buffer, isError: boolean) {
    this.id = id
    this.body = body
    this.isError = isError
  }

  /** @throws HubError `link.violation` */
  get result(): unknown {
    this.#value ??= { is: parse(this.body) }
    return this.#value.is
  }
}

export class UnreadFailure implements RpcFailure {
  readonly kind = 'error'
  readonly id: RequestId
  readonly body: Buffer
  #error: RpcErrorObject | undefined

  constructor(id: RequestId, body: Buffer) {
    this.id = id
    this.body = body
  }

  /** @throws HubError `link.violation` */
  get error(): RpcErrorObject {
    this.#error ??= readError(parse(this.body))
    return this.#error
  }
}

export class UnreadNotification implements RpcNotification {
  readonly kind = 'notification'
  readonly method: string
  readonly body: Buffer | undefined
  #params: { readonly are: Params } | undefined

  constructor(method: string, body: Buffer | undefined) {
    this.method = method
    this.body = body
  }

  /** @throws HubError `link.violation` */
  get params(): Params {
    this.#params ??= { are: readParams(this.body) }
    return this.#params.are
  }
}

export class UnreadRequest implements RpcRequest {
  readonly kind = 'request'
  readonly id: RequestId
  readonly method: string
  readonly body: Buffer | undefined
  #params: { readonly are: Params } | undefined

  constructor(id: RequestId, method: string, body: Buffer | undefined) {
    this.id = id
    this.method = method
    this.body = body
  }

  /** @throws HubError `link.violation` */
  get params(): Params {
    this.#params ??= { are: readParams(this.body) }
    return this.#params.are
  }
}

function readParams(body: Buffer | undefined): Params {
  if (!body) return undefined
  const value = parse(body)
  if (!isObject(value)) throw violation('its "params" are not an object')
  return value
}

function readError(value: unknown): RpcErrorObject {
  if (!isObject(value) || !Number.isInteger(value['code']) || typeof value['message'] !== 'string')
    throw violation('its "error" has no integer "code" and string "message"')
  return { code: Number(value['code']), message: value['message'], data: value['data'] }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw violation('it is not JSON', cause)
  }
}

function violation(why: string, cause?: unknown): HubError {
  return new HubError('link.violation', `A message that another node has passed on cannot be read: ${why}.`, {
    cause,
    cure: 'Run the same version of Flotilla on all nodes.',
  })
}
