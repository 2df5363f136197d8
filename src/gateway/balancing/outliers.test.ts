import { describe, expect, test } from 'vitest'
import type { CallEvent } from '../dispatch/servers.ts'
import { Health } from './outliers.ts'

function make() {
  const bad = new Health()
  const peers = [new Health(), new Health()]
  const time = { now: 100_000 }
  /** Calls that end as said, one after another. */
  const calls = (of: Health, event: CallEvent, times = 1) => {
    for (let call = 0; call < times; call += 1) {
      of.note('sent', time.now)
      of.note(event, time.now)
    }
  }
  const judge = () => bad.judge(peers, time.now)
  const share = () => bad.share(peers, time.now)
  const admits = () => bad.admits(time.now)
  return { bad, peers, time, calls, judge, share, admits }
}

describe('a replica that errs', () => {
  test.each(['lost', 'timeout', 'invalid'] as const)(
    'much more than its peers has no calls for a time: %s',
    (event) => {
      const { bad, peers, calls, judge, admits, time } = make()
      for (const peer of peers) calls(peer, 'answered', 20)
      calls(bad, 'answered', 2)
      calls(bad, event, 4)
      expect(judge()).toBe(10_000)
      expect(admits()).toBe(false)
      time.now += 9_999
      expect(admits()).toBe(false)
      time.now += 1
      expect(admits()).toBe(true)
    },
  )

  test('a little more than its peers has fewer calls', () => {
    const { bad, peers, calls, judge, share } = make()
    for (const peer of peers) calls(peer, 'answered', 20)
    calls(bad, 'answered', 7)
    calls(bad, 'timeout', 3)
    expect([judge(), share()]).toEqual([undefined, 0.25])
  })

  test('as much as its peers do is left in peace', () => {
    const { bad, peers, calls, judge, share } = make()
    for (const each of [bad, ...peers]) calls(each, 'lost', 10)
    expect([judge(), share()]).toEqual([undefined, 1])
  })

  test('once or twice is left in peace', () => {
    const { bad, peers, calls, judge, share } = make()
    for (const peer of peers) calls(peer, 'answered', 20)
    calls(bad, 'lost', 2)
    expect([judge(), share()]).toEqual([undefined, 1])
  })

  test('five times in a row is ejected however much went well before', () => {
    const { bad, peers, calls, judge } = make()
    for (const each of [bad, ...peers]) calls(each, 'answered', 10_000)
    calls(bad, 'lost', 4)
    expect(judge()).toBeUndefined()
    calls(bad, 'lost')
    expect(judge()).toBe(10_000)
  })

  test('is forgiven after half a minute', () => {
    const { bad, calls, judge, share, time } = make()
    calls(bad, 'lost', 4)
    time.now += 30_000
    expect([share(), judge()]).toEqual([1, undefined])
  })
})

test('calls that nobody waits for any more say nothing', () => {
  const { bad, calls, judge, share } = make()
  calls(bad, 'abandoned', 50)
  expect([judge(), share()]).toEqual([undefined, 1])
})

describe('a replica that was ejected', () => {
  function ejected() {
    const setup = make()
    setup.calls(setup.bad, 'lost', 5)
    expect(setup.judge()).toBe(10_000)
    setup.time.now += 10_000
    return setup
  }

  test('is probed with one call', () => {
    const { bad, admits, time } = ejected()
    expect(admits()).toBe(true)
    bad.note('sent', time.now)
    expect(admits()).toBe(false)
  })

  test('is back when that goes well', () => {
    const { bad, admits, calls, share } = ejected()
    calls(bad, 'answered')
    expect([admits(), share()]).toEqual([true, 1])
  })

  test('stays away twice as long each time that it does not, five minutes at most', () => {
    const { bad, admits, calls, time } = ejected()
    for (const ms of [20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      calls(bad, 'timeout')
      time.now += ms - 1
      expect(admits()).toBe(false)
      time.now += 1
      expect(admits()).toBe(true)
    }
  })

  test('is probed again at once when the probe was given up, and after a minute when it has not ended', () => {
    const { bad, admits, calls, time } = ejected()
    calls(bad, 'abandoned')
    expect(admits()).toBe(true)
    bad.note('sent', time.now)
    time.now += 59_999
    expect(admits()).toBe(false)
    time.now += 1
    expect(admits()).toBe(true)
  })
})

describe('a replica that answers nothing for five seconds', () => {
  test('has fewer calls while its peers answer', () => {
    const { bad, peers, calls, share, time } = make()
    bad.note('sent', time.now)
    time.now += 5_000
    expect(share()).toBe(1)
    for (const peer of peers) calls(peer, 'answered')
    expect(share()).toBe(0.25)
    bad.note('answered', time.now)
    expect(share()).toBe(1)
  })

  test('is well when it has nothing to answer', () => {
    const { peers, calls, share, time } = make()
    time.now += 60_000
    for (const peer of peers) calls(peer, 'answered')
    expect(share()).toBe(1)
  })
})
