import type { ReplicaPhase } from '../../domain/cluster.ts'
import type { MetricFamily, MetricSample } from '../../observability/prometheus.ts'
import type { WorkerPort } from './ports.ts'

const PHASES: readonly ReplicaPhase[] = ['pending', 'starting', 'running', 'error', 'stopped', 'terminated']

/** What a worker tells Prometheus. Names of servers are no part of it. */
export function workerMetrics(worker: WorkerPort): MetricFamily[] {
  const replicas = worker.replicas()
  const links = worker.links()
  const load = worker.load()
  const inPhase = (phase: ReplicaPhase) => replicas.filter((replica) => replica.phase === phase).length
  return [
    gauge('flotilla_info', 'Version, role and id of this node.', [
      { value: 1, labels: { version: worker.version, role: 'worker', node: worker.node } },
    ]),
    gauge(
      'flotilla_replicas',
      'Replicas on this node by phase.',
      PHASES.map((phase) => ({ value: inPhase(phase), labels: { phase } })),
    ),
    gauge('flotilla_calls_in_flight', 'Calls that this node works on.', [{ value: load.activeCalls }]),
    gauge('flotilla_replica_sessions', 'Client sessions that have a process of their own on this node.', [
      { value: replicas.reduce((sum, { sessions }) => sum + sessions, 0) },
    ]),
    gauge('flotilla_node_cpu_percent', 'Use of all processors of the machine together, 0 to 100.', [
      { value: load.cpuPercent },
    ]),
    gauge('flotilla_node_memory_percent', 'Use of the memory of the machine, 0 to 100.', [
      { value: load.memoryPercent },
    ]),
    gauge(
      'flotilla_link_up',
      'Whether the link to a coordinator is up.',
      links.map(({ coordinator, up }) => ({
        value: Number(up),
        labels: { coordinator: shownUrl(coordinator) },
      })),
    ),
    gauge(
      'flotilla_heartbeat_age_seconds',
      'How long ago a coordinator last answered a heartbeat.',
      links.flatMap(({ coordinator, heartbeatAgeMs }) =>
        heartbeatAgeMs === undefined
          ? []
          : [{ value: heartbeatAgeMs / 1_000, labels: { coordinator: shownUrl(coordinator) } }],
      ),
    ),
  ]
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

/** Scheme, host and port: the rest of a URL may hold credentials. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'unknown'
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}
