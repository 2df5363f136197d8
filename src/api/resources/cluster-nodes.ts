import type { NodeView } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import { nodeView, replicaView } from '../cluster-views.ts'
import * as contract from '../contract/cluster.ts'
import { nothing } from '../contract/shared.ts'
import { showsSecrets } from '../identity.ts'
import type { ClusterPort } from '../ports.ts'
import { type Context, type Route, route } from '../route.ts'

const SUMMARIES = {
  cordon: 'Place no more replicas on a node; what runs there goes on',
  uncordon: 'Place replicas on a node again, also after a drain',
  drain: 'Move what runs on a node to others, one after the other, without failing calls',
} as const

const MESSAGES = {
  cordon: 'The node takes no new replicas.',
  uncordon: 'The node takes replicas again.',
  drain: 'The node is drained: its replicas move to other nodes.',
} as const

/** The nodes of the cluster, and what has happened to them. */
export const clusterNodeRoutes: readonly Route[] = [
  route({
    name: 'cluster.nodes.list',
    method: 'GET',
    path: '/api/cluster/nodes',
    permission: 'cluster:read',
    summary: 'All nodes; with active only those that are online',
    query: contract.nodesQuery,
    answer: contract.nodes,
    handle: async ({ services, identity, query }) => {
      const shown = showsSecrets(services.auth, identity)
      const nodes = services.cluster.nodes().filter(({ state }) => !query.active || state === 'online')
      return { data: { nodes: nodes.map((node) => nodeView(node, shown)) } }
    },
  }),
  route({
    name: 'cluster.nodes.get',
    method: 'GET',
    path: '/api/cluster/nodes/:node',
    permission: 'cluster:read',
    summary: 'One node, and the replicas on it',
    params: contract.nodeParams,
    answer: contract.nodeDetail,
    handle: async (context) => ({ data: detailOf(context) }),
  }),
  route({
    name: 'cluster.nodes.remove',
    method: 'DELETE',
    path: '/api/cluster/nodes/:node',
    permission: 'cluster:write',
    summary: 'Forget a node that is gone or drained; what runs there is started elsewhere',
    params: contract.nodeParams,
    answer: nothing,
    audit: 'node:{node}',
    handle: async ({ services, params }) => {
      requireNode(services.cluster, params.node)
      await services.cluster.removeNode(params.node)
      return { message: 'The node was removed.' }
    },
  }),
  ...(['cordon', 'uncordon', 'drain'] as const).map((action) =>
    route({
      name: `cluster.nodes.${action}`,
      method: 'POST',
      path: `/api/cluster/nodes/:node/${action}`,
      permission: 'cluster:write',
      summary: SUMMARIES[action],
      params: contract.nodeParams,
      answer: contract.nodeDetail,
      audit: 'node:{node}',
      handle: async (context) => {
        const { cluster } = context.services
        requireNode(cluster, context.params.node)
        await cluster[action](context.params.node)
        return { data: detailOf(context), message: MESSAGES[action] }
      },
    }),
  ),
  route({
    name: 'cluster.events',
    method: 'GET',
    path: '/api/cluster/events',
    permission: 'cluster:read',
    summary: 'What has happened in the cluster, oldest first',
    query: contract.eventsQuery,
    answer: contract.events,
    handle: async ({ services, query }) => {
      const { events, last } = services.cluster.events(query.since, query.limit)
      const shown = events.map(({ node, server, replica, ...event }) => ({
        ...event,
        ...(node === undefined ? {} : { node }),
        ...(server === undefined ? {} : { server }),
        ...(replica === undefined ? {} : { replica }),
      }))
      return { data: { events: shown, last } }
    },
  }),
  route({
    name: 'cluster.sync',
    method: 'POST',
    path: '/api/cluster/sync',
    permission: 'cluster:write',
    summary: 'Tell every node once more what it is to run, and say which of them have it',
    answer: contract.sync,
    changes: false,
    audit: 'cluster',
    handle: async ({ services }) => {
      const { revision, nodes } = await services.cluster.sync()
      const shown = nodes.map(({ id, sent, confirmed }) => ({
        nodeId: id,
        revision: sent,
        confirmed: confirmed ?? null,
        inSync: confirmed === sent,
      }))
      return { data: { revision: revision ?? null, nodes: shown }, message: 'All nodes were told.' }
    },
  }),
]

function detailOf({ services, identity, params }: Context<{ readonly node: string }>) {
  const { cluster, auth } = services
  const node = requireNode(cluster, params.node)
  const servers = cluster.replicas().filter((replica) => replica.node === node.id)
  return { node: nodeView(node, showsSecrets(auth, identity)), servers: servers.map(replicaView) }
}

/** @throws HubError `resource.missing` */
function requireNode(cluster: ClusterPort, id: string): NodeView {
  const node = cluster.nodes().find((each) => each.id === id)
  if (node) return node
  throw new HubError('resource.missing', `There is no node ${JSON.stringify(id.slice(0, 200))}.`, {
    cure: 'GET /api/cluster/nodes lists them.',
  })
}
