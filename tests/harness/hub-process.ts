import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Settings } from './hub.ts'
import { until } from './wait.ts'

export const FLOTILLA: string = fileURLToPath(new URL('../../bin/flotilla.js', import.meta.url))

/** A hub in a process of its own, as users run it. */
export interface HubProcess {
  readonly url: string
  readonly pid: number
  /** When it first said where it listens (performance.now). */
  readonly listeningSince: number
  readonly folder: string
  readonly settingsPath: string
  /** What it has written on stderr so far. */
  stderr(): string
  kill(signal: NodeJS.Signals): void
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>
  [Symbol.asyncDispose](): Promise<void>
}

export interface HubProcessSetup {
  readonly folder?: string
  readonly env?: Record<string, string>
}

/** Starts `flotilla serve` on a free port and waits until it answers. */
export async function spawnHub(
  settings: Settings | undefined,
  setup: HubProcessSetup = {},
): Promise<HubProcess> {
  const folder = setup.folder ?? (await mkdtemp(join(tmpdir(), 'flotilla-process-')))
  const settingsPath = join(folder, 'mcp_settings.json')
  if (settings) await writeFile(settingsPath, JSON.stringify(settings))
  const child = spawn(process.execPath, [FLOTILLA, 'serve'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'en', PORT: '0', ...setup.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const exit = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1))
  })
  const url = await until(
    'the hub says where it listens',
    () => {
      if (child.exitCode !== null) throw new Error(`the hub ended with ${child.exitCode}: ${stderr}`)
      return /http:\/\/127\.0\.0\.1:\d+(?=\/mcp)/.exec(stderr)?.[0]
    },
    20_000,
  )
  return {
    url,
    pid: pidOf(child),
    listeningSince: performance.now(),
    folder,
    settingsPath,
    stderr: () => stderr,
    kill: (signal) => child.kill(signal),
    exit,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exit
      if (!setup.folder) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Runs `flotilla` with arguments to its end. */
export async function runFlotilla(
  args: readonly string[],
  setup: { cwd?: string; env?: Record<string, string>; node?: string } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(setup.node ?? process.execPath, [FLOTILLA, ...args], {
    cwd: setup.cwd,
    env: { PATH: process.env['PATH'], LANG: 'en', ...setup.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the hub has no process id')
  return child.pid
}
