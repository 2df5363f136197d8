import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { HubError } from '../../domain/errors.ts'
import type { StdioSpec } from '../../domain/server-spec.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Ring } from '../../kernel/ring.ts'
import { parseMessage } from '../../mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../channel.ts'
import type { Harmless } from '../upstream.ts'
import { childEnvironment } from './environment.ts'
import type { Guardian } from './guardian.ts'
import { LineSplitter } from './line-splitter.ts'
import { killOwned, OWNER_VARIABLE, signalGroup } from './process-tree.ts'

export interface StdioLimits {
  /** Longest message in bytes that a server may send. */
  readonly maxMessageBytes: number
  /** How much may wait for a server that does not read. */
  readonly maxQueuedBytes: number
  /** How long a process gets to end after its input was closed, and again after SIGTERM. */
  readonly graceMs: number
}

export const STDIO_LIMITS: StdioLimits = {
  maxMessageBytes: 128 * 1024 * 1024,
  maxQueuedBytes: 64 * 1024 * 1024,
  graceMs: 2_000,
}

export interface StdioDeps {
  readonly server: string
  readonly clock: Clock
  readonly log: Logger
  readonly guardian: Guardian
  /** The value of `FLOTILLA_OWNER` for this process and its descendants. */
  readonly owner: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly stderr: Ring<string>
  readonly harmless: Harmless
  readonly limits: StdioLimits
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** The stdio transport (spec, basic/transports, "stdio"): one process, one message a line, logs on stderr. */
export class StdioChannel implements Channel {
  readonly #child: Child
  readonly #deps: StdioDeps
  readonly #events: ChannelEvents
  readonly #exited: Promise<void>
  #closing: Promise<void> | undefined
  #reason: HubError | undefined
  #outgoing: Buffer[] = []
  #unanswered = 0

  /** @throws HubError `server.unavailable` when the program cannot be started */
  static async open(spec: StdioSpec, events: ChannelEvents, deps: StdioDeps): Promise<StdioChannel> {
    // It must watch before there is anything to watch.
    await deps.guardian.ready()
    const child = spawn(spec.command, [...spec.args], {
      cwd: spec.cwd,
      env: { ...childEnvironment(deps.environment, spec.env), [OWNER_VARIABLE]: deps.owner },
      stdio: ['pipe', 'pipe', 'pipe'],
      shell: false,
      // A group of its own, so that a signal reaches npx and the server that it started alike.
      detached: process.platform !== 'win32',
      windowsHide: true,
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => reject(cannotStart(deps.server, spec, cause)))
    })
    return new StdioChannel(child, events, deps)
  }

  private constructor(child: Child, events: ChannelEvents, deps: StdioDeps) {
    this.#child = child
    this.#deps = deps
    this.#events = events
    if (child.pid !== undefined) deps.guardian.add(child.pid)
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()))
    child.once('exit', (code, signal) => void this.#readRest(code, signal))
    child.on('error', (error) => deps.log.warn({ err: error }, 'trouble with the process of a server'))
    this.#readMessages()
    this.#readStderr()
    // A server that closes one of its ends is of no use any more, even if its process goes on.
    child.stdin.once('error', () => this.#pipeClosed('input'))
    child.stdout.once('end', () => this.#pipeClosed('output'))
  }

  send(message: Outgoing): void {
    const { stdin } = this.#child
    if (this.#reason || !stdin.writable) return
    if (stdin.writableLength > this.#deps.limits.maxQueuedBytes) {
      this.#stop(
        new HubError(
          'upstream.overloaded',
          `Server "${this.#deps.server}" does not read its input; it is restarted.`,
        ),
      )
      return
    }
    if (message.requestId !== undefined) this.#unanswered += 1
    this.#outgoing.push(message.bytes, NEWLINE)
    if (this.#outgoing.length > 2) return
    // Alone, a message leaves at once; in company, all that come in one turn of the event loop leave in one write, which
    // under load is most of the work saved.
    if (this.#unanswered <= 1) this.#flush()
    else setImmediate(() => this.#flush())
  }

  #flush(): void {
    const pieces = this.#outgoing
    if (pieces.length === 0) return
    this.#outgoing = []
    if (this.#reason || !this.#child.stdin.writable) return
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (size < COPY_BELOW) this.#child.stdin.write(Buffer.concat(pieces, size))
    else for (const piece of pieces) this.#child.stdin.write(piece)
  }

  abandon(): void {
    // A late answer is known by its id; one that never comes must not count for ever.
    this.#unanswered = Math.max(0, this.#unanswered - 1)
  }

  agreed(): void {
    // Nothing on a pipe depends on the revision.
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  /** Input closed → grace → SIGTERM → grace → SIGKILL, each to the whole group; then whoever left the group. */
  async #shutDown(): Promise<void> {
    const { clock, guardian, limits, log, owner } = this.#deps
    const group = this.#child.pid
    this.#flush()
    this.#child.stdin.end()
    if (group !== undefined) {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        if (await this.#exitsWithin(clock, limits.graceMs)) break
        killChild(this.#child, group, signal, log)
      }
      await this.#exited
      // The leader is gone; what it started in its group must not stay.
      if (process.platform !== 'win32') signalGroup(group, 'SIGKILL', log)
      await killOwned(owner, log)
      guardian.drop(group)
    }
    this.#child.stdout.destroy()
    this.#child.stderr.destroy()
  }

  #exitsWithin(clock: Clock, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = clock.after(ms, () => resolve(false))
      void this.#exited.then(() => {
        timer.stop()
        resolve(true)
      })
    })
  }

  /** What the process wrote before it ended still counts, unless a descendant keeps the pipe open. */
  async #readRest(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    const { stdout } = this.#child
    if (!stdout.readableEnded) {
      await new Promise<void>((resolve) => {
        const timer = this.#deps.clock.after(PIPE_DRAIN_MS, resolve)
        stdout.once('close', () => {
          timer.stop()
          resolve()
        })
      })
    }
    this.#end(exitReason(this.#deps, code, signal))
  }

  #pipeClosed(which: 'input' | 'output'): void {
    const { clock, server } = this.#deps
    // A process that is just ending tells more by its exit code.
    clock.after(2 * PIPE_DRAIN_MS, () =>
      this.#stop(
        new HubError('upstream.lost', `Server "${server}" has closed its ${which}.`, { data: { server } }),
      ),
    )
  }

  #stop(reason: HubError): void {
    this.#end(reason)
    void this.close()
  }

  #end(reason: HubError): void {
    if (this.#reason) return
    this.#reason = reason
    this.#events.closed(reason)
    void this.close()
  }

  #readMessages(): void {
    const { server, limits } = this.#deps
    const lines = new LineSplitter({
      limit: limits.maxMessageBytes,
      onLine: (line) => this.#takeLine(line),
      onTooLong: () =>
        this.#stop(
          new HubError(
            'upstream.invalid',
            `Server "${server}" sent a message of more than ${limits.maxMessageBytes} bytes.`,
            {
              data: { server },
              cure: 'The hub has stopped it. Ask the server for less at once, or have it write its logs on stderr.',
            },
          ),
        ),
    })
    this.#child.stdout.on('data', (chunk: Buffer) => lines.push(chunk))
  }

  #takeLine(line: Buffer): void {
    if (this.#reason) return
    try {
      const message = parseMessage(line)
      if (message.kind === 'result' || message.kind === 'error') this.#unanswered -= 1
      this.#events.message(message, undefined)
    } catch (error) {
      if (!(error instanceof HubError))
        this.#deps.log.error({ err: error }, 'a message of the server could not be used')
      const text = this.#deps.harmless(line.toString('utf8', 0, MOST_READ), 200)
      this.#deps.log.debug({ line: text }, 'the server wrote something on stdout that is no message')
      this.#deps.stderr.push(`[stdout] ${text}`)
    }
  }

  #readStderr(): void {
    const lines = new LineSplitter({
      limit: MAX_STDERR_LINE,
      onLine: (line) => {
        const text = this.#deps.harmless(line.toString('utf8', 0, MOST_READ), 2_000)
        this.#deps.stderr.push(text)
        this.#deps.log.debug({ line: text }, 'stderr of the server')
      },
      onTooLong: () => this.#deps.stderr.push('[a line on stderr was too long; no more lines are kept]'),
    })
    this.#child.stderr.on('data', (chunk: Buffer) => lines.push(chunk))
    this.#child.stderr.on('end', () => lines.end())
  }
}

const NEWLINE = Buffer.from('\n')
const PIPE_DRAIN_MS = 200
/** Below this, one copy is cheaper than a second write. */
const COPY_BELOW = 64 * 1024
const MAX_STDERR_LINE = 1024 * 1024
/** Bytes of a line that are looked at: far more than are kept, so that no secret is cut in two before it is found. */
const MOST_READ = 64 * 1024

function killChild(child: Child, group: number, signal: NodeJS.Signals, log: Logger): void {
  if (process.platform === 'win32') child.kill(signal)
  else signalGroup(group, signal, log)
}

function cannotStart(server: string, spec: StdioSpec, cause: Error): HubError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  return new HubError('server.unavailable', `Server "${server}" cannot be started: ${cause.message}.`, {
    cause,
    data: { server, command: spec.command },
    cure: missing
      ? `Install "${spec.command}", or write its full path as "command" (and check "cwd", if it is set).`
      : 'Check "command", "args" and "cwd" of the server.',
  })
}

function exitReason(deps: StdioDeps, code: number | null, signal: NodeJS.Signals | null): HubError {
  const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`
  const last = deps.stderr.items().at(-1)
  return new HubError(
    'upstream.lost',
    `The process of server "${deps.server}" ${how}.${last ? ` Its last words: ${last}` : ''}`,
    {
      data: { server: deps.server, exitCode: code, signal },
    },
  )
}
