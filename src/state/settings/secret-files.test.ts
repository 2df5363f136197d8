import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { secretFileReader } from './secret-files.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-secret-files-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

describe('a secret in a file', () => {
  test.each([
    ['token', 'token'],
    ['token\n', 'token'],
    ['token\r\n', 'token'],
    ['two\nlines\n\n', 'two\nlines\n'],
    ['', ''],
  ])('%j is %j: its last line break is not part of it', async (content, expected) => {
    expect(secretFileReader()(await file('x', content))).toBe(expected)
  })

  test('may be as long as 64 KiB and no longer', async () => {
    expect(secretFileReader()(await file('x', 'a'.repeat(65_536)))).toHaveLength(65_536)
    expect(secretFileReader()(await file('x', 'a'.repeat(65_537)))).toBeUndefined()
  })

  test('cannot be read where there is no file, or something else', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    expect([join(folder, 'none'), folder, pipe, '/dev/zero', 'relative'].map(secretFileReader())).toEqual(
      Array(5).fill(undefined),
    )
  })

  test('may be kept to folders, whatever links say', async () => {
    const inside = join(folder, 'in')
    await mkdir(inside)
    await file('in/x', 'inside')
    const outside = await file('x', 'outside')
    await symlink(outside, join(inside, 'link'))
    const read = secretFileReader([inside, join(folder, 'none')])
    expect([join(inside, 'x'), join(inside, 'link'), `${inside}/../x`, outside].map(read)).toEqual([
      'inside',
      undefined,
      undefined,
      undefined,
    ])
  })
})
