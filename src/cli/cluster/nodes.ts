import type { z } from 'zod'
import * as contract from '../../api/contract/cluster.ts'
import { nothing } from '../../api/contract/shared.ts'
import { ago, type RemoteContext, segment, show, tell } from './context.ts'
import { replicaRows } from './servers.ts'
import { table } from './table.ts'

type Node = z.output<typeof contract.node>
const NODES = '/api/cluster/nodes'

/** `flotilla node list`. */
export async function listNodes(context: RemoteContext, active: boolean): Promise<void> {
  const path = active ? `${NODES}?active=true` : NODES
  const { nodes } = await context.hub.get(path, contract.nodes)
  show(context, nodes, nodeRows(context, nodes), context.texts.noNodes)
}

/** `flotilla node show <id>`. */
export async function showNode(context: RemoteContext, id: string): Promise<void> {
  const { texts, output, json } = context
  const detail = await context.hub.get(`${NODES}/${segment(id)}`, contract.nodeDetail)
  if (json) return output.data(JSON.stringify(detail))
  const { node, servers } = detail
  // What is a row in the list is a column here.
  const [heading = [], values = []] = nodeRows(context, [node])
  const pairs = heading.map((name, at) => [name, values[at] ?? ''])
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`)
  const more = [
    [texts.columnSystem, node.metadata.os],
    [texts.columnLabels, labels.length === 0 ? '-' : labels.join(', ')],
  ]
  for (const line of table([...pairs, ...more])) output.data(line)
  output.data('')
  show(context, servers, replicaRows(context, servers), texts.noReplicas)
}

/** `flotilla node cordon|uncordon|drain <id>`. */
export async function changeNode(
  context: RemoteContext,
  action: 'cordon' | 'uncordon' | 'drain',
  id: string,
): Promise<void> {
  const path = `${NODES}/${segment(id)}/${action}`
  const detail = await context.hub.send('POST', path, { answer: contract.nodeDetail })
  tell(context, detail, context.texts[`${action}Done`](id))
}

/** `flotilla node remove <id>`. */
export async function removeNode(context: RemoteContext, id: string): Promise<void> {
  await context.hub.send('DELETE', `${NODES}/${segment(id)}`, { answer: nothing })
  tell(context, { removed: id }, context.texts.removeDone(id))
}

/** The table of nodes, heading first. */
export function nodeRows({ texts, clock }: RemoteContext, nodes: readonly Node[]): string[][] {
  const heading = [
    texts.columnId,
    texts.columnName,
    texts.columnRole,
    texts.columnAddress,
    texts.columnState,
    texts.columnServers,
    texts.columnCpu,
    texts.columnMemory,
    texts.columnVersion,
    texts.columnHeartbeat,
  ]
  const now = clock.now()
  return [
    heading,
    ...nodes.map((node) => [
      node.id,
      node.name,
      node.role === 'master' ? texts.roleMaster : texts.roleWorker,
      node.host === null ? '-' : `${node.host}:${node.port ?? '?'}`,
      [node.status, ...(node.draining ? [texts.draining] : node.cordoned ? [texts.cordoned] : [])].join(', '),
      node.maxServers === null ? String(node.servers) : `${node.servers}/${node.maxServers}`,
      `${Math.round(node.metadata.cpuUsage)}%`,
      `${Math.round(node.metadata.memoryUsage)}%`,
      node.metadata.version,
      ago(node.lastHeartbeat, now, texts),
    ]),
  ]
}
