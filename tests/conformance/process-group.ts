import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface GroupRun {
  args: readonly string[]
  cwd: string
  env: NodeJS.ProcessEnv
  timeoutMs: number
}

export interface GroupEnd {
  /** The exit code, or why there is none. */
  end: number | 'timed out' | 'killed'
  /** The last part of what it printed on both streams. */
  tail: string
}

const TAIL_CHARS = 4_000

/**
 * Runs Node in a process group of its own and ends the whole group afterwards. The group matters:
 * a client scenario starts a command through a shell, and killing the suite alone would leave it behind.
 */
export async function runInGroup({ args, cwd, env, timeoutMs }: GroupRun): Promise<GroupEnd> {
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_CHARS)
    })
  }
  const exited = once(child, 'exit')
  const killOnExit = (): void => killGroup(child.pid)
  process.once('exit', killOnExit)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child.pid)
  }, timeoutMs)
  try {
    await exited
  } finally {
    clearTimeout(timer)
    process.removeListener('exit', killOnExit)
    killGroup(child.pid)
  }
  return { end: timedOut ? 'timed out' : (child.exitCode ?? 'killed'), tail }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Nobody left in the group is the usual and wanted case.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
