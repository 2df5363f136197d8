import { describe, expect, test } from 'vitest'
import { hubSettings } from '../../tests/fakes/domain.ts'
import type { KeySpec } from '../domain/server-spec.ts'
import { Guard } from './guard.ts'

const none = hubSettings([])
const key = { id: 'k', token: 'token-of-the-key' } as unknown as KeySpec
const keyed = hubSettings([], { keys: [key] })
const off = hubSettings([], { keys: [key], bearerAuth: false })

describe('on an address that others reach', () => {
  test('somebody must be able to come in, and not everybody', () => {
    const alone = new Guard('0.0.0.0', () => false)
    expect(() => alone.check(none)).toThrow(/no key and no user/)
    expect(() => alone.check(off)).toThrow(/keys are switched off/)
    expect(() => alone.check(keyed)).not.toThrow()
    const withUsers = new Guard('0.0.0.0', () => true)
    expect(() => withUsers.check(none)).not.toThrow()
    expect(() => withUsers.check(off)).toThrow()
  })
})

describe('on loopback', () => {
  test('nothing is asked for until there has been a key; then the last one stays', () => {
    const guard = new Guard('127.0.0.1', () => false)
    expect(() => guard.check(none)).not.toThrow()
    guard.passed(none)
    expect(() => guard.check(none)).not.toThrow()
    guard.passed(keyed)
    expect(() => guard.check(none)).toThrow(/last key/)
    // Who switches keys off means it.
    expect(() => guard.check(off)).not.toThrow()
  })

  test('keys of the store count too', () => {
    const guard = new Guard('127.0.0.1', () => true)
    guard.passed(keyed)
    expect(() => guard.check(none)).not.toThrow()
  })
})
