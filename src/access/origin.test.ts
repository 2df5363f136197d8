import { describe, expect, test } from 'vitest'
import { checkOrigin, LOOPBACK_NAMES, type OriginPolicy } from './origin.ts'

const loopback: OriginPolicy = { hosts: new Set(LOOPBACK_NAMES), origins: new Set() }
const named: OriginPolicy = {
  hosts: new Set([...LOOPBACK_NAMES, 'hub.example.com']),
  origins: new Set(['https://app.example.com']),
}
const anyHost: OriginPolicy = { hosts: undefined, origins: new Set() }

/** The code of the refusal, or "ok". */
function check(policy: OriginPolicy, host: string | undefined, origin?: string): string {
  try {
    checkOrigin({ host, origin }, policy)
    return 'ok'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('the Host header, for a hub that listens on loopback', () => {
  test.each([
    'localhost',
    'localhost:3000',
    'LOCALHOST:3000',
    '127.0.0.1',
    '127.0.0.1:65535',
    '[::1]',
    '[::1]:3000',
  ])('%s names this machine', (host) => {
    expect(check(loopback, host)).toBe('ok')
  })

  test.each([
    undefined,
    '',
    'evil.example.com',
    'evil.example.com:3000',
    'localhost.evil.example.com',
    'localhost:3000.evil.example.com',
    'evil.example.com@localhost',
    'localhost@evil.example.com',
    'localhost/evil',
    'localhost evil',
    'localhost:',
    'localhost:123456',
    '127.0.0.1.nip.io',
    '127.1',
    '2130706433',
    '0.0.0.0',
    '::1',
    '[::1',
    '[::2]',
    '[::ffff:127.0.0.1]',
  ])('%j does not: a page of another site may have come here under its own name', (host) => {
    expect(check(loopback, host)).toBe('access.host')
  })

  test('a name that the operator added is known too', () => {
    expect(check(named, 'hub.example.com:8443')).toBe('ok')
    expect(check(named, 'other.example.com')).toBe('access.host')
  })
})

describe('the Origin header', () => {
  test('need not be there: only browsers send it', () => {
    expect(check(loopback, 'localhost:3000', undefined)).toBe('ok')
  })

  test.each([
    'http://localhost:3000',
    'http://localhost:5173',
    'https://localhost',
    'http://127.0.0.1:6274',
    'http://[::1]:3000',
    'HTTP://LOCALHOST:3000',
  ])('%s is a page of this machine and may call a hub on this machine, on any port', (origin) => {
    expect(check(loopback, '127.0.0.1:3000', origin)).toBe('ok')
    expect(check(loopback, '[::1]:3000', origin)).toBe('ok')
  })

  test.each([
    'null',
    '',
    'http://evil.example.com',
    'http://localhost.evil.example.com',
    'http://evil.example.com:3000',
    'http://evil.example.com/localhost',
    'http://localhost@evil.example.com',
    'http://127.0.0.1.nip.io',
    'https://192.168.1.7',
    'file://',
    'ftp://localhost',
    'chrome-extension://abcdefghijklmnop',
    'vscode-webview://localhost',
    'localhost:3000',
    'not a url',
  ])('%j is refused', (origin) => {
    expect(check(loopback, 'localhost:3000', origin)).toBe('access.origin')
  })

  test('of the very name under which the hub was called is its own page', () => {
    expect(check(named, 'hub.example.com', 'https://hub.example.com')).toBe('ok')
    expect(check(named, 'hub.example.com:8443', 'https://hub.example.com')).toBe('ok')
    expect(check(named, 'hub.example.com', 'https://www.hub.example.com')).toBe('access.origin')
  })

  test('of this machine may not call the hub under a public name', () => {
    expect(check(named, 'hub.example.com', 'http://localhost:3000')).toBe('access.origin')
    expect(check(anyHost, 'hub.example.com', 'http://localhost:3000')).toBe('access.origin')
  })

  test('that the operator named may call, and only exactly that one', () => {
    expect(check(named, 'localhost', 'https://app.example.com')).toBe('ok')
    expect(check(named, 'localhost', 'http://app.example.com')).toBe('access.origin')
    expect(check(named, 'localhost', 'https://app.example.com:8443')).toBe('access.origin')
  })

  test('of any kind may call when the operator said "*", but the Host still counts', () => {
    const star: OriginPolicy = { hosts: new Set(LOOPBACK_NAMES), origins: new Set(['*']) }
    expect(check(star, 'localhost', 'https://anything.example.com')).toBe('ok')
    expect(check(star, 'localhost', 'null')).toBe('ok')
    expect(check(star, 'evil.example.com', 'https://anything.example.com')).toBe('access.host')
  })

  test('is compared as an origin: a slash at the end of the configured one does not matter', () => {
    const slash: OriginPolicy = { ...loopback, origins: new Set(['https://app.example.com/']) }
    expect(check(slash, 'localhost', 'https://app.example.com')).toBe('ok')
  })
})

describe('a hub that listens on other addresses and was told no names', () => {
  test('takes any host: its keys protect it', () => {
    expect(check(anyHost, 'whatever.example.com')).toBe('ok')
    expect(check(anyHost, undefined)).toBe('ok')
  })

  test('takes pages of the name under which it was called, and no others', () => {
    expect(check(anyHost, 'hub.example.com:3000', 'http://hub.example.com:3000')).toBe('ok')
    expect(check(anyHost, 'hub.example.com:3000', 'http://evil.example.com')).toBe('access.origin')
    expect(check(anyHost, undefined, 'http://evil.example.com')).toBe('access.origin')
  })
})

test('a refusal says which variable mends it', () => {
  expect(() => checkOrigin({ host: 'a.example', origin: undefined }, loopback)).toThrow(
    expect.objectContaining({ cure: expect.stringContaining('ALLOWED_HOSTS') }),
  )
  expect(() => checkOrigin({ host: 'localhost', origin: 'http://a.example' }, loopback)).toThrow(
    expect.objectContaining({ cure: expect.stringContaining('ALLOWED_ORIGINS') }),
  )
})
