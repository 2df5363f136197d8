import { Agent } from 'undici'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Probe, ProbeTarget } from './prober.ts'

export const PROBE_TIMEOUT_MS = 3_000

export interface HttpProbeDeps {
  readonly clock: Clock
  readonly log: Logger
  /** Shown to the node as `X-Cluster-Token`; asked each time, since tokens change. */
  token(): string | undefined
}

export interface HttpProbe {
  readonly probe: Probe
  close(): Promise<void>
}

/** `GET http://<host>:<port>/health`, 3 s. Only 2xx counts: a redirect or a 500 is no sign of health. */
export function httpProbe({ clock, log, token }: HttpProbeDeps): HttpProbe {
  const agent = new Agent({ connections: 1, pipelining: 1, keepAliveTimeout: 1_000 })
  const probe: Probe = async (target, signal) => {
    const late = new AbortController()
    const timer = clock.after(PROBE_TIMEOUT_MS, () => late.abort())
    try {
      return await get(agent, target, { token: token(), signal: AbortSignal.any([signal, late.signal]) })
    } catch (error) {
      log.debug({ node: target.id, err: error }, 'a node did not answer a probe')
      return false
    } finally {
      timer.stop()
    }
  }
  return { probe, close: () => agent.destroy() }
}

interface Ask {
  readonly token: string | undefined
  readonly signal: AbortSignal
}

async function get(agent: Agent, { host, port }: ProbeTarget, { token, signal }: Ask): Promise<boolean> {
  const { statusCode, body } = await agent.request({
    origin: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    path: '/health',
    method: 'GET',
    headers: token === undefined ? {} : { 'x-cluster-token': token },
    signal,
  })
  await body.dump()
  return statusCode >= 200 && statusCode < 300
}
