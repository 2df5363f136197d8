import type { Identity } from '../access/permissions.ts'
import { isObject } from '../mcp/json-rpc.ts'
import { maskedSession } from './cluster-views.ts'
import { actorOf } from './identity.ts'
import type { ActivityRecorder } from './ports.ts'
import type { Route } from './route.ts'

/** One request, when its answer is out. */
export interface Finished {
  readonly route: Route | undefined
  readonly identity: Identity
  readonly method: string
  /** The path without its query. */
  readonly path: string
  readonly params: unknown
  readonly body: unknown
  readonly status: number
  readonly startedAt: number
  readonly durationMs: number
  readonly ip: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string
}

/** What comes every few seconds and says nothing about anybody. */
const UNRECORDED: ReadonlySet<string> = new Set([
  'health',
  'healthz',
  'livez',
  'readyz',
  'status',
  'internal.heartbeat',
])

/** Hands over what is remembered of a request: that it came, and, where it changes something, what became of it. */
export function record(recorder: ActivityRecorder, request: Finished): void {
  const { route, identity, status, ip } = request
  const action = route?.name ?? 'route.unknown'
  if (UNRECORDED.has(action) && status < 400) return
  const { username, keyId } = identity
  recorder.access({
    timestamp: request.startedAt,
    username,
    keyId,
    action,
    resource: resourceOf(request).slice(0, LONGEST),
    method: request.method,
    statusCode: status,
    durationMs: request.durationMs,
    ip,
    userAgent: request.userAgent?.slice(0, LONGEST),
    requestId: request.requestId,
  })
  if (route?.audit === undefined) return
  recorder.audit({
    timestamp: request.startedAt,
    actor: actorOf(identity),
    action,
    target: targetOf(route.audit, request),
    success: status < 400,
    details: JSON.stringify({ requestId: request.requestId, status }),
    ip,
  })
}

/** The path, in which a session's id is no more than a hint: it is a secret of its client. */
function resourceOf({ path, params }: Finished): string {
  const session = memberOf(params, 'session')
  return session === undefined ? path : path.replace(/[^/]+\/?$/, maskedSession(String(session)))
}

/** Fills `{name}` from the path's parameters, else from the body; `{actor}` is whoever asks. */
function targetOf(template: string, { params, body, identity }: Finished): string {
  return template.replaceAll(/\{(\w+)\}/g, (_whole, member: string) => {
    if (member === 'actor') return actorOf(identity)
    if (member === 'session') return maskedSession(String(memberOf(params, member) ?? ''))
    const value = memberOf(params, member) ?? memberOf(body, member)
    return value === undefined ? '' : String(value).slice(0, LONGEST)
  })
}

function memberOf(value: unknown, member: string): string | number | undefined {
  if (!isObject(value) || !Object.hasOwn(value, member)) return undefined
  const found = value[member]
  return typeof found === 'string' || typeof found === 'number' ? found : undefined
}

const LONGEST = 255
