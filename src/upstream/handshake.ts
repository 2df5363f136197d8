import { HubError } from '../domain/errors.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { isSupportedRevision, supportedRevisions } from '../mcp/eras.ts'
import { isObject, jsonBytes, type RpcAnswer } from '../mcp/json-rpc.ts'
import { METHOD, NOTIFICATION, type ServerHello } from '../mcp/methods.ts'
import type { ChannelEvents, OpenChannel } from './channel.ts'
import { Connection } from './connection.ts'
import type { ClientIdentity, Harmless, InboundHandler, Upstream } from './upstream.ts'

interface HandshakeDeps {
  readonly server: string
  readonly clock: Clock
  readonly log: Logger
  /** How long the server may take from its start to its answer to `initialize`, all in all. */
  readonly initTimeoutMs: number
  readonly harmless: Harmless
}

/**
 * Opens a channel and goes through `initialize` (spec, basic/lifecycle).
 * @throws HubError when the server cannot be reached, does not answer in time or answers something unusable
 */
export async function connect(
  open: OpenChannel,
  identity: ClientIdentity,
  inbound: InboundHandler,
  signal: AbortSignal,
  deps: HandshakeDeps,
): Promise<Upstream> {
  const connection = new Connection({ ...deps, inbound })
  inbound.opened(connection)
  const events: ChannelEvents = {
    message: (message, requestId) => connection.message(message, requestId),
    failed: (requestId, error) => connection.failed(requestId, error),
    closed: (reason) => connection.closedBy(reason),
  }
  const giveUp = new AbortController()
  let late: HubError | undefined
  let opened = false
  const timer = deps.clock.after(deps.initTimeoutMs, () => {
    late = tooLate(deps, opened ? 'did not answer initialize' : 'did not open a connection')
    connection.closedBy(late)
    giveUp.abort()
  })
  const onAbort = () => {
    void connection.close()
    giveUp.abort()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    if (connection.ended) throw connection.ended
    // Not only the signal: a channel that comes about too late finds the connection ended, and is closed.
    await Promise.race([
      open(events, giveUp.signal).then((channel) => connection.attach(channel)),
      connection.closed.then((reason) => Promise.reject(reason)),
    ])
    opened = true
    connection.greeted(readHello(deps, await initialize(connection, identity, deps)))
    connection.notify(NOTIFICATION.initialized, undefined)
    return connection
  } catch (error) {
    await connection.close()
    throw late ?? error
  } finally {
    timer.stop()
    signal.removeEventListener('abort', onAbort)
  }
}

function initialize(
  connection: Connection,
  identity: ClientIdentity,
  { initTimeoutMs }: HandshakeDeps,
): Promise<RpcAnswer> {
  return connection.request({
    method: METHOD.initialize,
    params: jsonBytes(identity),
    // The deadline of the whole handshake comes first.
    limits: { timeoutMs: initTimeoutMs, resetTimeoutOnProgress: false, maxTotalTimeoutMs: 0 },
  }).answer
}

function tooLate({ server, initTimeoutMs }: HandshakeDeps, what: string): HubError {
  return new HubError('upstream.timeout', `Server "${server}" ${what} within ${initTimeoutMs} ms.`, {
    data: { server, timeoutMs: initTimeoutMs },
    cure: 'Check that what the settings name is an MCP server, and that it does not hang while it starts.',
  })
}

function readHello({ server, harmless }: HandshakeDeps, answer: RpcAnswer): ServerHello {
  if (answer.kind === 'error')
    throw new HubError(
      'upstream.rejected',
      `Server "${server}" refused to initialize: ${harmless(answer.error.message, LONGEST_REASON)}.`,
      {
        data: { server, rpcCode: answer.error.code },
      },
    )
  const hello = answer.result
  if (!isObject(hello)) throw unusable(server, 'its answer to initialize is not an object')
  const { protocolVersion, capabilities, serverInfo, instructions } = hello
  if (!isSupportedRevision(protocolVersion))
    throw unusable(
      server,
      `it speaks protocol revision ${harmless(String(JSON.stringify(protocolVersion)), 100)}; the hub knows ${supportedRevisions().join(', ')}`,
    )
  if (!isObject(serverInfo) || typeof serverInfo['name'] !== 'string')
    throw unusable(server, 'its answer to initialize has no serverInfo.name')
  return {
    protocolVersion,
    capabilities: isObject(capabilities) ? capabilities : {},
    serverInfo: { ...serverInfo, name: serverInfo['name'], version: String(serverInfo['version'] ?? '') },
    ...(typeof instructions === 'string' ? { instructions } : {}),
  }
}

const LONGEST_REASON = 2_000

function unusable(server: string, why: string): HubError {
  return new HubError('upstream.invalid', `Server "${server}" cannot be used: ${why}.`, { data: { server } })
}
