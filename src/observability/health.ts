/** How one server is, in words that people know from MCPHub. */
export type ServerStatus = 'connected' | 'connecting' | 'disconnected' | 'idle' | 'disabled'

export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'stopping'
  readonly message: string
  readonly servers: { readonly total: number; readonly connected: number; readonly disconnected: number }
  readonly timestamp: string
}

/** What /health says. A hub with servers that are down still serves the others: degraded, not broken. */
export function healthReport(
  statuses: readonly ServerStatus[],
  stopping: boolean,
  now: number,
): HealthReport {
  const enabled = statuses.filter((status) => status !== 'disabled')
  const connected = enabled.filter((status) => status === 'connected' || status === 'idle').length
  const disconnected = enabled.length - connected
  return {
    status: stopping ? 'stopping' : disconnected === 0 ? 'healthy' : 'degraded',
    message: stopping ? 'The hub is stopping.' : `${connected} of ${enabled.length} servers are connected.`,
    servers: { total: enabled.length, connected, disconnected },
    timestamp: new Date(now).toISOString(),
  }
}
