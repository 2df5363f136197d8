import { logLine, logsQuery } from '../contract/servers.ts'
import { nothing } from '../contract/shared.ts'
import { eventsOf, linesOf } from '../log-lines.ts'
import { type Route, route } from '../route.ts'

/** What the hub itself logs. */
export const logRoutes: readonly Route[] = [
  route({
    name: 'logs.list',
    method: 'GET',
    path: '/api/logs',
    permission: 'logs:read',
    summary: "The hub's last log lines, oldest first",
    query: logsQuery.omit({ follow: true }),
    answer: logLine.array(),
    handle: async ({ services, query }) => ({ data: linesOf(services.logs.recent(query.limit)) }),
  }),
  route({
    name: 'logs.stream',
    method: 'GET',
    path: '/api/logs/stream',
    permission: 'logs:read',
    summary: "The hub's last log lines and those to come, as server-sent events",
    query: logsQuery.omit({ follow: true }),
    answer: logLine.shape.message,
    streams: ['text/event-stream'],
    handle: async ({ services, query, signal }) =>
      eventsOf(services.logs.recent(query.limit), services.logs.follow(signal)),
  }),
  route({
    name: 'logs.clear',
    method: 'DELETE',
    path: '/api/logs',
    permission: 'settings:write',
    summary: 'Forget the log lines that are kept in memory',
    answer: nothing,
    audit: 'logs',
    handle: async ({ services }) => {
      services.logs.clear()
      return { message: 'The log lines were forgotten.' }
    },
  }),
]
