import { describe, expect, test } from 'vitest'
import { isLoopback } from '../domain/loopback.ts'
import { originPolicy } from './listen.ts'

const nothing = { allowedHosts: [], allowedOrigins: [] }

describe('the names under which a hub may be called', () => {
  test.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('%s is this machine', (host) => {
    expect(isLoopback(host)).toBe(true)
  })

  test.each(['0.0.0.0', '::', '10.0.0.1', '127.example.com', '128.0.0.1'])(
    '%s is more than this machine',
    (host) => {
      expect(isLoopback(host)).toBe(false)
      // Who knows by which names others reach it.
      expect(originPolicy({ ...nothing, host }).hosts).toBeUndefined()
    },
  )

  test('on loopback are those of loopback and those that the operator names; IPv6 stands in brackets', () => {
    const { hosts } = originPolicy({ ...nothing, host: '::1', allowedHosts: ['Hub.Example.com'] })
    expect([...(hosts ?? [])]).toEqual(expect.arrayContaining(['localhost', '[::1]', 'hub.example.com']))
    expect(hosts?.has('evil.example.com')).toBe(false)
  })

  test('[R190] include the public one, whose pages may call it too', () => {
    const publicUrl = new URL('https://hub.example.com/base')
    const { hosts, origins } = originPolicy({ ...nothing, host: '127.0.0.1', publicUrl })
    expect(hosts?.has('hub.example.com')).toBe(true)
    expect([...origins]).toEqual(['https://hub.example.com'])
  })
})
