import { execFile } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { access, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { isAlive, until } from './wait.ts'

const run = promisify(execFile)
const root = process.getuid?.() === 0

/** The folder that has `program`; its package is installed when there is none, which only root can do. */
export async function programs(
  program: string,
  packageName: string,
  folders: () => string[],
): Promise<string> {
  const find = async () => {
    for (const folder of [...folders(), ...(process.env['PATH'] ?? '').split(delimiter)])
      if (await isProgram(join(folder, program))) return folder
    return undefined
  }
  const found = await find()
  if (found !== undefined) return found
  if (!root || !existsSync('/usr/bin/apt-get'))
    throw new Error(
      `The tests need ${program}: install the package ${packageName} (Debian) or put the program on PATH.`,
    )
  await alone(async () => {
    // Another test file may have been faster.
    if ((await find()) === undefined) await install(packageName)
  })
  const installed = await find()
  if (installed === undefined) throw new Error(`${packageName} was installed, but has no ${program}.`)
  return installed
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Test files run in parallel, apt does not. Whoever holds the lock and has died does not count. */
async function alone(work: () => Promise<void>): Promise<void> {
  const lock = join(tmpdir(), 'flotilla-apt.lock')
  await until(
    'no other test installs packages',
    async () => {
      try {
        const file = await open(lock, 'wx')
        await file.writeFile(String(process.pid))
        await file.close()
        return true
      } catch {
        const holder = Number(await readFile(lock, 'utf8').catch(() => '0'))
        if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true })
        return false
      }
    },
    300_000,
  )
  try {
    await work()
  } finally {
    await rm(lock, { force: true })
  }
}

/** Asked by Debian's packages before they start a service: 101 is no (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt). */
const POLICY = '/usr/sbin/policy-rc.d'

async function install(packageName: string): Promise<void> {
  const ours = !existsSync(POLICY)
  if (ours) {
    await mkdir('/usr/sbin', { recursive: true })
    await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  }
  const apt = (...args: string[]) =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      maxBuffer: 64 * 1024 * 1024,
    })
  const get = () => apt('install', '-y', '--no-install-recommends', packageName)
  try {
    await get().catch(async () => {
      await apt('update')
      await get()
    })
  } finally {
    if (ours) await rm(POLICY, { force: true })
  }
}
