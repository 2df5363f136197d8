/** `node bench/simulate.ts [--quick] [--label words]`: what planning and heartbeats of a big cluster cost its coordinator. Membership, scheduler and
 *  control messages are the real ones; nodes only say that they run what they were told. */

import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Assignment, NodeFacts, ReplicaReport } from '../src/domain/cluster.ts'
import { defaultReplication } from '../src/domain/replication.ts'
import type { ServerSpec } from '../src/domain/server-spec.ts'
import { FOR_EVERYBODY } from '../src/domain/visibility.ts'
import { encodeControl, readToCoordinator } from '../src/fleet/link/control.ts'
import { EventLog } from '../src/fleet/membership/event-log.ts'
import { Membership } from '../src/fleet/membership/membership.ts'
import type { PlacementNode } from '../src/fleet/scheduler/placement.ts'
import { plan } from '../src/fleet/scheduler/plan.ts'
import type { Goal, PlanReplica } from '../src/fleet/scheduler/plan-model.ts'
import { Reconciler } from '../src/fleet/scheduler/reconciler.ts'
import { DEFAULT_RECONCILER_TIMINGS } from '../src/fleet/scheduler/reconciler-deps.ts'
import type { Clock } from '../src/kernel/clock.ts'
import { createLogger } from '../src/kernel/logger.ts'
import { labelOf, machine } from './machine.ts'
import { median } from './statistics.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, label: { type: 'string' } },
})
const size = { nodes: 200, servers: 2_000, replicas: 5_000 }
const heartbeatMs = 5_000
const rounds = options.quick ? 3 : 15
const beatRounds = options.quick ? 3 : 24

const specs = Array.from({ length: size.servers }, (_each, n) => specOf(n))

/** Every second server has four replicas, the others one: 5,000. */
function specOf(n: number): ServerSpec {
  const replicas = n % 2 === 0 ? 4 : 1
  return {
    name: `server-${n}`,
    enabled: true,
    description: undefined,
    ...FOR_EVERYBODY,
    transport: { kind: 'stdio', command: 'npx', args: ['-y', `server-${n}`], env: {}, cwd: undefined },
    isolation: 'shared',
    startOnDemand: false,
    idleTimeoutMs: 0,
    call: { timeoutMs: 60_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 },
    overrides: { tools: new Map(), prompts: new Map(), resources: new Map() },
    replication: { ...defaultReplication('shared'), replicas },
  }
}

function nodeOf(n: number): PlacementNode {
  return {
    id: `node-${n}`,
    role: 'worker',
    state: 'online',
    cordoned: false,
    draining: false,
    labels: {},
    maxServers: 40,
    runtimes: ['npx', 'node'],
    load: { cpuPercent: (n * 37) % 60, memoryPercent: (n * 53) % 70, activeCalls: 0 },
  }
}

function factsOf(n: number): NodeFacts {
  const { id, role, labels, maxServers, runtimes } = nodeOf(n)
  const unknown = { host: undefined, port: undefined, hostname: id, os: 'linux', version: '0', weight: 1 }
  return { id, name: id, role, labels, maxServers, runtimes, ...unknown }
}

function timed(work: () => void): number {
  const before = performance.now()
  work()
  return performance.now() - before
}

type Planned = { first: number; idle: number; death: number; moved: number }

/** An empty cluster, then one where nothing is to be done, then one that has lost a node. */
function planOnce(): Planned {
  const goals: Goal[] = specs.map((spec) => ({
    spec,
    specHash: 'v1',
    desired: spec.replication.replicas,
    freshFrom: 0,
    avoid: [],
  }))
  const nodes = Array.from({ length: size.nodes }, (_each, n) => nodeOf(n))
  let made = plan({ nodes, runsServers: 'auto', goals, replicas: [] })
  const first = timed(() => {
    made = plan({ nodes, runsServers: 'auto', goals, replicas: [] })
  })
  if (made.create.length !== size.replicas) throw new Error(`${made.create.length} replicas were placed`)
  const replicas = made.create.map(({ id, server, node }, n): PlanReplica => {
    const running = { origin: 'managed', phase: 'running', stage: 'active', specHash: 'v1' } as const
    return { id, server, node, epoch: n, failures: 0, createdAt: n, ...running }
  })
  const idle = timed(() => {
    made = plan({ nodes, runsServers: 'auto', goals, replicas })
  })
  if (made.create.length > 0) throw new Error('a second plan places more')
  const lost = nodes.map((node, n) => (n === 0 ? { ...node, state: 'offline' as const } : node))
  const death = timed(() => {
    made = plan({ nodes: lost, runsServers: 'auto', goals, replicas })
  })
  if (made.create.length === 0) throw new Error('nothing was replaced')
  return { first, idle, death, moved: made.create.length }
}

/** A clock that the bench moves on, with all that falls due. */
class BenchClock implements Clock {
  #now = 0
  readonly #timers = new Set<{ at: number; every: number | undefined; fire: () => void }>()

  now = () => this.#now
  monotonic = () => this.#now
  after = (ms: number, fire: () => void) => this.#add({ at: this.#now + ms, every: undefined, fire })
  every = (ms: number, fire: () => void) => this.#add({ at: this.#now + ms, every: ms, fire })

  advance(ms: number): void {
    this.#now += ms
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now || !this.#timers.has(timer)) continue
      if (timer.every === undefined) this.#timers.delete(timer)
      else timer.at = this.#now + timer.every
      timer.fire()
    }
  }

  #add(timer: { at: number; every: number | undefined; fire: () => void }) {
    this.#timers.add(timer)
    return { stop: () => this.#timers.delete(timer) }
  }
}

type Cluster = { clock: BenchClock; membership: Membership; reconciler: Reconciler; packets: Buffer[] }

function startCluster(): Cluster {
  const clock = new BenchClock()
  const log = createLogger('info', { write: () => undefined })
  const events = new EventLog(clock)
  const told = new Map<string, readonly Assignment[]>()
  const membership: Membership = new Membership({
    clock,
    log,
    events,
    self: 'coordinator',
    timings: { heartbeatIntervalMs: heartbeatMs, heartbeatTimeoutMs: 15_000, cleanupIntervalMs: 30_000 },
    replicasOn: (node) => reconciler.replicasOn(node),
    onChange: () => reconciler.nodesChanged(),
  })
  const reconciler: Reconciler = new Reconciler({
    clock,
    log,
    term: 1,
    runsServers: 'auto',
    expectedNodes: undefined,
    timings: { ...DEFAULT_RECONCILER_TIMINGS, startGraceMs: 0 },
    nodes: () => membership.views(),
    assign: (node, _revision, assignments) => told.set(node, assignments),
    drained: () => true,
    calls: () => 0,
    changed: () => undefined,
    news: (news) => events.add(news),
  })
  membership.start()
  reconciler.start()
  for (let n = 0; n < size.nodes; n++) {
    membership.join(factsOf(n), 0)
    membership.linkUp(`node-${n}`)
  }
  reconciler.apply(new Map(specs.map((spec) => [spec.name, spec])))
  clock.advance(100)
  const packets = Array.from({ length: size.nodes }, (_each, n) => beatOf(n, told.get(`node-${n}`) ?? []))
  return { clock, membership, reconciler, packets }
}

function beatOf(n: number, assignments: readonly Assignment[]): Buffer {
  const replicas = assignments.map(({ id, epoch, specHash, spec }): ReplicaReport => {
    const running = { origin: 'managed', phase: 'running', error: undefined } as const
    return { id, epoch, server: spec.name, ...running, createdAt: 1, specHash, calls: n % 3, sessions: 0 }
  })
  return encodeControl({ type: 'beat', seq: 1, term: 1, revision: 1, load: nodeOf(n).load, replicas })
}

type Beats = { takePercent: number; wholePercent: number; replicas: number }

/** All nodes beat once per interval, spread over it, and all timers run: the processor's time as a share of the time that passes. */
function beat(): Beats {
  const { clock, membership, reconciler, packets } = startCluster()
  const ticks = 10
  const pace = (measured: (packet: Buffer, node: string) => void) => {
    for (const [n, packet] of packets.entries()) {
      measured(packet, `node-${n}`)
      if (n % (size.nodes / ticks) === 0) clock.advance(heartbeatMs / ticks)
    }
  }
  const take = (packet: Buffer, node: string) => {
    const message = readToCoordinator(packet)
    if (message.type !== 'beat') return
    membership.beat(node, message.load)
    reconciler.observe(
      node,
      message.replicas.map((report) => ({ ...report, error: report.error })),
    )
  }
  const read = (packet: Buffer) => void readToCoordinator(packet)
  for (let round = 0; round < 3; round++) pace(take)
  const wholeMs = cpuMs(() => {
    for (let round = 0; round < beatRounds; round++) pace(take)
  })
  const readMs = cpuMs(() => {
    for (let round = 0; round < beatRounds; round++) for (const packet of packets) read(packet)
  })
  const views = reconciler.views()
  if (views.some(({ phase }) => phase !== 'running')) throw new Error('not all replicas run')
  const passedMs = beatRounds * heartbeatMs
  const percent = (ms: number) => (ms / passedMs) * 100
  return { takePercent: percent(wholeMs - readMs), wholePercent: percent(wholeMs), replicas: views.length }
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

const facts = machine()
const date = new Date().toISOString()
for (let round = 0; round < 3; round++) planOnce()
const planned = Array.from({ length: rounds }, planOnce)
const beats = beat()
const of = (key: keyof Planned) => median(planned.map((each) => each[key]))
const checks = [
  { name: 'a plan for an empty cluster', value: of('first'), limit: 100, unit: 'ms' },
  { name: 'a plan with nothing to do', value: of('idle'), limit: 100, unit: 'ms' },
  {
    name: `a plan after the death of a node (${of('moved')} replicas)`,
    value: of('death'),
    limit: 50,
    unit: 'ms',
  },
  {
    name: 'heartbeats and timers: membership and scheduler',
    value: beats.takePercent,
    limit: 5,
    unit: '% of a core',
  },
  {
    name: 'the same with the reading of the messages',
    value: beats.wholePercent,
    limit: 5,
    unit: '% of a core',
  },
]
const rows = checks.map(({ name, value, limit, unit }) => [
  name,
  `${value.toFixed(2)} ${unit}`,
  `${limit} ${unit}`,
  value <= limit ? 'reached' : 'MISSED',
])
const text = [
  '# Simulation of a big cluster',
  `- ${date}, ${facts.processor}, ${facts.cores} cores, ${facts.memoryGb} GB, ${facts.system}, Node ${facts.node}, load before ${facts.loadBefore}`,
  `- ${size.nodes} workers, ${size.servers} servers, ${beats.replicas} replicas; no processes`,
  `- plans: median of ${rounds}; heartbeats: each node once in ${heartbeatMs / 1_000} s, ${beatRounds} times`,
  '',
  ...[['target', 'measured', 'limit', 'verdict'], ['---', '---', '---', '---'], ...rows].map(
    (row) => `| ${row.join(' | ')} |`,
  ),
].join('\n')
process.stdout.write(`${text}\n`)
const folder = new URL('results/', import.meta.url)
await mkdir(folder, { recursive: true })
const label = options.label ?? labelOf(facts)
const file = new URL(`simulate-${date.slice(0, 16).replace(':', '')}-${label}.json`, folder)
await writeFile(
  file,
  `${JSON.stringify({ date, machine: facts, size, planned, beats, checks }, undefined, 2)}\n`,
)
if (!options.quick) await writeFile(new URL('simulate-latest.md', folder), `${text}\n`)
process.stderr.write(`written: ${fileURLToPath(file)}\n`)
if (checks.some(({ value, limit }) => value > limit)) process.exitCode = 1
