import { describe, expect, test } from 'vitest'
import { childEnvironment } from './environment.ts'

describe('the environment of a server process', () => {
  test('has what programs need to run and to reach the network', () => {
    const hub = {
      PATH: '/bin',
      HOME: '/root',
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      TMPDIR: '/tmp',
      HTTPS_PROXY: 'http://p',
      no_proxy: 'localhost',
      NODE_EXTRA_CA_CERTS: '/ca.pem',
    }
    expect(childEnvironment(hub, {})).toEqual(hub)
  })

  test.each([
    'PORT',
    'HOST',
    'DATA_DIR',
    'NODE_OPTIONS',
    'NODE_ENV',
    'DB_URL',
    'SQL_DSN',
    'REDIS_URL',
    'REDIS_CONN_STRING',
    'CLUSTER_TOKEN',
    'SESSION_SECRET',
    'CRYPTO_SECRET',
    'JWT_SECRET',
    'ADMIN_PASSWORD',
    'OPENAI_API_KEY',
    'AWS_SECRET_ACCESS_KEY',
    'GITHUB_TOKEN',
    'MCPHUB_SETTING_PATH',
    'LD_PRELOAD',
    'FLOTILLA_OWNER',
  ])("does not have the hub's %s", (name) => {
    expect(childEnvironment({ [name]: 'secret', PATH: '/bin' }, {})).toEqual({ PATH: '/bin' })
  })

  test("has the server's own variables, whatever they are called; they win", () => {
    const own = { PORT: '8080', PATH: '/opt/bin', API_KEY: 'k', EMPTY: '' }
    expect(childEnvironment({ PORT: '3000', PATH: '/bin', HOME: '/root' }, own)).toEqual({
      HOME: '/root',
      ...own,
    })
  })

  test('does not have shell functions: they are code', () => {
    expect(childEnvironment({ PATH: '/bin', TERM: '() { :;}; echo hacked' }, {})).toEqual({ PATH: '/bin' })
  })

  test('does not have what is not set, but has what is set to nothing', () => {
    expect(childEnvironment({ HOME: undefined, LANG: '' }, {})).toEqual({ LANG: '' })
  })
})
