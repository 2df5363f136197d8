import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { HubError } from '../domain/errors.ts'
import type { HttpSpec, ServerSpec, StdioSpec } from '../domain/server-spec.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { Ring } from '../kernel/ring.ts'
import type { OpenChannel } from '../upstream/channel.ts'
import { connect } from '../upstream/handshake.ts'
import type { HttpTarget } from '../upstream/http/http-request.ts'
import { SseChannel } from '../upstream/sse/sse-channel.ts'
import { Guardian } from '../upstream/stdio/guardian.ts'
import { STDIO_LIMITS, StdioChannel } from '../upstream/stdio/stdio-channel.ts'
import { HTTP_LIMITS, HttpChannel } from '../upstream/streamable-http/http-channel.ts'
import type { Harmless, UpstreamFactory } from '../upstream/upstream.ts'

interface DriverDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly guardian: Guardian
  /** Starts the mark that every child process of this hub carries. */
  readonly mark: string
  /** Counts the processes that were started, so that each has a mark of its own. */
  nextProcess(): number
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly initTimeoutMs: number
  readonly harmless: Harmless
}

/** Lines of stderr that are kept for people. */
const STDERR_LINES = 20

/** A server reached over HTTP runs already: unlike a program, it has nothing to download first. */
const HTTP_INIT_TIMEOUT_MS = 30_000

export type DriversDeps = Pick<DriverDeps, 'clock' | 'log' | 'environment' | 'initTimeoutMs' | 'harmless'> & {
  readonly random: Random
}

/** Reaches and starts servers from this machine, and sees to it that no process outlives this one. */
export class Drivers {
  readonly #deps: DriverDeps

  constructor({ random, ...deps }: DriversDeps) {
    const mark = random.id(96)
    let processes = 0
    const nextProcess = () => {
      processes += 1
      return processes
    }
    this.#deps = { ...deps, mark, nextProcess, guardian: new Guardian(mark, deps.log) }
  }

  readonly factory = (spec: ServerSpec): UpstreamFactory => upstreamFactory(spec, this.#deps)

  /** Kills what is still there. */
  async close(): Promise<void> {
    await this.#deps.guardian.close()
  }
}

/** The driver for a server's transport. */
export function upstreamFactory(spec: ServerSpec, deps: DriverDeps): UpstreamFactory {
  const stderr = new Ring<string>(STDERR_LINES)
  const log = deps.log.child({ server: spec.name })
  const { transport } = spec
  const context: Context = { ...deps, log, server: spec.name, stderr }
  if (transport.kind === 'stdio') return factory(stdioOpener(transport, context), context)
  const initTimeoutMs = Math.min(context.initTimeoutMs, HTTP_INIT_TIMEOUT_MS)
  const streamable = factory(streamableOpener(transport, context), { ...context, initTimeoutMs })
  const sse = factory(sseOpener(transport, context), { ...context, initTimeoutMs })
  if (transport.kind === 'sse') return sse
  if (transport.kind === 'streamable-http') return streamable
  return eitherHttp(streamable, sse)
}

interface Context extends DriverDeps {
  readonly server: string
  readonly stderr: Ring<string>
}

function factory(open: OpenChannel, context: Context): UpstreamFactory {
  return {
    open: (identity, inbound, signal) => connect(open, identity, inbound, signal, context),
    stderr: () => context.stderr.items(),
  }
}

function stdioOpener(transport: StdioSpec, context: Context): OpenChannel {
  return (events) => {
    const owner = `${context.mark}.${context.nextProcess()}`
    return StdioChannel.open(transport, events, { ...context, owner, limits: STDIO_LIMITS })
  }
}

function streamableOpener(transport: HttpSpec, context: Context): OpenChannel {
  return async (events) =>
    new HttpChannel(events, { ...context, target: httpTarget(transport, context), limits: HTTP_LIMITS })
}

function sseOpener(transport: HttpSpec, context: Context): OpenChannel {
  const { maxMessageBytes, notifyMs } = HTTP_LIMITS
  const limits = { maxMessageBytes, notifyMs }
  return (events, signal) =>
    SseChannel.open(events, signal, { ...context, ...limits, target: httpTarget(transport, context) })
}

/**
 * A URL of which the settings do not say which transport it speaks: streamable HTTP, or, where that is refused as a whole,
 * the older pair (spec 2025-11-25, basic/transports, "Backwards Compatibility").
 */
function eitherHttp(streamable: UpstreamFactory, sse: UpstreamFactory): UpstreamFactory {
  return {
    async open(identity, inbound, signal) {
      try {
        return await streamable.open(identity, inbound, signal)
      } catch (error) {
        const status = error instanceof HubError ? error.data['status'] : undefined
        if (status !== 400 && status !== 404 && status !== 405) throw error
        return sse.open(identity, inbound, signal)
      }
    },
    stderr: () => [],
  }
}

function httpTarget({ url, headers }: HttpSpec, { server, environment, harmless }: Context): HttpTarget {
  return {
    server,
    url: new URL(url),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    dispatcher: httpDispatcher(environment),
    harmless,
  }
}

/** Connections of one upstream's own; through a proxy where the environment names one. */
function httpDispatcher(environment: DriverDeps['environment']): Dispatcher {
  const options = { connections: MAX_CONNECTIONS, keepAliveTimeout: 30_000 }
  const variable = (name: string) => environment[name.toLowerCase()] ?? environment[name]
  const httpProxy = variable('HTTP_PROXY')
  const httpsProxy = variable('HTTPS_PROXY')
  if (!httpProxy && !httpsProxy) return new Agent(options)
  return new EnvHttpProxyAgent({
    ...options,
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
    noProxy: variable('NO_PROXY') ?? 'localhost,127.0.0.1,::1',
  })
}

/** Calls beyond this many at once wait for a connection. */
const MAX_CONNECTIONS = 256
