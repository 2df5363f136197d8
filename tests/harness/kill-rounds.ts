import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface KillRounds {
  /**
   * A program that writes numbers, each greater than the last, on and on. It prints `begin` before it writes one, and the
   * number once that is safe.
   */
  readonly script: string
  readonly args: readonly string[]
  readonly rounds: number
  /** The longest time that a writer lives after it has begun to write for the last time, ms: about as long as it needs. */
  readonly longestMs: number
  /** Looks at what is there after each kill; it must not be older than `acknowledged`. */
  verify(acknowledged: number): Promise<void>
  /** Where compiled code is kept between the rounds. */
  readonly cache: string
}

/** Starts the writer, kills it at a random moment with SIGKILL, and looks at what it has left; again and again. */
export async function killRounds({ rounds, verify, ...round }: KillRounds): Promise<number> {
  let acknowledged = 0
  for (let count = 0; count < rounds; count += 1) {
    acknowledged = Math.max(acknowledged, await killOnce(round))
    await verify(acknowledged)
  }
  return acknowledged
}

/** So often a writer may begin before it is killed. */
const MOST_WRITES = 2

async function killOnce({
  script,
  args,
  longestMs,
  cache,
}: Omit<KillRounds, 'rounds' | 'verify'>): Promise<number> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: cache },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const lives = 1 + Math.floor(Math.random() * MOST_WRITES)
  child.stdout.on('data', (chunk: Buffer) => {
    const before = beginnings(printed)
    printed += chunk.toString()
    if (before < lives && beginnings(printed) >= lives)
      setTimeout(() => child.kill('SIGKILL'), Math.random() * longestMs)
  })
  const [, signal] = await once(child, 'close')
  if (signal !== 'SIGKILL') throw new Error(`The writer ended by itself: ${errors}`)
  // The last line may have been cut off.
  return Number(
    printed
      .split('\n')
      .slice(0, -1)
      .findLast((line) => line !== 'begin') ?? 0,
  )
}

function beginnings(printed: string): number {
  return printed.split('begin\n').length - 1
}
