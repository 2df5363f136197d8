import type { Cluster } from './cluster.ts'
import type { CallRecord } from './history.ts'
import { LoadSession } from './load.ts'

export interface InFlight {
  readonly history: readonly CallRecord[]
  /** Resolves when each call has ended, and its session is closed. */
  readonly ended: Promise<unknown>
}

export interface LongCalls {
  /** A counter with the tools `slow` and `slow_read`. */
  readonly server: string
  readonly tool: 'slow' | 'slow_read'
  /** How long each call takes: long enough for what the test does meanwhile, also on a machine that is busy with other things. */
  readonly ms: number
  readonly sessions: number
}

/** Lets sessions call once each. Resolves when the server's processes work on all of these calls. */
export async function inFlight(
  cluster: Cluster,
  { server, tool, ms, sessions }: LongCalls,
): Promise<InFlight> {
  const history: CallRecord[] = []
  const setup = { url: cluster.endpoint(server), tool, args: { ms } }
  const clients = Array.from({ length: sessions }, (_, n) => new LoadSession(`${tool}-${n}`, setup, history))
  const ended = Promise.all(clients.map((client) => client.call().then(() => client.close())))
  await cluster.until('all calls are in flight', async () => {
    const executed = new Set((await cluster.executed()).map(({ call }) => call))
    return history.length === sessions && history.every(({ id }) => executed.has(id))
  })
  return { history, ended }
}
