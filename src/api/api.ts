import type { IncomingMessage, ServerResponse } from 'node:http'
import { HubError } from '../domain/errors.ts'
import { healthReport } from '../observability/health.ts'
import { type HubInsight, serverStatus, serverView } from './server-views.ts'

/** The read-only management API: `/health` for everybody, `/api/servers` for those whom the keys let in. */
export function handleApi(
  hub: HubInsight,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  if (path === '/health') return health(hub, response)
  const [, , resource, name, ...rest] = path.split('/')
  if (resource === 'servers' && rest.length === 0) {
    const { servers } = hub.settings()
    if (!name)
      return succeed(
        response,
        [...servers.values()].map((spec) => serverView(hub, spec)),
      )
    const spec = servers.get(decode(name))
    if (spec) return succeed(response, serverView(hub, spec))
    return fail(
      response,
      new HubError('endpoint.unknown', `There is no server ${JSON.stringify(decode(name))}.`, {
        cure: 'GET /api/servers lists them.',
      }),
    )
  }
  fail(
    response,
    new HubError('route.unknown', `There is nothing at ${request.method} ${path.slice(0, 200)}.`, {
      cure: 'This version has GET /api/servers and GET /api/servers/<name>.',
    }),
  )
}

function health(hub: HubInsight, response: ServerResponse): void {
  const statuses = [...hub.settings().servers.values()].map((spec) => serverStatus(hub, spec))
  const report = healthReport(statuses, hub.stopping(), hub.now())
  send(response, report.status === 'stopping' ? 503 : 200, report)
}

function succeed(response: ServerResponse, data: unknown): void {
  send(response, 200, { success: true, data })
}

function fail(response: ServerResponse, error: HubError): void {
  send(response, error.httpStatus, {
    success: false,
    code: error.code,
    message: error.message,
    cure: error.cure,
  })
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  })
  response.end(body)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // A broken escape is a name like any other: one that nobody has.
    return segment
  }
}
