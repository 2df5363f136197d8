import type { ConnectReport } from '../api/ports.ts'
import { HubError } from '../domain/errors.ts'
import type { ServerSpec } from '../domain/server-spec.ts'
import { readLists } from '../gateway/catalog/read-lists.ts'
import { refuse } from '../gateway/dispatch/asks.ts'
import type { Clock } from '../kernel/clock.ts'
import type { ClientIdentity, InboundHandler, Upstream, UpstreamFactory } from '../upstream/upstream.ts'

/** How long a server may take to start and show its lists, ms: npx may have to download it first. */
const TRIAL_MS = 120_000

/**
 * Starts or reaches a server for a moment, reads its lists and lets go of it.
 * @throws HubError saying why it does not work, with the last words of its process
 */
export async function tryServer(
  factory: UpstreamFactory,
  spec: ServerSpec,
  { identity, clock, signal }: { identity: ClientIdentity; clock: Clock; signal: AbortSignal },
): Promise<ConnectReport> {
  const began = clock.monotonic()
  const patience = new AbortController()
  const timer = clock.after(TRIAL_MS, () => patience.abort())
  let upstream: Upstream | undefined
  try {
    upstream = await factory.open(identity, refusing(spec.name), AbortSignal.any([signal, patience.signal]))
    const { listing } = await readLists(upstream, spec.call)
    return {
      serverInfo: { ...listing.hello.serverInfo },
      protocolVersion: listing.hello.protocolVersion,
      tools: listing.tools.length,
      prompts: listing.prompts.length,
      resources: listing.resources.length,
      durationMs: Math.round(clock.monotonic() - began),
    }
  } catch (error) {
    const last = factory.stderr().slice(-5).join('\n')
    if (!(error instanceof HubError) || last === '') throw error
    throw new HubError(error.code, `${error.message} Its last words: ${last}`, {
      cause: error,
      data: error.data,
      ...(error.cure === undefined ? {} : { cure: error.cure }),
    })
  } finally {
    timer.stop()
    await upstream?.close()
  }
}

/** There is no client whom the server could ask. */
function refusing(server: string): InboundHandler {
  let current: Upstream | undefined
  return {
    opened: (upstream) => {
      current = upstream
    },
    request: (request) => {
      const error = new HubError('client.unsupported', `Nobody is here to answer ${request.method}.`)
      if (current) refuse({ server, upstream: current, request }, error)
    },
    notification: () => undefined,
  }
}
