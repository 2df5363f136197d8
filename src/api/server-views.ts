import type { HubSettings, ServerSpec } from '../domain/server-spec.ts'
import type { ServerReport } from '../fleet/worker/local-fleet.ts'
import type { ReplicaState } from '../fleet/worker/replica-state.ts'
import type { Listing } from '../gateway/catalog/listing.ts'
import type { ServerStatus } from '../observability/health.ts'

/** What the API needs to know of the running hub. */
export interface HubInsight {
  settings(): HubSettings
  report(server: string): ServerReport | undefined
  listing(server: string): Listing | undefined
  freshness(server: string): 'unknown' | 'stale' | 'fresh'
  complaints(server: string): readonly string[]
  /** Monotonic time, ms. */
  monotonic(): number
  stopping(): boolean
  now(): number
}

export function serverStatus(hub: HubInsight, spec: ServerSpec): ServerStatus {
  if (!spec.enabled) return 'disabled'
  const state = hub.report(spec.name)?.state
  switch (state?.kind) {
    case 'running':
      return 'connected'
    case 'asleep':
      return 'idle'
    case 'pending':
    case 'starting':
      return 'connecting'
    default:
      return 'disconnected'
  }
}

/** One server as `GET /api/servers` shows it: state, reason, lists, last lines of stderr; no secrets. */
export function serverView(hub: HubInsight, spec: ServerSpec): Record<string, unknown> {
  const report = hub.report(spec.name)
  const listing = hub.listing(spec.name)
  const { transport } = spec
  return {
    name: spec.name,
    status: serverStatus(hub, spec),
    enabled: spec.enabled,
    type: transport.kind,
    isolation: spec.isolation,
    replication: spec.replication,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    ...stateFacts(report?.state, hub.monotonic()),
    catalog: hub.freshness(spec.name),
    complaints: hub.complaints(spec.name),
    sessionUpstreams: report?.sessionUpstreams ?? 0,
    serverInfo: listing?.hello.serverInfo,
    protocolVersion: listing?.hello.protocolVersion,
    tools: listing?.tools ?? [],
    prompts: listing?.prompts ?? [],
    resources: listing?.resources ?? [],
    resourceTemplates: listing?.templates ?? [],
    stderr: report?.stderr ?? [],
  }
}

function stateFacts(state: ReplicaState | undefined, now: number): Record<string, unknown> {
  switch (state?.kind) {
    case 'failed':
      return {
        error: state.error.message,
        cure: state.error.cure,
        failures: state.failures,
        retryInMs: Math.max(0, Math.round(state.retryAt - now)),
      }
    case 'starting': {
      const { since, after } = state
      return {
        sinceMs: Math.round(now - since),
        ...(after ? { error: after.message, cure: after.cure } : {}),
      }
    }
    case 'running':
      return { sinceMs: Math.round(now - state.since) }
    default:
      return {}
  }
}
