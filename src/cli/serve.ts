import { loadCluster } from '../compose/cluster/load.ts'
import { Worker, type WorkerDeps, type WorkerOptions } from '../compose/cluster/worker.ts'
import { DEFAULT_TUNING, Standalone } from '../compose/standalone.ts'
import type { ClusterSettings } from '../domain/cluster-settings.ts'
import { troubleOf } from '../fleet/worker/replica-state.ts'
import { holdProcess, systemClock } from '../kernel/clock.ts'
import { collectLessOften } from '../kernel/heap.ts'
import { systemRandom } from '../kernel/random.ts'
import { LogLines } from '../observability/log-lines.ts'
import { Redactor } from '../observability/redaction.ts'
import type { ClusterFlags } from '../state/settings/cluster.ts'
import { requireTrust } from '../state/settings/cluster-trust.ts'
import { hubLogger } from './log-output.ts'
import type { HubOptions } from './options.ts'
import type { Output } from './output.ts'
import type { Texts } from './texts.ts'

/** How long calls in flight may go on after the first SIGTERM or SIGINT, ms. */
const GRACE_MS = 10_000
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143 } as const

export interface ServeContext {
  readonly options: HubOptions
  /** For `loadClusterSettings`. */
  readonly clusterFlags: ClusterFlags
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly texts: Texts
  /** Ends the process at once: only for the second signal. */
  readonly exitNow: (code: number) => void
}

/** Runs this node until a signal ends it; resolves with the exit code. */
export async function serve(context: ServeContext): Promise<number> {
  collectLessOften()
  const { options, environment, clusterFlags: flags } = context
  const redactor = new Redactor()
  const logs = new LogLines()
  const log = hubLogger(options.logLevel.value, (line) => {
    const harmless = redactor.redactLine(line)
    logs.take(harmless)
    return harmless
  })
  const files = {
    dataDir: options.dataDir.value,
    settingsPath: options.settings.value,
    settingsOptional: options.settings.origin === 'default',
    environment,
  }
  const { settings: cluster, warnings } = await loadCluster({ ...files, flags })
  const start = { ...files, ...addressOf(options, cluster) }
  const untrusted = requireTrust({ settings: cluster, host: start.host })
  for (const warning of new Set([...warnings, ...(untrusted ? [untrusted] : [])])) log.warn({}, warning)
  const deps = { clock: systemClock, random: systemRandom, log, redactor, logs }
  if (cluster.role === 'worker') return serveWorker(context, { ...start, settings: cluster }, deps)
  const { value: allowedHosts } = options.allowedHosts
  const { value: allowedOrigins } = options.allowedOrigins
  const hub = await Standalone.start({ ...start, allowedHosts, allowedOrigins, cluster }, deps)
  const { output, texts } = context
  const stopped = untilSignal(hub, context)
  const local = localUrl(hub.scheme, start.host, hub.port)
  const base = environment['FRONTEND_BASE_URL']?.replace(/\/+$/, '') || local
  announce(hub, local, context)
  if (cluster.role === 'coordinator') output.talk(`  ${texts.joinBy(base)}\n`)
  announceSetup(hub, base, output, texts)
  void hub.settled.then(() => announceReady(hub, output, texts))
  return stopped
}

/** What the cluster's settings say of listening counts only where nothing else does. */
function addressOf({ host, port }: HubOptions, { listen }: ClusterSettings): { host: string; port: number } {
  return {
    host: host.origin === 'default' ? (listen.host ?? host.value) : host.value,
    port: port.origin === 'default' ? (listen.port ?? port.value) : port.value,
  }
}

async function serveWorker(
  context: ServeContext,
  options: Omit<WorkerOptions, 'tuning'>,
  deps: WorkerDeps,
): Promise<number> {
  const worker = await Worker.start({ ...options, tuning: DEFAULT_TUNING }, deps)
  const { output, texts } = context
  const { name, id } = worker.facts
  const { coordinators, registerOnStartup } = worker.settings
  const stopped = untilSignal(worker, context)
  output.talk(`\n  ${texts.worker(name, id)}`)
  output.talk(`  ${registerOnStartup ? texts.workerJoins(coordinators.join(', ')) : texts.workerWaits}`)
  output.talk(`  ${texts.workerServes(localUrl('http', options.host, worker.port))}\n`)
  return stopped
}

function untilSignal(
  node: { stop(graceMs: number): Promise<void> },
  { output, texts, exitNow }: ServeContext,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let asked = false
    const letGo = holdProcess()
    const onSignal = (signal: keyof typeof SIGNAL_EXIT) => {
      if (asked) return exitNow(SIGNAL_EXIT[signal])
      asked = true
      output.talk(texts.stopping)
      node
        .stop(GRACE_MS)
        .then(() => resolve(0), reject)
        .finally(letGo)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

function announce(hub: Standalone, local: string, { options, output, texts }: ServeContext): void {
  const url = `${local}/mcp`
  if (hub.example) output.talk(texts.exampleInUse(options.settings.value))
  const { guarded } = hub
  const header = guarded ? ' --header "Authorization: Bearer <key>"' : ''
  const headers = guarded ? { headers: { Authorization: 'Bearer <key>' } } : {}
  output.talk(`
  ${texts.endpoint}:  ${url}

  ${texts.connect}
    Claude Code   claude mcp add --transport http flotilla ${url}${header}
    Cursor        ~/.cursor/mcp.json   ${JSON.stringify({ mcpServers: { flotilla: { url, ...headers } } })}
    VS Code       .vscode/mcp.json     ${JSON.stringify({ servers: { flotilla: { type: 'http', url, ...headers } } })}
${guarded ? `    ${texts.bearer}\n` : ''}`)
  output.talk(texts.starting([...hub.settings.servers.values()].filter((spec) => spec.enabled).length))
}

/** How somebody on this machine reaches the node. */
function localUrl(scheme: string, host: string, port: number): string {
  const near = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${near.includes(':') ? `[${near}]` : near}:${port}`
}

/** The link is for whoever started the hub: it goes to them alone, and into no log. */
function announceSetup({ setup }: Standalone, url: string, output: Output, texts: Texts): void {
  if (setup.kind === 'link') output.talk(`${texts.setup}\n    ${url}/setup#token=${setup.token}\n`)
  else if (setup.kind === 'preset') output.talk(texts.preset)
}

function announceReady(hub: Standalone, output: Output, texts: Texts): void {
  const { insight } = hub.hub
  const enabled = [...insight.settings().servers.values()].filter((spec) => spec.enabled)
  const reports = enabled.map((spec) => insight.report(spec.name))
  const down = reports.flatMap((report) => {
    const error = troubleOf(report?.state)
    return report && error ? [{ report, error }] : []
  })
  const tools = enabled.reduce((sum, spec) => sum + (insight.listing(spec.name)?.tools.length ?? 0), 0)
  output.talk(texts.ready(enabled.length - down.length, enabled.length, tools))
  for (const { report, error } of down)
    output.talk(texts.down(report.spec.name, `${error.message} ${error.cure ?? ''}`))
}
