import type { z } from 'zod'
import * as contract from '../../api/contract/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import { sleep } from '../../kernel/clock.ts'
import { type RemoteContext, segment, show } from './context.ts'
import { nodeRows } from './nodes.ts'
import { harmless, table } from './table.ts'

/** `flotilla status`. */
export async function showStatus(context: RemoteContext): Promise<void> {
  const { hub, output, texts, json } = context
  const status = await hub.get('/api/cluster/status', contract.status)
  if (json) return output.data(JSON.stringify(status))
  const { stats } = status
  const role = { standalone: texts.modeStandalone, master: texts.roleMaster, worker: texts.roleWorker }
  const rows = [
    [texts.columnCluster, `${role[status.role]} (${status.nodeId})`],
    [texts.columnVersion, status.version],
    ...(status.leader === null ? [] : [[texts.columnLeader, status.leader]]),
    [texts.columnNodes, texts.online(stats.activeNodes, stats.nodes)],
    [texts.columnServers, String(stats.servers)],
    [texts.columnReplicas, texts.healthy(status.healthyReplicas, status.totalReplicas)],
    [texts.columnSessions, String(stats.sessions)],
  ]
  for (const line of table(rows)) output.data(line)
  output.data('')
  show(context, status.nodes, nodeRows(context, status.nodes), texts.noNodes)
  if (status.otherVersions.length > 0)
    output.talk(harmless(texts.otherVersions(status.otherVersions.join(', '), status.version)))
}

type Event = z.output<typeof contract.events>['events'][number]

export interface EventsWish {
  readonly since: string
  readonly limit: string
  readonly follow: boolean
}

const LOOK_MS = 1_000

/** `flotilla events`. Followed, it ends when the signal is aborted. */
export async function showEvents(
  context: RemoteContext,
  wish: EventsWish,
  signal: AbortSignal,
): Promise<void> {
  const { output, texts, json } = context
  const first = await read(context, wish.since, wish.limit)
  if (json && !wish.follow) return output.data(JSON.stringify(first))
  if (first.events.length === 0 && !wish.follow) return output.talk(texts.noEvents)
  print(context, first.events)
  if (wish.follow) await follow(context, first.last, signal)
}

async function follow(context: RemoteContext, from: number, signal: AbortSignal): Promise<void> {
  let last = from
  let away = false
  for (;;) {
    await sleep(context.clock, LOOK_MS, signal)
    if (signal.aborted) return
    const page = await read(context, String(last), String(MOST)).catch((error: unknown) => {
      // A hub that is started anew comes back; everything else will not mend itself.
      if (!(error instanceof HubError) || error.code !== 'server.unavailable') throw error
      if (!away) context.output.talk(context.texts.away)
      return undefined
    })
    away = page === undefined
    if (!page) continue
    // Numbers begin anew with the coordinator.
    const fresh = page.last < last ? await read(context, '0', String(MOST)) : page
    print(context, fresh.events)
    last = fresh.last
  }
}

const MOST = 1_000

function read({ hub }: RemoteContext, since: string, limit: string) {
  return hub.get(`/api/cluster/events?since=${segment(since)}&limit=${segment(limit)}`, contract.events)
}

/** For programs one event a line. */
function print({ output, json }: RemoteContext, events: readonly Event[]): void {
  for (const event of events) {
    if (json) output.data(JSON.stringify(event))
    else output.data(harmless(`${new Date(event.at).toISOString()}  ${event.kind.padEnd(10)}  ${event.text}`))
  }
}
