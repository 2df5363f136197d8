import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { ClientAddresses } from './client-addresses.ts'

function request(remoteAddress: string, headers: Record<string, string | string[]> = {}): IncomingMessage {
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage
}

describe('the address of a client', () => {
  test('is that of its connection, and the header that anybody can send does not matter', () => {
    const addresses = new ClientAddresses(0)
    const headers = { 'x-forwarded-for': '6.6.6.6', 'user-agent': 'curl/8' }
    expect(addresses.of(request('10.0.0.1', headers))).toEqual({ ip: '10.0.0.1', userAgent: 'curl/8' })
    expect(addresses.of(request('::ffff:10.0.0.2')).ip).toBe('10.0.0.2')
    expect(addresses.of(request('::1'))).toEqual({ ip: '::1', userAgent: undefined })
  })

  test.each([
    ['behind one proxy the last entry', 1, '6.6.6.6, 1.2.3.4', '1.2.3.4'],
    ['behind two proxies the one before', 2, '6.6.6.6, 1.2.3.4, 10.9.9.9', '1.2.3.4'],
    ['the first one where there are fewer', 3, '1.2.3.4, 10.9.9.9', '1.2.3.4'],
    ['an address of the sixth version', 1, '2001:db8::1', '2001:db8::1'],
    ['the connection where there is none', 1, '', '10.0.0.1'],
    ['the connection where it is no address', 1, 'unknown', '10.0.0.1'],
  ])('is %s', (_what, proxies, header, ip) => {
    const headers = { 'x-forwarded-for': header }
    expect(new ClientAddresses(proxies).of(request('10.0.0.1', headers)).ip).toBe(ip)
  })

  test('is one object for all sessions of a client, and of bounded length', () => {
    const addresses = new ClientAddresses(0)
    const headers = { 'user-agent': 'x'.repeat(10_000) }
    const [one, other] = [
      addresses.of(request('10.0.0.1', headers)),
      addresses.of(request('10.0.0.1', headers)),
    ]
    expect(one).toBe(other)
    expect(one.userAgent).toHaveLength(1024)
  })
})
