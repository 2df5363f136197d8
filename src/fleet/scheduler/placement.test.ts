import { describe, expect, test } from 'vitest'
import { planNode } from '../../../tests/harness/plan-world.ts'
import { NO_AFFINITY, type NodeAffinity } from '../../domain/replication.ts'
import { Board, type PlacementNode, scoreOf, type Wanted } from './placement.ts'

function wanted(affinity: Partial<NodeAffinity> = {}, parts: Partial<Wanted> = {}): Wanted {
  return { name: 'fetch', affinity: { ...NO_AFFINITY, ...affinity }, runtime: undefined, avoid: [], ...parts }
}

function load(cpuPercent: number, memoryPercent = 0): PlacementNode['load'] {
  return { cpuPercent, memoryPercent, activeCalls: 0 }
}

function place(nodes: readonly PlacementNode[], want = wanted(), runsServers: boolean | 'auto' = 'auto') {
  return new Board(nodes, runsServers).place(want)
}

describe('the score', () => {
  test.each([
    [{ copies: 0, cpuPercent: 0, memoryPercent: 0, preferred: false }, 100],
    [{ copies: 1, cpuPercent: 0, memoryPercent: 0, preferred: false }, 80],
    [{ copies: 0, cpuPercent: 40, memoryPercent: 0, preferred: false }, 80],
    [{ copies: 0, cpuPercent: 0, memoryPercent: 30, preferred: false }, 85],
    [{ copies: 0, cpuPercent: 0, memoryPercent: 0, preferred: true }, 130],
    [{ copies: 2, cpuPercent: 50, memoryPercent: 20, preferred: true }, 55],
  ])('[R127] of %j is %i', (parts, expected) => {
    expect(scoreOf(parts)).toBe(expected)
  })
})

describe('placement', () => {
  test('takes the least loaded node', () => {
    expect(place([planNode('a', { load: load(90) }), planNode('b', { load: load(10) })])).toBe('b')
    expect(place([planNode('a', { load: load(0, 80) }), planNode('b', { load: load(0, 10) })])).toBe('b')
  })

  test('spreads the copies of a server', () => {
    const board = new Board([planNode('a'), planNode('b'), planNode('c')], 'auto')
    board.focus([])
    expect([1, 2, 3].map(() => board.place(wanted()))).toEqual(['a', 'b', 'c'])
  })

  test('counts copies that are there already', () => {
    const board = new Board([planNode('a'), planNode('b', { load: load(20) })], 'auto')
    board.focus(['a'])
    expect(board.place(wanted())).toBe('b')
  })

  test('gives preferred nodes 30 points, which is not everything', () => {
    const prefersB = wanted({ nodeIds: ['b'] })
    expect(place([planNode('a'), planNode('b', { load: load(40) })], prefersB)).toBe('b')
    expect(place([planNode('a'), planNode('b', { load: load(80) })], prefersB)).toBe('a')
  })

  test('among equals takes the node with fewer replicas, then the first by id', () => {
    const board = new Board([planNode('b'), planNode('a'), planNode('c')], 'auto')
    board.add('a', false)
    expect(board.place(wanted())).toBe('b')
    expect(place([planNode('b'), planNode('a')])).toBe('a')
  })

  test('does not gather many servers on the node that happens to be a little idler', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((id, n) => planNode(id, { load: load(n * 5) }))
    const board = new Board(nodes, 'auto')
    const counts = new Map<string, number>()
    for (let n = 0; n < 100; n += 1) {
      board.focus([])
      const id = board.place(wanted({}, { name: `s${n}` })) ?? ''
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(35)
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(15)
  })

  test.each<[string, Partial<PlacementNode>, Wanted]>([
    ['1 offline', { state: 'offline' }, wanted()],
    ['1 unhealthy', { state: 'unhealthy' }, wanted()],
    ['1 cordoned', { cordoned: true }, wanted()],
    ['1 draining', { cordoned: true, draining: true }, wanted()],
    ['1 excluded by its affinity', {}, wanted({ excludeNodeIds: ['a'] })],
    [
      '1 without the labels zone=x,gpu=yes',
      { labels: { zone: 'x' } },
      wanted({ labels: { zone: 'x', gpu: 'yes' } }),
    ],
    ['1 without the program "uvx"', { runtimes: ['npx'] }, wanted({}, { runtime: 'uvx' })],
    ['1 full (maxServers 0)', { maxServers: 0 }, wanted()],
  ])('[R126] has no candidate and says why: %s', (reason, parts, want) => {
    const board = new Board([planNode('a', parts)], 'auto')
    expect(board.place(want)).toBeUndefined()
    expect(board.refusal(want)).toBe(`No node can take a replica of "fetch": ${reason}.`)
  })

  test('says that there is no node at all', () => {
    expect(new Board([], 'auto').refusal(wanted())).toBe(
      'No node can take a replica of "fetch": no node has joined.',
    )
  })

  test('fills a node up to maxServers, whatever runs there', () => {
    const board = new Board([planNode('a', { maxServers: 2 })], 'auto')
    board.add('a', false)
    expect(board.place(wanted())).toBe('a')
    expect(board.place(wanted())).toBeUndefined()
  })

  test('avoids nodes where the server crashed, unless there is no other', () => {
    const avoidsA = wanted({}, { avoid: ['a'] })
    expect(place([planNode('a'), planNode('b', { load: load(100, 100) })], avoidsA)).toBe('b')
    expect(place([planNode('a')], avoidsA)).toBe('a')
    expect(new Board([planNode('a')], 'auto').hasFresh(avoidsA)).toBe(false)
  })
})

describe('a coordinator', () => {
  const boss = planNode('boss', { role: 'coordinator' })
  const busy = planNode('w', { load: load(100, 100) })

  test('runs servers like a worker where it may', () => {
    expect(place([boss, busy], wanted(), true)).toBe('boss')
  })

  test('runs under `auto` only what no worker can', () => {
    expect(place([boss, busy])).toBe('w')
    expect(place([boss, planNode('w', { maxServers: 0 })])).toBe('boss')
    expect(place([boss])).toBe('boss')
  })

  test('runs none where it must not', () => {
    expect(place([boss], wanted(), false)).toBeUndefined()
    expect(new Board([boss], false).refusal(wanted())).toContain('1 a coordinator that runs no servers')
  })
})
