import { describe, expect, test } from 'vitest'
import { nodeOf } from '../../../tests/fakes/cluster.ts'
import { serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import type { Assignment, ClusterNews, NodeView, ReplicaReport } from '../../domain/cluster.ts'
import { defaultReplication, type Replication } from '../../domain/replication.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { Reconciler } from './reconciler.ts'
import { DEFAULT_RECONCILER_TIMINGS, type ReconcilerDeps } from './reconciler-deps.ts'

function spec(name: string, replication: Partial<Replication> = {}, command = name): ServerSpec {
  return serverSpec(name, {
    transport: { kind: 'stdio', command, args: [], env: {}, cwd: undefined },
    replication: { ...defaultReplication('shared'), ...replication },
  })
}

/** A cluster whose nodes do at once what they are told, and report when the test says so. */
class Cluster {
  readonly clock = new FakeClock()
  readonly nodes = new Map<string, NodeView>()
  readonly told: { node: string; revision: number; ids: string[] }[] = []
  readonly running = new Map<string, readonly Assignment[]>()
  readonly news: ClusterNews[] = []
  readonly changed: string[] = []
  readonly busy = new Set<string>()
  readonly calls = new Map<string, number>()
  readonly reconciler: Reconciler

  constructor(parts: Partial<ReconcilerDeps> = {}) {
    this.reconciler = new Reconciler({
      clock: this.clock,
      log: recordingLogger().logger,
      timings: { ...DEFAULT_RECONCILER_TIMINGS, startGraceMs: 0 },
      term: 3,
      runsServers: 'auto',
      expectedNodes: undefined,
      nodes: () => [...this.nodes.values()],
      assign: (node, revision, assignments) => {
        this.told.push({ node, revision, ids: assignments.map(({ id }) => id) })
        this.running.set(node, assignments)
      },
      drained: ({ id }) => !this.busy.has(id),
      calls: (server) => this.calls.get(server) ?? 0,
      changed: (servers) => this.changed.push(...servers),
      news: (news) => this.news.push(news),
      ...parts,
    })
    this.reconciler.start()
  }

  async join(...ids: string[]): Promise<void> {
    for (const id of ids) this.nodes.set(id, nodeOf(id))
    this.reconciler.nodesChanged()
    for (const id of ids) this.report(id)
    await this.clock.advance(60)
  }

  async state(id: string, parts: Partial<NodeView>): Promise<void> {
    this.nodes.set(id, nodeOf(id, { ...this.nodes.get(id), ...parts }))
    this.reconciler.nodesChanged()
    await this.clock.advance(60)
  }

  async apply(...specs: ServerSpec[]): Promise<void> {
    this.reconciler.apply(new Map(specs.map((each) => [each.name, each])))
    await this.clock.advance(60)
  }

  /** A node says that all that it was told runs. */
  report(id: string, more: readonly ReplicaReport[] = []): void {
    const told = (this.running.get(id) ?? []).map((each) => this.#reportOf(each))
    this.reconciler.observe(id, [...told, ...more])
  }

  async settle(rounds = 10): Promise<void> {
    for (let n = 0; n < rounds; n += 1) {
      for (const { id, state } of this.nodes.values()) if (state === 'online') this.report(id)
      await this.clock.advance(1_100)
    }
  }

  placed(): Record<string, string> {
    return Object.fromEntries(this.reconciler.views().map(({ id, node }) => [id, node]))
  }

  #reportOf({ id, epoch, specHash, spec: { name } }: Assignment): ReplicaReport {
    return reportOf(id, { epoch, specHash, server: name })
  }
}

function reportOf(id: string, parts: Partial<ReplicaReport> = {}): ReplicaReport {
  const [server = ''] = id.split(/-replica-|@/)
  return {
    id,
    epoch: 0,
    server,
    origin: id.includes('@') ? 'pinned' : 'managed',
    phase: 'running',
    error: undefined,
    createdAt: 1,
    specHash: 'own',
    calls: 0,
    sessions: 0,
    ...parts,
  }
}

describe('the reconciler', () => {
  test('[R167] places what is wanted and tells each node all that it is to run', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch', { replicas: 2 }), spec('time'))
    const last = new Map(cluster.told.map(({ node, ids }) => [node, ids]))
    expect([...last.values()].flat().sort()).toEqual(['fetch-replica-1', 'fetch-replica-2', 'time-replica-1'])
    expect(cluster.reconciler.views().map(({ phase }) => phase)).toEqual(['pending', 'pending', 'pending'])
    await cluster.settle(1)
    expect(cluster.reconciler.views().map(({ phase }) => phase)).toEqual(['running', 'running', 'running'])
    expect(cluster.news.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['placed', 'started']))
    expect(cluster.reconciler.replicasOn('a') + cluster.reconciler.replicasOn('b')).toBe(3)
    const ids = (views: readonly { id: string }[]) => views.map(({ id }) => id)
    expect(ids(cluster.reconciler.viewsOf('fetch'))).toEqual(['fetch-replica-1', 'fetch-replica-2'])
    expect(cluster.reconciler.desired('fetch')).toBe(2)
    expect(cluster.reconciler.desired('nothing')).toBeUndefined()
  })

  test('plans changes that come together once', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    const before = cluster.told.length
    for (let n = 1; n <= 5; n += 1)
      cluster.reconciler.apply(new Map([['fetch', spec('fetch', { replicas: n })]]))
    await cluster.clock.advance(60)
    expect(cluster.told.slice(before)).toHaveLength(1)
    expect(cluster.told.at(-1)?.ids).toHaveLength(5)
  })

  test('[R133] [R134] gives the replicas of an offline node new epochs elsewhere', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    await cluster.settle(1)
    const [before] = cluster.reconciler.views()
    expect(before?.node).toBe('a')
    await cluster.state('a', { state: 'offline' })
    const [after] = cluster.reconciler.views()
    expect(after).toMatchObject({ id: 'fetch-replica-1', node: 'b', phase: 'pending' })
    expect(after?.epoch).toBeGreaterThan(before?.epoch ?? Number.POSITIVE_INFINITY)
    expect(cluster.news.map(({ kind }) => kind)).toContain('replaced')
  })

  test('tells a node that comes back with an old epoch what it is to run instead', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    await cluster.settle(1)
    const old = cluster.running.get('a')?.[0]
    await cluster.state('a', { state: 'offline' })
    await cluster.state('a', { state: 'online' })
    const before = cluster.told.length
    cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch: old?.epoch ?? 0 })])
    expect(cluster.told.slice(before)).toMatchObject([{ node: 'a', ids: [] }])
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'b' })
  })

  test('does not take an older epoch on the same node for the replica that was placed there', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    await cluster.clock.advance(1_000)
    const { epoch = 0, specHash = '' } = cluster.running.get('a')?.[0] ?? {}
    const before = cluster.told.length
    cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch: epoch - 1, specHash })])
    expect(cluster.reconciler.views()).toMatchObject([{ epoch, phase: 'pending' }])
    expect(cluster.told.slice(before)).toMatchObject([{ node: 'a', ids: ['fetch-replica-1'] }])
  })

  test('gives a replica that has run and is gone from its node a new epoch: what sessions had in it is lost', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    cluster.report('a')
    const before = cluster.reconciler.views()[0]?.epoch ?? Number.POSITIVE_INFINITY
    // The worker's process was started anew, and runs nothing yet.
    cluster.reconciler.observe('a', [])
    await cluster.clock.advance(60)
    const [replica, ...others] = cluster.reconciler.views()
    expect(others).toEqual([])
    expect(replica).toMatchObject({ id: 'fetch-replica-1', node: 'a', phase: 'pending' })
    expect(replica?.epoch).toBeGreaterThan(before)
    expect(cluster.running.get('a')).toMatchObject([{ id: 'fetch-replica-1', epoch: replica?.epoch }])
  })

  test('tells a node again what it has missed, at most once a second', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    await cluster.clock.advance(2_000)
    const before = cluster.told.length
    for (let n = 0; n < 3; n += 1) cluster.reconciler.observe('a', [])
    expect(cluster.told.slice(before)).toMatchObject([{ node: 'a', ids: ['fetch-replica-1'] }])
    await cluster.clock.advance(1_000)
    cluster.reconciler.observe('a', [])
    expect(cluster.told.slice(before)).toHaveLength(2)
    expect(cluster.told.map(({ revision }) => revision)).toEqual(
      cluster.told.map(({ revision }) => revision).toSorted((a, b) => a - b),
    )
  })

  test('tells a node that has linked anew once it has said what it runs', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    const before = cluster.told.length
    cluster.report('a')
    expect(cluster.told).toHaveLength(before)
    cluster.reconciler.linked('a')
    cluster.report('a')
    expect(cluster.told).toHaveLength(before + 1)
    cluster.reconciler.retell('a')
    expect(cluster.told).toHaveLength(before + 2)
  })

  test('knows pinned replicas from their nodes and forgets them with their nodes', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    cluster.report('a', [reportOf('time@a')])
    await cluster.apply(spec('time'))
    expect(cluster.placed()).toEqual({ 'time@a': 'a' })
    cluster.report('b', [reportOf('time@a')])
    expect(cluster.placed()).toEqual({ 'time@a': 'a' })
    cluster.report('a')
    await cluster.clock.advance(60)
    expect(cluster.placed()).toEqual({ 'time-replica-1': 'a' })
  })

  test('says once why a replica cannot be placed, and places it when it can', async () => {
    const cluster = new Cluster()
    await cluster.apply(spec('fetch'))
    await cluster.clock.advance(20_000)
    const sentence = 'No node can take a replica of "fetch": no node has joined.'
    expect(cluster.news.filter(({ kind }) => kind === 'failed').map(({ text }) => text)).toEqual([sentence])
    expect(cluster.reconciler.shortage('fetch')).toBe(sentence)
    await cluster.join('a')
    expect(cluster.reconciler.shortage('fetch')).toBeUndefined()
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'a' })
  })

  test('[R128] [R129] shows a replica pending, starting, running, in error, and terminated', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    const phase = () => cluster.reconciler.views()[0]?.phase
    const { epoch = 0, specHash = '' } = cluster.running.get('a')?.[0] ?? {}
    const say = (parts: Partial<ReplicaReport>) =>
      cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch, specHash, ...parts })])
    expect(phase()).toBe('pending')
    for (const next of ['starting', 'running', 'error', 'starting', 'running'] as const) {
      say({ phase: next })
      expect(phase()).toBe(next)
    }
    await cluster.apply()
    expect(phase()).toBe('terminated')
    cluster.reconciler.observe('a', [])
    expect(cluster.reconciler.views()).toEqual([])
  })

  test('moves a replica that crashes again and again, and remembers where it did', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    const { epoch = 0, specHash = '' } = cluster.running.get('a')?.[0] ?? {}
    for (let n = 0; n < 5; n += 1)
      for (const phase of ['starting', 'error'] as const)
        cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch, specHash, phase })])
    await cluster.clock.advance(60)
    await cluster.settle(3)
    expect(cluster.placed()).toEqual({ 'fetch-replica-2': 'b' })
    expect(cluster.news.filter(({ kind }) => kind === 'moved')).toHaveLength(2)
  })

  test('does not move a replica that crashes once in a long while', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    const { epoch = 0, specHash = '' } = cluster.running.get('a')?.[0] ?? {}
    for (let n = 0; n < 8; n += 1) {
      for (const phase of ['running', 'error'] as const) {
        cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch, specHash, phase })])
        await cluster.clock.advance(31_000)
      }
    }
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'a' })
  })

  test('gives a node another chance some time after a server crashed there', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    const { epoch = 0, specHash = '' } = cluster.running.get('a')?.[0] ?? {}
    for (let n = 0; n < 5; n += 1)
      for (const phase of ['starting', 'error'] as const)
        cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch, specHash, phase })])
    await cluster.clock.advance(60)
    await cluster.settle(2)
    await cluster.clock.advance(600_000)
    await cluster.state('b', { load: { cpuPercent: 100, memoryPercent: 100, activeCalls: 0 } })
    await cluster.apply(spec('fetch', { replicas: 3 }))
    expect(Object.values(cluster.placed()).sort()).toEqual(['a', 'a', 'b'])
  })

  test('close stops all that it does', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    cluster.reconciler.apply(new Map([['fetch', spec('fetch')]]))
    cluster.reconciler.close()
    expect(cluster.clock.pending).toBe(0)
    cluster.reconciler.nodesChanged()
    await cluster.clock.advance(10_000)
    expect(cluster.placed()).toEqual({})
  })
})

describe('draining', () => {
  test('ends a replica when nothing goes on in it any more', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch', { replicas: 2 }))
    await cluster.settle(1)
    cluster.busy.add('fetch-replica-1').add('fetch-replica-2')
    await cluster.apply(spec('fetch', { replicas: 1 }))
    await cluster.settle(5)
    expect(cluster.reconciler.views().map(({ draining }) => draining)).toEqual([false, true])
    cluster.busy.clear()
    await cluster.settle(2)
    expect(Object.keys(cluster.placed())).toEqual(['fetch-replica-1'])
    const kinds = cluster.news.map(({ kind }) => kind)
    expect(kinds.slice(kinds.indexOf('scaled'))).toEqual(['scaled', 'draining', 'drained', 'stopped'])
  })

  test('does not wait for ever', async () => {
    const cluster = new Cluster({ drained: () => false })
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    await cluster.settle(1)
    await cluster.apply(spec('fetch', { replicas: 0 }))
    await cluster.clock.advance(DEFAULT_RECONCILER_TIMINGS.drainLimitMs - 1_000)
    expect(cluster.reconciler.views()).toMatchObject([{ draining: true, phase: 'running' }])
    await cluster.clock.advance(2_000)
    expect(cluster.reconciler.views()).toMatchObject([{ phase: 'terminated' }])
  })

  test('of a node replaces its replicas first and says when it is done', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch'))
    await cluster.settle(1)
    await cluster.state('a', { draining: true, cordoned: true })
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'a', 'fetch-replica-2': 'b' })
    await cluster.settle(4)
    expect(cluster.placed()).toEqual({ 'fetch-replica-2': 'b' })
    expect(
      cluster.news.filter(({ kind, node, replica }) => kind === 'drained' && node === 'a' && !replica),
    ).toHaveLength(1)
  })
})

describe('new settings and restarts', () => {
  test('reach the replicas one after another, each with a new epoch', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch', { replicas: 2 }))
    await cluster.settle(1)
    const before = cluster.reconciler.views()
    await cluster.apply(spec('fetch', { replicas: 2 }, 'other'))
    await cluster.settle(10)
    const after = cluster.reconciler.views()
    expect(after).toHaveLength(2)
    expect(new Set(after.map(({ specHash }) => specHash)).size).toBe(1)
    expect(after[0]?.specHash).not.toBe(before[0]?.specHash)
    expect(Math.min(...after.map(({ epoch }) => epoch))).toBeGreaterThan(
      Math.max(...before.map(({ epoch }) => epoch)),
    )
    const commands = [...cluster.running.values()].flat().map(({ spec: { transport } }) => transport)
    expect(commands).toMatchObject([{ command: 'other' }, { command: 'other' }])
  })

  test('that concern no process restart nothing', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    await cluster.settle(1)
    const before = cluster.placed()
    await cluster.apply({ ...spec('fetch'), description: 'other words' })
    await cluster.settle(3)
    expect(cluster.placed()).toEqual(before)
  })

  test('a restart renews all managed replicas, and is refused for a server that is not there', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b')
    await cluster.apply(spec('fetch', { replicas: 2 }))
    await cluster.settle(1)
    const before = Math.max(...cluster.reconciler.views().map(({ epoch }) => epoch))
    cluster.reconciler.restart('fetch')
    await cluster.settle(10)
    const after = cluster.reconciler.views().map(({ epoch }) => epoch)
    expect(after).toHaveLength(2)
    expect(Math.min(...after)).toBeGreaterThan(before)
    expect(() => cluster.reconciler.restart('nothing')).toThrow(
      expect.objectContaining({ code: 'resource.missing' }),
    )
  })
})

describe('the start of a coordinator', () => {
  const late = { ...DEFAULT_RECONCILER_TIMINGS, startGraceMs: 3_000 }

  test('waits for nodes that come back, and takes over what they run', async () => {
    const cluster = new Cluster({ timings: late })
    await cluster.apply(spec('fetch'))
    await cluster.join('a', 'b')
    const { specHash } = await sameHash(spec('fetch'))
    cluster.reconciler.observe('b', [reportOf('fetch-replica-4', { epoch: 2 ** 20 + 7, specHash })])
    expect(cluster.told).toEqual([])
    await cluster.clock.advance(3_000)
    expect(cluster.placed()).toEqual({ 'fetch-replica-4': 'b' })
    expect(cluster.told.find(({ node }) => node === 'b')?.ids).toEqual(['fetch-replica-4'])
    expect(cluster.running.get('b')).toMatchObject([{ epoch: 2 ** 20 + 7, specHash }])
    expect(cluster.told.find(({ node }) => node === 'a')?.ids).toEqual([])
  })

  test('goes on with as many replicas under autoscaling as were found running', async () => {
    const autoscale = { min: 1, max: 4, targetCalls: 8, upAfterMs: 1_000, downAfterMs: 60_000 }
    const cluster = new Cluster({ timings: late })
    await cluster.apply(spec('fetch', { autoscale }))
    await cluster.join('a')
    const { specHash } = await sameHash(spec('fetch'))
    const found = [1, 2, 3].map((n) => reportOf(`fetch-replica-${n}`, { epoch: n, specHash }))
    cluster.reconciler.observe('a', found)
    await cluster.clock.advance(3_100)
    expect(cluster.reconciler.desired('fetch')).toBe(3)
    expect(cluster.reconciler.views().map(({ draining }) => draining)).toEqual([false, false, false])
  })

  test('of two that claim the same replica the one with the newer epoch has it', async () => {
    const cluster = new Cluster({ timings: late })
    await cluster.apply(spec('fetch'))
    await cluster.join('a', 'b')
    const { specHash } = await sameHash(spec('fetch'))
    cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch: 9, specHash })])
    cluster.reconciler.observe('b', [reportOf('fetch-replica-1', { epoch: 8, specHash })])
    await cluster.clock.advance(3_000)
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'a' })
    expect(cluster.told.find(({ node }) => node === 'b')?.ids).toEqual([])
  })

  test('waits no longer than until all nodes of the last run are back', async () => {
    const cluster = new Cluster({ timings: late, expectedNodes: ['a', 'b'] })
    await cluster.apply(spec('fetch'))
    await cluster.join('a')
    expect(cluster.placed()).toEqual({})
    await cluster.join('b')
    expect(cluster.placed()).toEqual({ 'fetch-replica-1': 'a' })
  })

  test('takes nothing over later on', async () => {
    const cluster = new Cluster()
    await cluster.apply(spec('fetch', { replicas: 0 }))
    await cluster.join('a')
    cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch: 5 })])
    await cluster.clock.advance(1_100)
    cluster.reconciler.observe('a', [reportOf('fetch-replica-1', { epoch: 5 })])
    expect(cluster.placed()).toEqual({})
    expect(cluster.told.at(-1)).toMatchObject({ node: 'a', ids: [] })
  })

  test('epochs are higher than those of any term before', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch'))
    expect(cluster.reconciler.views()[0]?.epoch).toBeGreaterThan(3 * 2 ** 20)
  })
})

describe('[R167] the number of replicas follows the load', () => {
  const rule = { min: 0, max: 3, targetCalls: 2, upAfterMs: 2_000, downAfterMs: 10_000 }

  test('from none at the first call, up, and down to none', async () => {
    const cluster = new Cluster()
    await cluster.join('a', 'b', 'c')
    await cluster.apply(spec('fetch', { autoscale: rule }))
    await cluster.settle(2)
    expect(cluster.placed()).toEqual({})
    cluster.reconciler.woken('fetch')
    await cluster.clock.advance(60)
    expect(Object.keys(cluster.placed())).toEqual(['fetch-replica-1'])
    cluster.calls.set('fetch', 20)
    await cluster.settle(15)
    expect(cluster.reconciler.desired('fetch')).toBe(3)
    expect(Object.keys(cluster.placed())).toHaveLength(3)
    cluster.calls.set('fetch', 0)
    await cluster.settle(80)
    expect(cluster.placed()).toEqual({})
    expect(cluster.news.filter(({ kind }) => kind === 'scaled').length).toBeGreaterThanOrEqual(6)
  })

  test('a call does not wake a server that the operator has set to none', async () => {
    const cluster = new Cluster()
    await cluster.join('a')
    await cluster.apply(spec('fetch', { replicas: 0 }))
    cluster.reconciler.woken('fetch')
    await cluster.settle(2)
    expect(cluster.placed()).toEqual({})
  })
})

/** The hash that the reconciler itself gives to these settings. */
async function sameHash(of: ServerSpec): Promise<{ specHash: string }> {
  const cluster = new Cluster()
  await cluster.join('a')
  await cluster.apply(of)
  return { specHash: cluster.reconciler.views()[0]?.specHash ?? '' }
}
