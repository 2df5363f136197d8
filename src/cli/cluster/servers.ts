import type { z } from 'zod'
import * as contract from '../../api/contract/cluster.ts'
import { nothing } from '../../api/contract/shared.ts'
import { HubError } from '../../domain/errors.ts'
import { ago, type RemoteContext, segment, show, tell } from './context.ts'

type Replica = z.output<typeof contract.replica>
type Server = z.output<typeof contract.replicas>
const REPLICAS = '/api/cluster/replicas'

/** `flotilla server list`. */
export async function listServers(context: RemoteContext): Promise<void> {
  const { texts } = context
  const { servers } = await context.hub.get(REPLICAS, contract.allReplicas)
  const heading = [texts.columnServer, texts.columnReplicas, texts.columnStrategy, texts.columnNodes]
  const rows = servers.map((server) => [
    server.serverName,
    numberOf(context, server),
    server.strategy ?? '-',
    [...new Set(server.replicas.map(({ nodeId }) => nodeId))].join(', ') || '-',
  ])
  show(context, servers, [heading, ...rows], texts.noServers)
  for (const server of servers) tellShortage(context, server)
}

function numberOf({ texts }: RemoteContext, server: Server): string {
  const { healthyReplicas, desiredReplicas, autoscale, managed } = server
  const number = `${healthyReplicas}/${desiredReplicas}`
  if (!managed) return `${number} (${texts.pinned})`
  return autoscale ? `${number} (${texts.autoscaled(autoscale.min, autoscale.max)})` : number
}

/** `flotilla server replicas <name>`. */
export async function showReplicas(context: RemoteContext, name: string): Promise<void> {
  const server = await context.hub.get(`${REPLICAS}/${segment(name)}`, contract.replicas)
  show(context, server, replicaRows(context, server.replicas), context.texts.noReplicas)
  tellShortage(context, server)
}

function tellShortage({ output, json }: RemoteContext, { shortage }: Server): void {
  if (!json && shortage !== null) output.talk(shortage)
}

/** `flotilla server scale <name> <n>`. */
export async function scaleServer(context: RemoteContext, name: string, count: string): Promise<void> {
  const replicas = readCount(count)
  const changed = await context.hub.send('PUT', `${REPLICAS}/${segment(name)}`, {
    body: { replicas },
    answer: contract.replicasChanged,
  })
  if (!context.json) for (const warning of changed.warnings) context.output.talk(warning)
  tell(context, changed, context.texts.scaleDone(name, replicas))
}

/** @throws HubError `request.invalid-params` */
function readCount(text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count <= 1_000) return count
  throw new HubError('request.invalid-params', `${JSON.stringify(text)} is no number of replicas.`, {
    cure: 'Give a whole number from 0 to 1000.',
  })
}

/** `flotilla server restart <name>`. */
export async function restartServer(context: RemoteContext, name: string): Promise<void> {
  const path = `/api/cluster/servers/${segment(name)}/restart`
  await context.hub.send('POST', path, { answer: nothing })
  tell(context, { restarted: name }, context.texts.restartDone(name))
}

/** The table of replicas, heading first. */
export function replicaRows({ texts, clock }: RemoteContext, replicas: readonly Replica[]): string[][] {
  const heading = [
    texts.columnReplica,
    texts.columnServer,
    texts.columnNode,
    texts.columnState,
    texts.columnSince,
    texts.columnCalls,
    texts.columnSessions,
    texts.columnError,
  ]
  const now = clock.now()
  return [
    heading,
    ...replicas.map((replica) => [
      replica.id,
      replica.serverName,
      replica.nodeId,
      replica.draining ? `${replica.phase}, ${texts.draining}` : replica.phase,
      ago(replica.createdAt, now, texts),
      String(replica.calls),
      String(replica.sessions),
      replica.error ?? '',
    ]),
  ]
}
