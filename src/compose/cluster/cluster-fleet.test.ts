import { afterEach, expect, test } from 'vitest'
import { nodeOf } from '../../../tests/fakes/cluster.ts'
import { serverHello, serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeFactory } from '../../../tests/fakes/factory.ts'
import { linkPair } from '../../../tests/fakes/links.ts'
import { fixedRandom } from '../../../tests/fakes/random.ts'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeClock, settle } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { clientIdentity } from '../../../tests/harness/remote-replica.ts'
import { IDLE_LISTENER, runningParts } from '../../../tests/harness/running.ts'
import type { Assignment, ReplicaReport } from '../../domain/cluster.ts'
import { STANDALONE } from '../../domain/cluster-settings.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { encodePacket, OPENING_LANE, readFromCoordinator } from '../../fleet/link/packets.ts'
import { RemoteUpstreams } from '../../fleet/link/remote-upstreams.ts'
import { helloBytes } from '../../fleet/link/wire-values.ts'
import { Reconciler } from '../../fleet/scheduler/reconciler.ts'
import { DEFAULT_RECONCILER_TIMINGS } from '../../fleet/scheduler/reconciler-deps.ts'
import { specHash } from '../../fleet/scheduler/spec-hash.ts'
import { ReplicaHost } from '../../fleet/worker/replica-host.ts'
import { ReplicatedServers } from '../../gateway/balancing/replicated-servers.ts'
import { ClusterFleet } from './cluster-fleet.ts'

let ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A coordinator's fleet with one worker, w1, that the test plays. */
function open() {
  const clock = new FakeClock()
  const log = recordingLogger().logger
  const random = fixedRandom(0.5)
  const placed: Assignment[] = []
  const host = new ReplicaHost({
    factory: () => new FakeFactory(),
    identity: clientIdentity('hub'),
    events: () => IDLE_LISTENER,
    onChange: () => undefined,
    specHash,
    ...runningParts(clock, log),
    waitMs: 1_000,
    drainMs: 1_000,
  })
  const servers = new ReplicatedServers({
    clock,
    random,
    log,
    sticky: STANDALONE.sticky,
    balance: 'round-robin',
    waitMs: 1_000,
    wake: () => undefined,
    lost: () => undefined,
    bound: () => undefined,
    news: () => undefined,
  })
  const reconciler = new Reconciler({
    clock,
    log,
    timings: { ...DEFAULT_RECONCILER_TIMINGS, startGraceMs: 0 },
    term: 1,
    runsServers: false,
    expectedNodes: undefined,
    nodes: () => [nodeOf('w1')],
    assign: (_node, _revision, assignments) => placed.splice(0, placed.length, ...assignments),
    drained: () => false,
    calls: () => 0,
    changed: (servers) => fleet.refresh(servers),
    news: () => undefined,
  })
  const fleet: ClusterFleet = new ClusterFleet({
    self: 'c1',
    host,
    servers,
    reconciler,
    events: IDLE_LISTENER,
    clock,
    log,
    waitMs: 1_000,
    weightOf: () => 1,
    reload: () => false,
  })
  reconciler.start()
  const { coordinator: link, worker } = linkPair()
  worker.handler = {
    packet: (bytes) => {
      const packet = readFromCoordinator(bytes)
      if (packet.kind !== 'open') return
      const body = helloBytes(serverHello('a', { tools: {} }))
      worker.send(OPENING_LANE, encodePacket({ kind: 'opened', upstream: packet.upstream, body }))
    },
  }
  const upstreams = new RemoteUpstreams({ link, clock, log })
  link.handler = upstreams
  fleet.linked('w1', upstreams)
  ends = [() => reconciler.close(), () => servers.close()]
  /** Under whose ids upstreams were asked for: undefined for shared ones. */
  const asked = () =>
    link.sent
      .map(({ packet }) => readFromCoordinator(packet))
      .flatMap((packet) => (packet.kind === 'open' ? [packet.holder?.id] : []))
  const put = (spec: ServerSpec) => fleet.apply(new Map([[spec.name, spec]]))
  return { clock, fleet, reconciler, placed, asked, put }
}

function report(parts: Partial<ReplicaReport>): ReplicaReport {
  return {
    id: 'a@w1',
    epoch: 0,
    server: 'a',
    origin: 'pinned',
    phase: 'running',
    error: undefined,
    createdAt: 1,
    specHash: 'x',
    calls: 0,
    sessions: 0,
    ...parts,
  }
}

test('a pinned server that gets an upstream for each session is used so from then on', async () => {
  const { fleet, reconciler, asked, put } = open()
  put(serverSpec('a', { isolation: 'shared' }))
  reconciler.observe('w1', [report({})])
  await settle()
  await fleet.upstream('a', makeSession('alice'))
  expect(asked()).toEqual([undefined])
  put(serverSpec('a', { isolation: 'session' }))
  await settle()
  await fleet.upstream('a', makeSession('alice'))
  expect(asked().at(-1)).toBe('alice')
})

test('a managed replica is used as it was placed, whichever settings clients see just then', async () => {
  const { fleet, clock, reconciler, placed, asked, put } = open()
  const before = serverSpec('a', { isolation: 'session' })
  reconciler.apply(new Map([['a', before]]))
  put(serverSpec('a', { isolation: 'shared' }))
  await clock.advance(100)
  const [replica] = placed
  if (!replica) throw new Error('Nothing was placed.')
  const { id, epoch, specHash: hash } = replica
  reconciler.observe('w1', [report({ id, epoch, specHash: hash, origin: 'managed' })])
  fleet.reported('w1', [report({ id, epoch, specHash: hash, origin: 'managed' })])
  await settle()
  await fleet.upstream('a', makeSession('alice'))
  expect(asked().at(-1)).toBe('alice')
})
