import { describe, expect, test } from 'vitest'
import { SecretBox } from '../secrets/secret-box.ts'
import { interpretSettings } from './interpret.ts'

const box = new SecretBox('a secret of the tests')
const lost = new SecretBox('a secret that is lost')
const openSecret = (sealed: string) => box.open(sealed)
const files: Record<string, string> = { '/run/secrets/token': 'token-from-file' }
const readFile = (path: string) => files[path]

function read(document: unknown, outside: object = { openSecret, readFile }) {
  return interpretSettings(
    JSON.stringify(document, undefined, 2),
    'f.json',
    { HOME_PAGE: 'from-env' },
    outside,
  )
}

const server = (env: Record<string, string>, more: object = {}) => ({
  mcpServers: { a: { command: 'x', env, ...more } },
})

function thrown(document: unknown, outside?: object): unknown {
  try {
    read(document, outside)
  } catch (error) {
    return error
  }
  return undefined
}

describe('sealed secrets in settings', () => {
  test('are opened for the servers, and taken as they are', () => {
    const { settings } = read(server({ K: box.seal('${HOME_PAGE} $HOME_PAGE'), PLAIN: '${HOME_PAGE}' }))
    expect(settings.servers.get('a')?.transport).toMatchObject({
      env: { K: '${HOME_PAGE} $HOME_PAGE', PLAIN: 'from-env' },
    })
  })

  test('are opened in keys', () => {
    const { settings } = read({ bearerKeys: [{ token: box.seal('pa$HOME_PAGE') }] })
    expect(settings.keys[0]?.token).toBe('pa$HOME_PAGE')
  })

  test('are opened in secret places only: elsewhere people could see them', () => {
    const sealed = box.seal('canary')
    const { settings } = read(server({}, { description: sealed }))
    expect(settings.servers.get('a')?.description).toBe(sealed)
  })

  test.each([
    ['a server', server({ K: lost.seal('x') }), 'f.json:6:14: mcpServers.a.env.K: '],
    ['a key', { bearerKeys: [{ token: lost.seal('x') }] }, 'f.json:4:16: bearerKeys.0.token: '],
  ])('that cannot be opened are an error that names the place in %s', (_what, document, place) => {
    expect(thrown(document)).toMatchObject({
      code: 'secret.unreadable',
      message: expect.stringContaining(place),
      cure: expect.stringContaining('CRYPTO_SECRET_OLD'),
    })
    expect(thrown(document, {})).toMatchObject({ code: 'secret.unreadable' })
  })

  test('of a server or key that is switched off keep nobody else from running', () => {
    const { settings, warnings } = read({
      ...server({ K: lost.seal('x') }, { enabled: false }),
      bearerKeys: [{ token: lost.seal('x'), enabled: false }],
      systemConfig: { routing: { bearerAuthKey: 'legacy-key' } },
    })
    expect(settings.keys.map(({ token }) => token)).toEqual(['legacy-key'])
    expect(warnings.join()).toMatch(/mcpServers\.a\.env\.K: .* The server is disabled, so the others run\./)
  })
})

describe('files in settings', () => {
  test('give their text to servers and keys', () => {
    const { settings } = read({
      ...server({ T: 'Bearer ${file:/run/secrets/token}' }),
      bearerKeys: [{ token: '${file:/run/secrets/token}' }],
    })
    expect(settings.servers.get('a')?.transport).toMatchObject({ env: { T: 'Bearer token-from-file' } })
    expect(settings.keys[0]?.token).toBe('token-from-file')
  })

  test('that are missing are a warning for a server and an error for a key', () => {
    expect(read(server({ T: '${file:/none}' })).warnings).toEqual([
      expect.stringMatching(
        /mcpServers\.a\.env\.T: the file \/none cannot be read .*; it is taken as empty\.$/,
      ),
    ])
    expect(thrown({ bearerKeys: [{ token: '${file:/none}' }] })).toMatchObject({
      code: 'settings.invalid',
      message: expect.stringContaining('bearerKeys.0.token: the file /none cannot be read'),
    })
  })
})
