import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settings } from './hub.ts'
import { FLOTILLA } from './hub-process.ts'
import { freePort } from './ports.ts'
import { until } from './wait.ts'

export interface NodeSetup {
  readonly name: string
  /** Its own; is made. */
  readonly folder: string
  /** A text is written as it is. undefined: it has no settings file. */
  readonly settings?: Settings | string | undefined
  /** All that it is told, but for `PATH`, `PORT` and where its files are. */
  readonly env: Readonly<Record<string, string>>
  /** Chosen when it is left out; the same after a restart. */
  readonly port?: number
  /** What its port speaks; `http` if it is left out. */
  readonly scheme?: 'http' | 'https' | undefined
}

const START_MS = 20_000
const SHOWN_LOG_CHARS = 6_000

/** One Flotilla in a process of its own, which leads a group; as users run it. */
export class ClusterNode {
  readonly name: string
  readonly folder: string
  readonly port: number
  readonly #setup: NodeSetup
  #child: ChildProcess | undefined
  #log = ''

  /** Starts it and waits until it answers over HTTP. @throws when it ends before, with its log */
  static async start(setup: NodeSetup): Promise<ClusterNode> {
    await mkdir(setup.folder, { recursive: true })
    const node = new ClusterNode(setup, setup.port ?? (await freePort()))
    try {
      if (setup.settings !== undefined) await node.writeSettings(setup.settings)
      await node.start()
      return node
    } catch (error) {
      await node.kill()
      throw error
    }
  }

  private constructor(setup: NodeSetup, port: number) {
    this.#setup = setup
    this.name = setup.name
    this.folder = setup.folder
    this.port = port
  }

  get url(): string {
    return `${this.#setup.scheme ?? 'http'}://127.0.0.1:${this.port}`
  }

  /** Where its settings are, or would be. */
  get settingsPath(): string {
    return join(this.folder, 'mcp_settings.json')
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run.`)
    return pid
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What it has written on stderr and stdout, over all its starts. */
  get log(): string {
    return this.#log
  }

  /** The end of its log, under a headline with its name. */
  tail(): string {
    const state = this.running ? `pid ${this.pid}` : 'not running'
    return `--- ${this.name} (${state})\n${this.#log.slice(-SHOWN_LOG_CHARS)}`
  }

  /** Starts it, anew where it has run before: same port, same folder. */
  async start(): Promise<void> {
    const { env, settings } = this.#setup
    const child = spawn(process.execPath, [FLOTILLA, 'serve'], {
      cwd: this.folder,
      detached: true,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        LANG: 'en',
        HOST: '127.0.0.1',
        PORT: String(this.port),
        DATA_DIR: join(this.folder, 'data'),
        ...(settings === undefined ? {} : { MCPHUB_SETTING_PATH: this.settingsPath }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const { pid } = child
    if (pid !== undefined) {
      watch.add(pid)
      child.once('exit', () => watch.drop(pid))
    }
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => {
        this.#log += text.toString()
      })
    await until(`${this.name} answers`, () => this.#answers(), START_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.tail()}`)
    })
  }

  async #answers(): Promise<boolean> {
    if (!this.running) throw new Error(`${this.name} has ended with ${this.#child?.exitCode}.`)
    return fetch(`${this.url}/livez`, { signal: AbortSignal.timeout(2_000) }).then(
      async (answer) => {
        await answer.body?.cancel()
        return true
      },
      () => false,
    )
  }

  /** Sends a signal to its process alone: what it has started finds out by itself. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) process.kill(this.pid, signal)
  }

  /** `SIGKILL`, and waits for its end. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || !this.running) return
    const ended = once(child, 'exit')
    killGroup(child.pid)
    await ended
  }

  /** `SIGTERM`; gives the exit code, or the signal that ended it. */
  async stop(): Promise<number | string> {
    const child = this.#child
    if (!child || !this.running) return 'not running'
    const ended = once(child, 'exit')
    this.signal('SIGTERM')
    await ended
    return child.exitCode ?? child.signalCode ?? 'ended'
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  async writeSettings(settings: Settings | string): Promise<void> {
    await writeFile(this.settingsPath, typeof settings === 'string' ? settings : JSON.stringify(settings))
  }
}

/** Reads `add <group>` and `drop <group>`; when its input ends, because the test process is gone, it kills the groups. */
const WATCH = `
trap '' INT TERM HUP
groups=' '
while read -r what group; do
  case "$what" in
    add) groups="$groups$group " ;;
    drop) case "$groups" in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`

/** Takes the nodes of a test process with it, however that ends: a runner kills the processes of tests that take too long. */
class Watch {
  #process: ChildProcess | undefined

  add(group: number): void {
    this.#tell(`add ${group}`)
  }

  drop(group: number): void {
    this.#tell(`drop ${group}`)
  }

  #tell(line: string): void {
    this.#process ??= this.#start()
    this.#process.stdin?.write(`${line}\n`)
  }

  #start(): ChildProcess {
    const watch = spawn('/bin/sh', ['-c', WATCH], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    watch.unref()
    const { stdin } = watch
    stdin?.on('error', () => undefined)
    // Its pipe alone must not keep the test process alive.
    if (stdin && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
    return watch
  }
}

const watch = new Watch()

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Processes that have to do with a folder: it is in their command line, or they stand in it. As `pid command line`. */
export async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const lines = await Promise.all(
    pids.map(async (pid) => {
      // A process may end while it is looked at.
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      const place = await readlink(`/proc/${pid}/cwd`).catch(() => '')
      const own = command.includes(folder) || place.startsWith(folder)
      return own ? `${pid} ${command.replaceAll('\0', ' ')}` : undefined
    }),
  )
  return lines.filter((line) => line !== undefined)
}
