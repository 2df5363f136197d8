import { describe, expect, test } from 'vitest'
import { afterInput, isDoubtful, type Member, type MemberInput, newMember, stateOf } from './member.ts'

const timings = { heartbeatIntervalMs: 5_000, heartbeatTimeoutMs: 15_000, cleanupIntervalMs: 30_000 }

function linked(...inputs: MemberInput[]): Member {
  return (['linkUp', ...inputs] as const).reduce(
    (member, input) => afterInput(member, input, 0),
    newMember(0),
  )
}

describe('a node that is silent', () => {
  test.each([
    [0, 'online'],
    [5_000, 'online'],
    [11_250, 'online'],
    [11_251, 'unhealthy'],
    [14_999, 'unhealthy'],
    [15_000, 'offline'],
    [44_999, 'offline'],
    [45_000, 'removed'],
  ])('[R12] [R13] [R84] for %i ms is %s', (now, expected) => {
    expect(stateOf(linked(), timings, now)).toBe(expected)
  })

  test('is online again with its next heartbeat, even after it was offline', () => {
    expect(stateOf(afterInput(linked(), 'beat', 20_000), timings, 20_000)).toBe('online')
  })
})

describe('a node that beats', () => {
  test('is unhealthy at once when its link goes down, and online when it is up again', () => {
    expect(stateOf(linked('linkDown'), timings, 1)).toBe('unhealthy')
    expect(stateOf(linked('linkDown', 'linkUp'), timings, 1)).toBe('online')
  })

  test('and that never had a link is judged by its heartbeats', () => {
    expect(stateOf(newMember(0), timings, 1)).toBe('online')
  })

  test('[R130] is unhealthy after three failed probes in a row, and a good one forgets them', () => {
    const failed = (count: number) => Array.from({ length: count }, () => 'probeFailed' as const)
    const unlinked = (...inputs: MemberInput[]) =>
      inputs.reduce((member, input) => afterInput(member, input, 0), newMember(0))
    expect(stateOf(unlinked(...failed(2)), timings, 1)).toBe('online')
    expect(stateOf(unlinked(...failed(3), 'beat'), timings, 1)).toBe('unhealthy')
    expect(stateOf(unlinked(...failed(2), 'probeOk', ...failed(2)), timings, 1)).toBe('online')
    expect(stateOf(unlinked(...failed(3), 'linkUp'), timings, 1)).toBe('online')
  })
})

test('a node that says that it ends is offline at once, and only a new start brings it back', () => {
  const left = afterInput(linked(), 'left', 100)
  expect(stateOf(left, timings, 100)).toBe('offline')
  expect(stateOf(afterInput(left, 'beat', 200), timings, 200)).toBe('offline')
  expect(stateOf(left, timings, 30_100)).toBe('removed')
  expect(stateOf(afterInput(left, 'joined', 300), timings, 300)).toBe('online')
})

test('a node is doubtful without a link, or once a heartbeat is overdue', () => {
  expect(isDoubtful(linked(), timings, 6_250)).toBe(false)
  expect(isDoubtful(linked(), timings, 6_251)).toBe(true)
  expect(isDoubtful(newMember(0), timings, 0)).toBe(true)
  expect(isDoubtful(linked('linkDown'), timings, 0)).toBe(true)
})
