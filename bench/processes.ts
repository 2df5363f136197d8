/** Owner of every process of the bench: each is ended by its own id, whatever happens to the runner. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const graceMs = 10_000
const keptStderrLines = 30

export class Running {
  readonly name: string
  readonly pid: number
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: string[] = []
  readonly #stderr: string[] = []
  #onLine: (() => void) | undefined

  constructor(name: string, child: ChildProcessWithoutNullStreams) {
    if (child.pid === undefined) throw new Error(`${name} could not be started`)
    this.name = name
    this.pid = child.pid
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#lines.push(line)
      this.#onLine?.()
    })
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#stderr.push(line)
      if (this.#stderr.length > keptStderrLines) this.#stderr.shift()
    })
    child.on('exit', () => this.#onLine?.())
    child.stdin.on('error', () => this.#onLine?.())
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  assertAlive(): void {
    if (!this.hasEnded) return
    const ending = this.#child.signalCode ?? this.#child.exitCode
    throw new Error(`${this.name} ended with ${ending}. Its last words:\n${this.#stderr.join('\n')}`)
  }

  writeLine(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  async nextLine(timeoutMs: number): Promise<string> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const line = this.#lines.shift()
      if (line !== undefined) return line
      this.assertAlive()
      const leftMs = until - performance.now()
      if (leftMs <= 0) throw new Error(`${this.name} said nothing for ${timeoutMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#onLine = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await ended
    clearTimeout(timer)
  }

  kill(): void {
    if (!this.hasEnded) this.#child.kill('SIGKILL')
  }
}

export class Processes implements AsyncDisposable {
  readonly #running = new Set<Running>()

  constructor() {
    process.on('exit', () => {
      for (const running of this.#running) running.kill()
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  }

  start(name: string, nodeArguments: string[], env: Record<string, string> = {}, cwd?: string): Running {
    const child = spawn(process.execPath, nodeArguments, {
      stdio: 'pipe',
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    })
    const running = new Running(name, child)
    this.#running.add(running)
    return running
  }

  async stop(running: Running): Promise<void> {
    await running.stop()
    this.#running.delete(running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((running) => this.stop(running)))
  }
}
