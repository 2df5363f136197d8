import { HubError, isHubErrorCode } from '../../domain/errors.ts'
import { isSupportedRevision } from '../../mcp/eras.ts'
import { isObject, isRequestId, jsonBytes, type RequestId } from '../../mcp/json-rpc.ts'
import type { ServerHello } from '../../mcp/methods.ts'
import type { ClientIdentity } from '../../upstream/upstream.ts'
import { linkViolation } from './packet-bytes.ts'

/** Values that are rare enough to travel as JSON. Everything that is read here is checked. */
export function errorBytes(error: HubError): Buffer {
  const { code, message, cure, data, retryAfter } = error
  return jsonBytes({ code, message, cure, data, retryAfter })
}

/** @throws HubError `link.violation` */
export function readErrorBytes(bytes: Buffer): HubError {
  const value = readObject(bytes)
  const { code, message, cure, data, retryAfter } = value
  if (typeof message !== 'string') throw linkViolation('an error in it has no "message"')
  return new HubError(isHubErrorCode(code) ? code : 'upstream.invalid', message, {
    ...(typeof cure === 'string' ? { cure } : {}),
    ...(isObject(data) ? { data } : {}),
    ...(typeof retryAfter === 'number' ? { retryAfter } : {}),
  })
}

/** `error` with further facts for programs. */
export function withData(error: HubError, data: Readonly<Record<string, unknown>>): HubError {
  const { code, message, cure, retryAfter } = error
  return new HubError(code, message, {
    cause: error,
    data: { ...error.data, ...data },
    ...(cure === undefined ? {} : { cure }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

export function helloBytes(hello: ServerHello): Buffer {
  return jsonBytes(hello)
}

/** @throws HubError `link.violation` */
export function readHelloBytes(bytes: Buffer): ServerHello {
  const { protocolVersion, capabilities, serverInfo, instructions } = readObject(bytes)
  if (!isSupportedRevision(protocolVersion))
    throw linkViolation('it names a protocol revision that is unknown here')
  if (!isObject(capabilities)) throw linkViolation('a server in it has no "capabilities"')
  return {
    protocolVersion,
    capabilities,
    serverInfo: readImplementation(serverInfo),
    ...(typeof instructions === 'string' ? { instructions } : {}),
  }
}

export function identityBytes({ protocolVersion, clientInfo, capabilities }: ClientIdentity): Buffer {
  return jsonBytes({ protocolVersion, clientInfo, capabilities })
}

/** @throws HubError `link.violation` */
export function readIdentityBytes(bytes: Buffer): ClientIdentity {
  const { protocolVersion, clientInfo, capabilities } = readObject(bytes)
  if (typeof protocolVersion !== 'string') throw linkViolation('a client in it has no "protocolVersion"')
  if (!isObject(capabilities)) throw linkViolation('a client in it has no "capabilities"')
  return { protocolVersion, clientInfo: readImplementation(clientInfo), capabilities }
}

/** @throws HubError `link.violation` */
export function readId(text: string): RequestId {
  const id = parse(text)
  if (!isRequestId(id)) throw linkViolation('a question in it has no id')
  return id
}

function readImplementation(value: unknown): ServerHello['serverInfo'] {
  if (!isObject(value) || typeof value['name'] !== 'string' || typeof value['version'] !== 'string')
    throw linkViolation('a client or server in it has no name and version')
  return { ...value, name: value['name'], version: value['version'] }
}

function readObject(bytes: Buffer): Record<string, unknown> {
  const value = parse(bytes.toString('utf8'))
  if (!isObject(value)) throw linkViolation('what should be a JSON object is none')
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw linkViolation('what should be JSON is not')
  }
}
