import type { ServerSpec } from '../domain/server-spec.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { Ring } from '../kernel/ring.ts'
import type { OpenChannel } from '../upstream/channel.ts'
import { connect } from '../upstream/handshake.ts'
import type { Guardian } from '../upstream/stdio/guardian.ts'
import { STDIO_LIMITS, StdioChannel } from '../upstream/stdio/stdio-channel.ts'
import { openHttpChannel } from '../upstream/streamable-http/open-http.ts'
import type { UpstreamFactory } from '../upstream/upstream.ts'

export interface DriverDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly guardian: Guardian
  /** Starts the mark that every child process of this hub carries. */
  readonly mark: string
  /** Counts the processes that were started, so that each has a mark of its own. */
  nextProcess(): number
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly initTimeoutMs: number
}

/** Lines of stderr that are kept for people. */
const STDERR_LINES = 20

/** The driver for a server's transport. */
export function upstreamFactory(spec: ServerSpec, deps: DriverDeps): UpstreamFactory {
  const stderr = new Ring<string>(STDERR_LINES)
  const log = deps.log.child({ server: spec.name })
  const open = channelOpener(spec, { ...deps, log }, stderr)
  return {
    open: (identity, inbound, signal) =>
      connect(open, identity, inbound, signal, { ...deps, log, server: spec.name }),
    stderr: () => stderr.items(),
  }
}

function channelOpener(spec: ServerSpec, deps: DriverDeps, stderr: Ring<string>): OpenChannel {
  const { transport, name: server } = spec
  switch (transport.kind) {
    case 'stdio':
      return (events) => {
        const owner = `${deps.mark}.${deps.nextProcess()}`
        return StdioChannel.open(transport, events, { ...deps, server, owner, stderr, limits: STDIO_LIMITS })
      }
    case 'sse':
    case 'streamable-http':
    case 'auto':
      return (events, signal) => openHttpChannel(transport, events, signal, { ...deps, server })
  }
}
