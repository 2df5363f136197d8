import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readRemote } from './remote.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-remote-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('which hub is asked', () => {
  test.each([
    [{}, {}, 'http://127.0.0.1:3000'],
    [{}, { PORT: '3100' }, 'http://127.0.0.1:3100'],
    [{}, { PORT: '3100', FLOTILLA_URL: 'https://hub.example/' }, 'https://hub.example'],
    [{ url: 'http://other:1/base/?x#y' }, { FLOTILLA_URL: 'https://hub.example' }, 'http://other:1/base'],
    [{}, { FLOTILLA_URL: '' }, 'http://127.0.0.1:3000'],
  ])('%j with %j: %s', (flags, environment, url) => {
    expect(readRemote(flags, environment)).toEqual({ url, key: undefined })
  })

  test.each([
    [{ url: 'hub' }, {}, '--url'],
    [{ url: 'ftp://hub' }, {}, '--url'],
    [{}, { FLOTILLA_URL: 'https://user:hunter2@hub' }, 'FLOTILLA_URL'],
    [{}, { PORT: '0' }, 'PORT'],
    [{}, { PORT: 'many' }, 'PORT'],
  ])('%j with %j is refused, and the password is not repeated', (flags, environment, name) => {
    expect(() => readRemote(flags, environment)).toThrow(
      expect.objectContaining({
        code: 'request.invalid-params',
        message: expect.stringMatching(new RegExp(`^${name}: (?!.*hunter2)`)),
        cure: expect.any(String),
      }),
    )
  })
})

describe('the key', () => {
  test('comes from the flag, a file or the environment, in this order', async () => {
    const keyFile = join(folder, 'key')
    await writeFile(keyFile, 'of-the-file\n')
    const environment = { FLOTILLA_KEY: 'of-the-environment' }
    expect(readRemote({ key: 'of-the-flag', keyFile }, environment).key).toBe('of-the-flag')
    expect(readRemote({ keyFile }, environment).key).toBe('of-the-file')
    expect(readRemote({}, environment).key).toBe('of-the-environment')
    expect(readRemote({}, { FLOTILLA_KEY: '' }).key).toBeUndefined()
  })

  test.each(['', '  \n', 'two words', 'x'.repeat(5_000)])('is not a file with %j', async (text) => {
    const keyFile = join(folder, 'odd')
    await writeFile(keyFile, text)
    expect(() => readRemote({ keyFile }, {})).toThrow(/^--key-file: .* does not hold a key/)
  })

  test('of a file that is missing is refused with the reason', () => {
    expect(() => readRemote({ keyFile: join(folder, 'none') }, {})).toThrow(/ENOENT/)
  })
})
