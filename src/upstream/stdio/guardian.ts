import { type ChildProcess, spawn } from 'node:child_process'
import type { Logger } from '../../kernel/logger.ts'
import { OWNER_VARIABLE } from './process-tree.ts'

/**
 * A small shell process that outlives the hub by a moment: it reads which process groups exist, and when its input ends,
 * because the hub is gone however that came, it kills them, and then whatever still carries the hub's mark. It stands in
 * a session of its own, so that a signal to the hub's group does not reach it. `sh` takes 1 MB where `node` would take 40.
 */
const SCRIPT = `
trap '' INT TERM HUP
groups=' '
echo ready
exec >&-
while read -r what group; do
  case "$what" in
    add) groups="$groups$group " ;;
    drop) case "$groups" in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for round in 1 2 3 4 5; do
  left=$(grep -sl "${OWNER_VARIABLE}=$1" /proc/[0-9]*/environ | tr -dc '0-9\\n')
  [ -n "$left" ] || break
  for pid in $left; do [ "$pid" = "$$" ] || kill -KILL "$pid" 2>/dev/null; done
done
`

/** Sees to it that no child survives the hub, not even after `SIGKILL` of the hub. */
export class Guardian {
  readonly #mark: string
  readonly #log: Logger
  readonly #groups = new Set<number>()
  #process: ChildProcess | undefined
  #ready: Promise<void> | undefined
  #closing = false

  /** @param mark starts the value of `FLOTILLA_OWNER` in every child of this hub */
  constructor(mark: string, log: Logger) {
    this.#mark = mark
    this.#log = log
  }

  /** Resolves when the guardian watches; a second call while it does costs nothing. */
  ready(): Promise<void> {
    this.#ready ??= this.#start()
    return this.#ready
  }

  add(group: number): void {
    this.#groups.add(group)
    this.#tell(`add ${group}`)
  }

  drop(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`drop ${group}`)
  }

  /** Lets the guardian go; it kills what is still registered. */
  async close(): Promise<void> {
    this.#closing = true
    const running = this.#process
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const ended = new Promise<void>((resolve) => running.once('exit', () => resolve()))
    running.stdin?.end()
    await ended
  }

  #start(): Promise<void> {
    if (process.platform === 'win32') return Promise.resolve()
    const guardian = spawn('/bin/sh', ['-c', SCRIPT, 'flotilla-guardian', this.#mark], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/bin:/bin' },
    })
    this.#process = guardian
    guardian.stdin.on('error', (error) => this.#log.debug({ err: error }, 'the guardian does not listen'))
    guardian.once('exit', () => this.#gone())
    guardian.unref()
    for (const group of this.#groups) this.#tell(`add ${group}`)
    return new Promise((resolve) => {
      guardian.stdout.once('data', () => resolve())
      guardian.once('error', (error) => {
        this.#log.error(
          { err: error },
          'the guardian of child processes did not start; they may outlive the hub',
        )
        resolve()
      })
    })
  }

  #gone(): void {
    this.#process = undefined
    this.#ready = undefined
    if (this.#closing || this.#groups.size === 0) return
    this.#log.warn({}, 'the guardian of child processes was gone; a new one takes over')
    void this.ready()
  }

  #tell(line: string): void {
    this.#process?.stdin?.write(`${line}\n`)
  }
}
