import * as contract from '../contract/internal.ts'
import { nothing } from '../contract/shared.ts'
import { type Route, route } from '../route.ts'

const registering = {
  method: 'POST',
  permission: 'cluster:node',
  body: contract.registration,
  answer: nothing,
  beside: contract.registered,
  // Of the cluster, and nothing of the settings: an instance that takes no changes has nodes all the same.
  changes: false,
  audit: 'node:{nodeId}',
} as const

/** What workers ask their coordinator. They do the same over their links; these are for nodes and tools that have none. */
export const internalRoutes: readonly Route[] = [
  ...(
    [
      ['internal.register', '/internal/cluster/register', 'A node joins, and learns what it is to run'],
      ['internal.register-alias', '/cluster/register', 'The same as /internal/cluster/register'],
    ] as const
  ).map(([name, path, summary]) =>
    route({
      ...registering,
      name,
      path,
      summary,
      handle: async ({ services, body }) => ({ beside: { ...(await services.cluster.register(body)) } }),
    }),
  ),
  route({
    name: 'internal.heartbeat',
    method: 'POST',
    path: '/internal/cluster/heartbeat',
    permission: 'cluster:node',
    summary: 'A node is there, and says how its servers are',
    body: contract.heartbeat,
    answer: nothing,
    beside: contract.beaten,
    changes: false,
    handle: async ({ services, body }) => ({ beside: { ...(await services.cluster.heartbeat(body)) } }),
  }),
]
