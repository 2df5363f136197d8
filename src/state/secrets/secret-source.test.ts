import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SecretSource } from './secret-source.ts'
import { requireStrongSecret } from './secret-strength.ts'

const STRONG = 'tQ0r8wLx3mZb6vYc'
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-secrets-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const source = (environment: Record<string, string> = {}) =>
  new SecretSource(environment, join(folder, 'data'))

describe('a secret of the hub', () => {
  test('comes from its variable', async () => {
    expect(await source({ CRYPTO_SECRET: ` ${STRONG}\n` }).get('CRYPTO_SECRET')).toEqual({
      value: STRONG,
      origin: 'environment',
    })
  })

  test('comes from the file that its variable names', async () => {
    const path = join(folder, 'crypto')
    await writeFile(path, `${STRONG}\n`)
    expect(await source({ CRYPTO_SECRET_FILE: path }).get('CRYPTO_SECRET')).toEqual({
      value: STRONG,
      origin: 'file',
    })
  })

  test('is generated once when there is none, and only the hub may read it', async () => {
    const first = await source().get('CRYPTO_SECRET')
    expect(first.origin).toBe('generated')
    expect(Buffer.from(first.value, 'base64url')).toHaveLength(32)
    expect(await source().get('CRYPTO_SECRET')).toEqual(first)
    expect((await source().get('SESSION_SECRET')).value).not.toBe(first.value)
    const secrets = join(folder, 'data', 'secrets')
    expect((await stat(secrets)).mode & 0o777).toBe(0o700)
    expect((await stat(join(secrets, 'CRYPTO_SECRET'))).mode & 0o777).toBe(0o600)
    expect((await readdir(secrets)).sort()).toEqual(['CRYPTO_SECRET', 'SESSION_SECRET'])
  })

  test('is the same for all who generate it at the same moment', async () => {
    const found = await Promise.all(Array.from({ length: 20 }, () => source().get('CRYPTO_SECRET')))
    expect(new Set(found.map(({ value }) => value)).size).toBe(1)
    expect(await readFile(join(folder, 'data', 'secrets', 'CRYPTO_SECRET'), 'utf8')).toBe(
      `${found[0]?.value}\n`,
    )
  })

  test('keeps the old ones readable: those that are named, and the generated one that another replaced', async () => {
    const generated = await source().get('CRYPTO_SECRET')
    const later = source({ CRYPTO_SECRET: STRONG, CRYPTO_SECRET_OLD: 'one, two,' })
    expect(await later.old('CRYPTO_SECRET')).toEqual(['one', 'two', generated.value])
  })

  test('in a variable and in a file is one too many', async () => {
    await expect(
      source({ CRYPTO_SECRET: STRONG, CRYPTO_SECRET_FILE: '/x' }).get('CRYPTO_SECRET'),
    ).rejects.toThrow('CRYPTO_SECRET and CRYPTO_SECRET_FILE are both set.')
  })

  test('in a file that cannot be read is an error that names both', async () => {
    const path = join(folder, 'none')
    await expect(source({ SESSION_SECRET_FILE: path }).get('SESSION_SECRET')).rejects.toMatchObject({
      code: 'settings.invalid',
      message: expect.stringContaining(`SESSION_SECRET_FILE: the file ${path} cannot be read`),
    })
  })

  test('that was cut off by a crash is an error, and no new one is made in its place', async () => {
    await source().get('CRYPTO_SECRET')
    await writeFile(join(folder, 'data', 'secrets', 'CRYPTO_SECRET'), '')
    await expect(source().get('CRYPTO_SECRET')).rejects.toThrow('is too short')
  })

  test('that cannot be kept anywhere is an error with a cure', async () => {
    await writeFile(join(folder, 'data'), '')
    await expect(source().get('CRYPTO_SECRET')).rejects.toMatchObject({
      cure: 'Set CRYPTO_SECRET, or let the hub write to its DATA_DIR.',
    })
  })
})

describe('[R187] a secret that anybody could guess is refused', () => {
  test.each([
    'random_string',
    'changeme',
    'CHANGE-ME-PLEASE',
    'your-secret-key-change-this',
    'your_secret_here',
    'secret',
    'password',
    'password12345678',
    'my-secret-1234567',
    'short',
    'fifteen-letters',
    'aaaaaaaaaaaaaaaaaaaaaaaa',
    'abcabcabcabcabcabc',
    'secretsecretsecretsecret',
    '0123456789abcdef',
    '1234567890123456',
  ])('%s', (value) => {
    expect(() => requireStrongSecret('CRYPTO_SECRET', value)).toThrow(
      expect.objectContaining({
        code: 'settings.invalid',
        message: expect.stringMatching(/^CRYPTO_SECRET (is|repeats)/),
        cure: expect.stringContaining('openssl rand'),
      }),
    )
    const message = expect.not.stringContaining(value)
    if (value.length > 8)
      expect(() => requireStrongSecret('X', value)).toThrow(expect.objectContaining({ message }))
  })

  test.each([
    STRONG,
    'f3a9c07d5be2418690adcf1275e8b364',
    'correct horse battery staple',
    'Zm9vYmFyYmF6cXV4MTIzNDU=',
  ])('%s is not', (value) => requireStrongSecret('X', value))
})
