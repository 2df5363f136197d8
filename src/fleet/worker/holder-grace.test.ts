import { expect, test } from 'vitest'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { HolderGrace } from './holder-grace.ts'

const GRACE_MS = 1_000

function make() {
  const clock = new FakeClock()
  const grace = new HolderGrace({ graceMs: GRACE_MS, clock, log: recordingLogger().logger })
  const released: string[] = []
  const server = { release: async (holder: string) => void released.push(holder) }
  return { clock, grace, released, server }
}

test('what nobody uses any more is kept for a while, and then released', async () => {
  const { clock, grace, released, server } = make()
  const leaves = [grace.enter(server, 'ann'), grace.enter(server, 'ann')]
  expect(grace.users(server, 'ann')).toBe(2)
  leaves[0]?.()
  await clock.advance(10 * GRACE_MS)
  expect(released).toEqual([])
  leaves[1]?.()
  await clock.advance(GRACE_MS - 1)
  expect([released.length, grace.users(server, 'ann')]).toEqual([0, 0])
  await clock.advance(1)
  expect(released).toEqual(['ann'])
})

test('who comes back in time finds it', async () => {
  const { clock, grace, released, server } = make()
  grace.enter(server, 'ann')()
  await clock.advance(GRACE_MS - 1)
  grace.enter(server, 'ann')
  await clock.advance(10 * GRACE_MS)
  expect(released).toEqual([])
})

test('a use of what was ended does not count for what the holder has had since', async () => {
  const { clock, grace, released, server } = make()
  const leaveOld = grace.enter(server, 'ann')
  grace.end(server, 'ann')
  expect(released).toEqual(['ann'])
  grace.enter(server, 'ann')
  leaveOld()
  await clock.advance(10 * GRACE_MS)
  expect([released, grace.users(server, 'ann')]).toEqual([['ann'], 1])
})
