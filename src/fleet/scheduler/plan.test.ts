import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goal, PlanWorld, planNode } from '../../../tests/harness/plan-world.ts'
import { CRASHES_BEFORE_MOVE } from './server-plan.ts'

const threeNodes = () => ['a', 'b', 'c'].map((id) => planNode(id))
const nodesOf = (world: PlanWorld, server = 'fetch') =>
  world
    .of(server)
    .map(({ node }) => node)
    .sort()

describe('the number of replicas', () => {
  test('[R126] is reached by creating, each on another node', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 3)])
    expect(world.plan().create).toMatchObject([
      { id: 'fetch-replica-1', node: 'a', reason: 'new' },
      { id: 'fetch-replica-2', node: 'b', reason: 'new' },
      { id: 'fetch-replica-3', node: 'c', reason: 'new' },
    ])
    expect(world.plan().create).toEqual([])
  })

  test('counts pinned replicas, which are never ended', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 2)])
    world.put('fetch@a', 'a')
    world.put('fetch@b', 'b')
    world.put('fetch@c', 'c')
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [] })
    world.aim('fetch', { desired: 4 })
    expect(world.plan().create).toMatchObject([{ id: 'fetch-replica-1' }])
  })

  test('does not count a pinned replica that only ever crashes', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.put('fetch@a', 'a', { phase: 'error', failures: CRASHES_BEFORE_MOVE - 1 })
    expect(world.plan().create).toEqual([])
    world.put('fetch@a', 'a', { phase: 'error', failures: CRASHES_BEFORE_MOVE })
    expect(world.plan().create).toHaveLength(1)
  })

  test('is lowered by draining what does not serve, then on the worst node, then the newest', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 4)])
    for (const [n, node] of ['a', 'a', 'b', 'c'].entries()) world.put(`fetch-replica-${n + 1}`, node)
    world.put('fetch-replica-5', 'c', { phase: 'starting' })
    expect(world.plan().drain).toEqual([{ id: 'fetch-replica-5', reason: 'surplus' }])
    world.work()
    world.aim('fetch', { desired: 3 })
    expect(world.plan().drain).toEqual([{ id: 'fetch-replica-2', reason: 'surplus' }])
    world.work()
    world.aim('fetch', { desired: 2 })
    expect(world.plan().drain).toEqual([{ id: 'fetch-replica-4', reason: 'surplus' }])
  })

  test('is not lowered below what serves', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.put('fetch-replica-1', 'a')
    world.put('fetch@b', 'b', { phase: 'starting' })
    expect(world.plan().drain).toEqual([])
    world.work()
    expect(world.plan().drain).toEqual([{ id: 'fetch-replica-1', reason: 'surplus' }])
  })

  test('that is raised again takes back what still drains', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 3)])
    world.converge()
    world.aim('fetch', { desired: 1 })
    world.plan()
    world.aim('fetch', { desired: 3 })
    const made = world.plan()
    expect([made.restore.length, made.create]).toEqual([2, []])
  })

  test('zero ends all, and a removed server too', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 2), goal('time', 1)])
    world.converge()
    world.aim('fetch', { desired: 0 })
    world.goals = world.goals.filter(({ spec }) => spec.name !== 'time')
    world.converge()
    expect([...world.replicas]).toEqual([])
  })

  test('where there is not room for all, servers without any replica come first', () => {
    const world = new PlanWorld([planNode('a', { maxServers: 2 })], [goal('fetch', 5), goal('time', 1)])
    world.put('fetch-replica-1', 'a')
    const made = world.plan()
    expect(made.create).toMatchObject([{ server: 'time' }])
    expect(made.short).toEqual([
      { server: 'fetch', reason: 'No node can take a replica of "fetch": 1 full (maxServers 2).' },
    ])
  })
})

describe('replicas that share a node', () => {
  const crowd = (parts?: Parameters<typeof goal>[2]) => {
    const world = new PlanWorld([planNode('a')], [goal('fetch', 2, parts)])
    world.converge()
    expect(nodesOf(world)).toEqual(['a', 'a'])
    return world
  }

  test('are spread when another node joins: the newest moves, and ends only when its successor runs', () => {
    const world = crowd()
    world.nodes.push(planNode('b'))
    expect(world.plan()).toMatchObject({ create: [{ node: 'b', reason: 'moved' }], drain: [], remove: [] })
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [] })
    world.work()
    expect(world.plan().drain).toMatchObject([{ id: 'fetch-replica-2' }])
    world.converge()
    expect(nodesOf(world)).toEqual(['a', 'b'])
    world.nodes.push(planNode('c'))
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [] })
  })

  test('move one at a time', () => {
    const world = new PlanWorld([planNode('a')], [goal('fetch', 4)])
    world.converge()
    world.nodes.push(planNode('b'), planNode('c'))
    expect(world.plan().create).toHaveLength(1)
    world.converge()
    expect(nodesOf(world)).toEqual(['a', 'a', 'b', 'c'])
  })

  test('stay where sessions would notice, where the other node is busy, not preferred or has no room', () => {
    const joins = (world: PlanWorld, parts: Parameters<typeof planNode>[1] = {}) => {
      world.nodes.push(planNode('b', parts))
      return world.plan().create
    }
    expect(joins(crowd({ replication: { stateLoss: 'resumable' } }))).toEqual([])
    expect(joins(crowd(), { load: { cpuPercent: 40, memoryPercent: 0, activeCalls: 0 } })).toEqual([])
    expect(joins(crowd(), { maxServers: 0 })).toEqual([])
    expect(joins(crowd(), { cordoned: true })).toEqual([])
    expect(joins(crowd({ avoid: ['b'] }))).toEqual([])
    const affinity = { nodeIds: ['a'], excludeNodeIds: [], labels: {} }
    expect(joins(crowd({ replication: { affinity } }))).toEqual([])
  })
})

describe('a node that is gone', () => {
  test('[R133] [R134] has its replicas placed elsewhere at once, under their ids', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 2)])
    world.converge()
    world.change('a', { state: 'offline' })
    expect(world.plan().create).toMatchObject([{ id: 'fetch-replica-1', node: 'c', reason: 'lost' }])
    expect(nodesOf(world)).toEqual(['b', 'c'])
  })

  test('that is only unhealthy keeps what it has', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 2)])
    world.converge()
    world.change('a', { state: 'unhealthy' })
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [] })
  })

  test('leaves its replicas in wait when no other node takes them', () => {
    const world = new PlanWorld([planNode('a')], [goal('fetch', 1)])
    world.converge()
    world.change('a', { state: 'offline' })
    expect(world.plan()).toMatchObject({
      create: [],
      lost: ['fetch-replica-1'],
      short: [{ server: 'fetch' }],
    })
    world.nodes.push(planNode('b'))
    expect(world.plan().create).toMatchObject([{ id: 'fetch-replica-1', node: 'b' }])
  })

  test('takes its pinned replicas with it, and managed ones step in', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.put('fetch@a', 'a')
    world.change('a', { state: 'offline' })
    const made = world.plan()
    expect(made.remove).toEqual([{ id: 'fetch@a', reason: 'gone' }])
    expect(made.create).toMatchObject([{ id: 'fetch-replica-1', node: 'b' }])
  })
})

describe('a node that drains', () => {
  test('has its replicas replaced first, and ended when their successors run', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.converge()
    world.change('a', { draining: true, cordoned: true })
    expect(world.plan()).toMatchObject({ create: [{ node: 'b', reason: 'moved' }], drain: [] })
    expect(world.plan()).toMatchObject({ create: [], drain: [] })
    world.work()
    expect(world.plan()).toMatchObject({ create: [], drain: [{ id: 'fetch-replica-1', reason: 'moved' }] })
    world.converge()
    expect(nodesOf(world)).toEqual(['b'])
  })

  test('comes before a change of settings, which waits for it', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 3)])
    world.converge()
    world.aim('fetch', { specHash: 'v2' })
    world.change('a', { draining: true, cordoned: true })
    expect(world.plan().create).toMatchObject([{ reason: 'moved' }])
  })

  test('keeps them while no other node can take them, and says so', () => {
    const world = new PlanWorld([planNode('a')], [goal('fetch', 1)])
    world.converge()
    world.change('a', { draining: true, cordoned: true })
    expect(world.plan()).toMatchObject({ create: [], drain: [], short: [{ server: 'fetch' }] })
  })

  test('lets sessions leave its pinned replicas, and takes them back when it is used again', () => {
    const world = new PlanWorld(threeNodes())
    world.put('fetch@a', 'a')
    world.put('fetch@b', 'b')
    world.change('a', { draining: true, cordoned: true })
    expect(world.plan().drain).toEqual([{ id: 'fetch@a', reason: 'moved' }])
    world.change('a', { draining: false, cordoned: false })
    expect(world.plan().restore).toEqual(['fetch@a'])
  })

  test('keeps a pinned replica in service that nobody else can stand in for', () => {
    const world = new PlanWorld(threeNodes())
    world.put('fetch@a', 'a')
    world.change('a', { draining: true, cordoned: true })
    expect(world.plan().drain).toEqual([])
  })

  test('is also one that the affinity no longer allows', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.converge()
    const affinity = { nodeIds: [], excludeNodeIds: ['a'], labels: {} }
    world.goals = [goal('fetch', 1, { replication: { affinity } })]
    world.converge()
    expect(nodesOf(world)).toEqual(['b'])
  })
})

describe('a change of settings', () => {
  test.each([1, 3])('reaches %i replicas one at a time, and as many serve all the while', (count) => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', count)])
    world.converge()
    world.aim('fetch', { specHash: 'v2' })
    for (let round = 0; round < 30; round += 1) {
      const made = world.plan()
      expect(made.create.length).toBeLessThanOrEqual(1)
      expect(world.serving('fetch').length).toBeGreaterThanOrEqual(count)
      expect(world.of('fetch').length).toBeLessThanOrEqual(count + 2)
      world.work()
    }
    expect(world.of('fetch').map(({ specHash }) => specHash)).toEqual(
      Array.from({ length: count }, () => 'v2'),
    )
  })

  test('that does not work stops at the first replica', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 3)])
    world.converge()
    world.aim('fetch', { specHash: 'v2', avoid: ['a', 'b', 'c'] })
    for (let round = 0; round < 30; round += 1) {
      world.plan()
      world.work(({ specHash }) => specHash === 'v2')
      expect(world.serving('fetch')).toHaveLength(3)
    }
    expect(world.of('fetch').filter(({ specHash }) => specHash === 'v2')).toHaveLength(1)
  })

  test('works where there is no room for two at once', () => {
    const world = new PlanWorld([planNode('a', { maxServers: 2 })], [goal('fetch', 2)])
    world.converge()
    world.aim('fetch', { specHash: 'v2' })
    for (let round = 0; round < 30; round += 1) {
      world.plan()
      expect(world.serving('fetch').length).toBeGreaterThanOrEqual(1)
      world.work()
    }
    expect(world.serving('fetch').map(({ specHash }) => specHash)).toEqual(['v2', 'v2'])
  })

  test('makes room by one replica at a time, however long that takes to end', () => {
    const world = new PlanWorld([planNode('a', { maxServers: 3 })], [goal('fetch', 3)])
    world.converge()
    world.aim('fetch', { specHash: 'v2' })
    expect(world.plan().drain).toEqual([{ id: 'fetch-replica-1', reason: 'no-room' }])
    expect(world.plan().drain).toEqual([])
  })

  test('leaves pinned replicas alone, whose settings are their own', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1, { specHash: 'v2' })])
    world.put('fetch@a', 'a', { specHash: 'other' })
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [] })
  })

  test('mends servers that could not run before', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.put('fetch-replica-1', 'a', { phase: 'error', failures: 99 })
    world.aim('fetch', { specHash: 'v2' })
    world.converge()
    expect(world.serving('fetch').map(({ specHash }) => specHash)).toEqual(['v2'])
  })

  test('a restart renews the replicas of older epochs in the same way', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 2)])
    world.converge()
    const before = world.of('fetch').map(({ epoch }) => epoch)
    world.aim('fetch', { freshFrom: Math.max(...before) + 1 })
    for (let round = 0; round < 20; round += 1) {
      world.plan()
      expect(world.serving('fetch').length).toBeGreaterThanOrEqual(2)
      world.work()
    }
    expect(Math.min(...world.of('fetch').map(({ epoch }) => epoch))).toBeGreaterThan(Math.max(...before))
  })
})

describe('a replica that crashes again and again', () => {
  test('is tried on another node, once the one it had has been told to end it', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1)])
    world.put('fetch-replica-1', 'a', { phase: 'error', failures: CRASHES_BEFORE_MOVE })
    const made = world.plan()
    expect(made.remove).toEqual([{ id: 'fetch-replica-1', reason: 'crashing' }])
    expect(made.create).toMatchObject([{ id: 'fetch-replica-2', node: 'b', reason: 'moved' }])
  })

  test('waits twice as long on each further node, and stays when all have been tried', () => {
    const world = new PlanWorld(threeNodes(), [goal('fetch', 1, { avoid: ['a'] })])
    world.put('fetch-replica-1', 'b', { phase: 'error', failures: CRASHES_BEFORE_MOVE * 2 - 1 })
    expect(world.plan().remove).toEqual([])
    world.put('fetch-replica-1', 'b', { phase: 'error', failures: CRASHES_BEFORE_MOVE * 2 })
    expect(world.plan().create).toMatchObject([{ node: 'c' }])
    const tried = new PlanWorld(threeNodes(), [goal('fetch', 1, { avoid: ['a', 'b'] })])
    tried.put('fetch-replica-1', 'c', { phase: 'error', failures: 1_000 })
    expect(tried.plan()).toMatchObject({ create: [], remove: [] })
  })
})

test('the same input in another order gives the same plan', () => {
  const make = (turn: <T>(list: T[]) => T[]) => {
    const nodes = ['a', 'b', 'c', 'd'].map((id, n) => planNode(id, { maxServers: n + 2 }))
    const world = new PlanWorld(turn(nodes), turn([goal('x', 3), goal('y', 2), goal('z', 4)]))
    for (const [id, node] of turn([
      ['x-replica-1', 'a'],
      ['y-replica-1', 'a'],
      ['z@d', 'd'],
    ] as const)) {
      world.put(id, node, { createdAt: 1 })
    }
    return world.plan()
  }
  expect(make((list) => list.toReversed())).toEqual(make((list) => [...list]))
})

const NODES = ['a', 'b', 'c', 'd']
const SERVERS = ['x', 'y', 'z']

const event = fc.oneof(
  fc.record({
    kind: fc.constant('state' as const),
    node: fc.constantFrom(...NODES),
    state: fc.constantFrom('online' as const, 'unhealthy' as const, 'offline' as const),
  }),
  fc.record({ kind: fc.constant('drain' as const), node: fc.constantFrom(...NODES), on: fc.boolean() }),
  fc.record({ kind: fc.constant('scale' as const), server: fc.constantFrom(...SERVERS), to: fc.nat(6) }),
  fc.record({ kind: fc.constant('change' as const), server: fc.constantFrom(...SERVERS), to: fc.nat(3) }),
  fc.record({
    kind: fc.constant('pin' as const),
    server: fc.constantFrom(...SERVERS),
    node: fc.constantFrom(...NODES),
  }),
  fc.record({ kind: fc.constant('plan' as const) }),
  fc.record({ kind: fc.constant('work' as const), fails: fc.constantFrom('', ...SERVERS) }),
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

function happen(world: PlanWorld, each: Event): void {
  switch (each.kind) {
    case 'state':
      // A node that was offline comes back with nothing: it has stopped what it had.
      if (world.node(each.node)?.state === 'offline' && each.state !== 'offline')
        for (const replica of [...world.replicas.values()])
          if (replica.node === each.node) replica.phase = 'pending'
      return world.change(each.node, { state: each.state })
    case 'drain':
      return world.change(each.node, { draining: each.on, cordoned: each.on })
    case 'scale':
      return world.aim(each.server, { desired: each.to })
    case 'change':
      return world.aim(each.server, { specHash: `v${each.to}` })
    case 'pin':
      return pin(world, each.server, each.node)
    case 'plan':
      world.plan()
      return
    case 'work':
      return world.work(({ server }) => server === each.fails)
    default:
      return each satisfies never
  }
}

function pin(world: PlanWorld, server: string, node: string): void {
  const { state, maxServers = 99 } = world.node(node) ?? planNode(node)
  const count = [...world.replicas.values()].filter((replica) => replica.node === node).length
  if (state === 'online' && count < maxServers) world.put(`${server}@${node}`, node, { specHash: 'own' })
}

function someWorld(): PlanWorld {
  return new PlanWorld(
    NODES.map((id, n) =>
      planNode(id, { maxServers: n === 0 ? undefined : 4, role: n === 3 ? 'coordinator' : 'worker' }),
    ),
    SERVERS.map((name) => goal(name, 2)),
  )
}

describe('whatever happens', () => {
  test('no replica lives twice, no node has more than it may, and in the end all is as wanted or said to be short', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const world = someWorld()
        for (const each of events) happen(world, each)
        expect(world.converge()).toBeDefined()
        expect(world.wrongs).toEqual([])
        const { short } = world.plan()
        for (const { spec, desired, specHash } of world.goals) {
          const active = world
            .of(spec.name)
            .filter(({ stage, node }) => stage === 'active' && world.node(node)?.state !== 'offline')
          const managed = active.filter(({ origin }) => origin === 'managed')
          if (short.some(({ server }) => server === spec.name)) continue
          const away = active.filter(({ node }) => world.node(node)?.state === 'unhealthy').length
          expect(active.length + away).toBeGreaterThanOrEqual(desired)
          if (away === 0) {
            expect(managed.length).toBeLessThanOrEqual(desired)
            expect(managed.filter((replica) => replica.specHash !== specHash)).toEqual([])
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  test('the loss of a node moves only what was on it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...NODES),
        fc.array(fc.nat(5), { minLength: 3, maxLength: 3 }),
        (node, counts) => {
          const world = someWorld()
          for (const [n, server] of SERVERS.entries()) world.aim(server, { desired: counts[n] ?? 0 })
          world.converge()
          const had = [...world.replicas.values()]
            .filter((replica) => replica.node === node)
            .map(({ id }) => id)
          world.change(node, { state: 'offline' })
          const made = world.plan()
          expect(made.drain).toEqual([])
          expect(made.remove).toEqual([])
          expect(
            made.create
              .map(({ id }) => id)
              .concat(made.lost)
              .sort(),
          ).toEqual(had.sort())
        },
      ),
    )
  })

  test('a node that joins moves nothing that has a node of its own', () => {
    const world = someWorld()
    world.converge()
    world.nodes.push(planNode('e'))
    expect(world.plan()).toMatchObject({ create: [], drain: [], remove: [], restore: [] })
  })
})
