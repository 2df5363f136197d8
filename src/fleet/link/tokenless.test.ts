import { expect, test } from 'vitest'
import { isLoopbackAddress } from '../../domain/loopback.ts'

test.each(['127.0.0.1', '127.200.3.4', '::1', '::ffff:127.0.0.1'])('%s is this machine', (address) => {
  expect(isLoopbackAddress(address)).toBe(true)
})

test.each([
  '10.0.0.1',
  '128.0.0.1',
  '1127.0.0.1',
  '127.0.0.1.evil.example',
  '::ffff:10.0.0.1',
  '::2',
  '',
  undefined,
])('%s is not', (address) => {
  expect(isLoopbackAddress(address)).toBe(false)
})
