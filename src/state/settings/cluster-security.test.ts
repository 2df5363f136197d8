import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { type ClusterFlags, type ClusterReading, readClusterSettings } from './cluster.ts'

const TOKEN = 'wq7Yb2Lr9ZkQ4mXc'
const MASTER = {
  cluster: { enabled: true, role: 'master', security: { token: 'your-cluster-secret-token' } },
}

function read(
  document: unknown,
  environment: Record<string, string> = {},
  flags: ClusterFlags = {},
): ClusterReading {
  return readClusterSettings({ document, environment, flags })
}

function refusal(work: () => unknown): HubError {
  try {
    work()
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('It was not refused.')
}

function coordinator(cluster: object): object {
  return { systemConfig: { cluster: { enabled: true, mode: 'coordinator', ...cluster } } }
}

function worker(cluster: object): object {
  return { cluster: { enabled: true, role: 'worker', coordinatorUrl: 'http://c:3000', ...cluster } }
}

describe('the token', () => {
  test('[R92] [R143] is the same in the document and in the environment, which counts', () => {
    expect(read(MASTER, { CLUSTER_TOKEN: TOKEN }).settings.token).toBe(TOKEN)
    expect(read(coordinator({ security: { token: TOKEN } })).settings.token).toBe(TOKEN)
  })

  test('may be a reference to a variable or a file', () => {
    const readFile = (path: string) => (path === '/run/secrets/x' ? TOKEN : undefined)
    for (const token of ['${T}', '${file:/run/secrets/x}'])
      expect(
        readClusterSettings({
          document: coordinator({ security: { token } }),
          environment: { T: TOKEN },
          readFile,
        }).settings.token,
      ).toBe(TOKEN)
  })

  test('with a variable that is not set is refused: it would have a hole', () => {
    const error = refusal(() => read(coordinator({ security: { token: 'abcdefgh${GONE}' } })))
    expect(error.message).toBe('systemConfig.cluster.security.token: ${GONE} is not set.')
  })

  test('may be sealed', () => {
    const document = coordinator({ security: { token: 'enc:v1:k:abcd' } })
    const openSecret = () => TOKEN
    expect(readClusterSettings({ document, environment: {}, openSecret }).settings.token).toBe(TOKEN)
    expect(refusal(() => read(document))).toMatchObject({
      code: 'secret.unreadable',
      message: expect.stringContaining('systemConfig.cluster.security.token: '),
    })
    // One that does not count need not be opened.
    expect(read(document, { CLUSTER_TOKEN: TOKEN }).settings.token).toBe(TOKEN)
  })

  test('may be in a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'flotilla-token-'))
    try {
      const path = join(folder, 'token')
      writeFileSync(path, `${TOKEN}\n`)
      const { settings, origins } = read(MASTER, { CLUSTER_TOKEN_FILE: path })
      expect(settings.token).toBe(TOKEN)
      expect(origins.get('token')).toEqual({ origin: 'environment', name: 'CLUSTER_TOKEN_FILE' })
      expect(read(MASTER, { CLUSTER_TOKEN: 'another-token' }, { tokenFile: path }).settings.token).toBe(TOKEN)
      const readFile = () => TOKEN
      const document = coordinator({ security: { tokenFile: '/run/secrets/t' } })
      expect(readClusterSettings({ document, environment: {}, readFile }).settings.token).toBe(TOKEN)
      // The document may be changed over the API: it does not read any file of the machine.
      const error = refusal(() => read(coordinator({ security: { tokenFile: path } })))
      expect(error.message).toContain(`tokenFile: the file ${path} cannot be read`)
      expect(error.cure).toContain('SECRET_FILE_DIRS')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('may be in one place only', () => {
    const error = refusal(() => read(MASTER, { CLUSTER_TOKEN: TOKEN, CLUSTER_TOKEN_FILE: '/x' }))
    expect(error.message).toBe('CLUSTER_TOKEN_FILE: CLUSTER_TOKEN gives a token too.')
  })

  test('of a file that is not there is an error that names it', () => {
    const error = refusal(() => read(MASTER, { CLUSTER_TOKEN_FILE: '/nowhere/token' }))
    expect(error.message).toBe('CLUSTER_TOKEN_FILE: the file /nowhere/token cannot be read.')
  })

  test('that anybody could guess is taken and warned of', () => {
    const { settings, warnings } = read(worker({}), { CLUSTER_TOKEN: 'changeme-please' })
    expect(settings.token).toBe('changeme-please')
    expect(warnings).toEqual([expect.stringContaining('CLUSTER_TOKEN is a sample value')])
    expect(warnings[0]).not.toContain('changeme')
  })

  test('never stands in an error', () => {
    for (const token of ['hunter2', `hunter2${'x'.repeat(5_000)}`, 'hunter2\u0007hunter2'])
      expect(refusal(() => read(MASTER, { CLUSTER_TOKEN: token })).message).not.toContain('hunter2')
  })
})

describe('TLS', () => {
  const files = { tlsCert: '/c.pem', tlsKey: '/k.pem', tlsCa: '/ca.pem' }
  const secured = (security: object) => read(coordinator({ security }))

  test('[R92] takes certificate, key and authority; mutual asks workers for theirs', () => {
    expect(secured({ tlsEnabled: true, ...files, mutual: true }).settings.tls).toEqual({
      certFile: '/c.pem',
      keyFile: '/k.pem',
      caFile: '/ca.pem',
      mutual: true,
    })
    expect(
      read(undefined, {
        CLUSTER_ENABLED: 'true',
        CLUSTER_ROLE: 'master',
        CLUSTER_TLS_CERT: '/c.pem',
        CLUSTER_TLS_KEY: '/k.pem',
        CLUSTER_TLS_CA: '/ca.pem',
        CLUSTER_TLS_MUTUAL: 'true',
      }).settings.tls,
    ).toEqual({ certFile: '/c.pem', keyFile: '/k.pem', caFile: '/ca.pem', mutual: true })
  })

  test('is off when it is switched off, whatever files are named', () => {
    expect(secured({ tlsEnabled: false, ...files }).settings.tls).toBeUndefined()
    expect(secured({}).settings.tls).toBeUndefined()
  })

  test.each([
    [{ tlsCert: '/c.pem' }, 'security.tlsCert: a certificate needs its key'],
    [{ tlsKey: '/k.pem' }, 'security.tlsKey: a key needs its certificate'],
    [{ tlsEnabled: true }, 'security.tlsEnabled: a coordinator with TLS needs a certificate'],
    [
      { tlsCert: '/c.pem', tlsKey: '/k.pem', mutual: true },
      'security.mutual: without an authority no certificate of a worker can be checked',
    ],
  ])('of a coordinator with %j is refused', (security, why) => {
    expect(refusal(() => secured(security)).message).toContain(why)
  })

  test('of a worker needs nothing but https', () => {
    const coordinatorUrl = 'https://c:3000'
    expect(read(worker({ coordinatorUrl, security: { tlsEnabled: true } })).settings.tls).toMatchObject({
      certFile: undefined,
      mutual: false,
    })
    expect(refusal(() => read(worker({ security: { tlsEnabled: true } }))).message).toBe(
      'cluster.coordinatorUrl: TLS is switched on, but http://c:3000 would be reached without it.',
    )
  })
})
