import { HubError, toHubError } from '../../domain/errors.ts'
import type { BackoffPolicy } from '../../kernel/backoff.ts'
import { Change } from '../../kernel/change.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import type { Semaphore } from '../../kernel/semaphore.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import type { ClientIdentity, InboundHandler, Upstream, UpstreamFactory } from '../../upstream/upstream.ts'
import { untilIdle } from './idle.ts'
import { afterFailure, type ReplicaState, troubleOf } from './replica-state.ts'

export interface ReplicaDeps {
  readonly server: string
  readonly factory: UpstreamFactory
  readonly identity: ClientIdentity
  /** A new one for each upstream. */
  inbound(): InboundHandler
  readonly backoff: BackoffPolicy
  /** Bounds how many servers start at the same time. */
  readonly startGate: Semaphore
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly onState: (state: ReplicaState) => void
}

export interface ReplicaMode {
  /** Sleep after this long without a call, and wake with the next. 0 = run always. */
  readonly idleTimeoutMs: number
}

/** Keeps one upstream running: starts it, sees its end, starts it again with capped exponential backoff. */
export class Replica {
  readonly #deps: ReplicaDeps
  readonly #mode: ReplicaMode
  readonly #tasks: TaskGroup
  readonly #change: Change
  #state: ReplicaState = { kind: 'pending' }
  #wake: (() => void) | undefined
  #retired = false

  constructor(deps: ReplicaDeps, mode: ReplicaMode) {
    this.#deps = deps
    this.#mode = mode
    this.#tasks = new TaskGroup(deps.log)
    this.#change = new Change(deps.clock)
  }

  get state(): ReplicaState {
    return this.#state
  }

  start(): void {
    this.#tasks.run('replica', (signal) => this.#live(signal))
  }

  /**
   * The running upstream. Waits up to `waitMs` for one that starts or is about to; a server whose next try lies
   * farther ahead, or that keeps failing, fails at once.
   * @throws HubError `server.unavailable`, with the state and its reason
   */
  async upstream(waitMs: number): Promise<Upstream> {
    const deadline = this.#deps.clock.monotonic() + waitMs
    for (;;) {
      const state = this.#state
      const now = this.#deps.clock.monotonic()
      if (state.kind === 'running' && !state.upstream.ended) return state.upstream
      if (state.kind === 'asleep') this.#wake?.()
      const hopeless = state.kind === 'terminated' || (state.kind === 'failed' && isFar(state, now, deadline))
      if (hopeless || now >= deadline) throw unavailable(this.#deps.server, state, now)
      await this.#change.next(deadline - now)
    }
  }

  /** Lets it go on as long as it runs, but not come back. */
  retire(): void {
    this.#retired = true
    this.#wake?.()
  }

  async stop(): Promise<void> {
    await this.#tasks.close()
    this.#enter({ kind: 'terminated' })
  }

  async #live(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted && !this.#retired) {
      let startedAt = this.#deps.clock.monotonic()
      try {
        const upstream = await this.#open(signal)
        if (signal.aborted) return await upstream.close()
        startedAt = this.#deps.clock.monotonic()
        this.#enter({ kind: 'running', since: startedAt, upstream })
        const end = await this.#untilEnd(upstream, signal)
        if (signal.aborted) return
        if (end === 'idle') {
          failures = 0
          await this.#sleepUntilWoken(signal)
          continue
        }
        throw end
      } catch (error) {
        if (signal.aborted) return
        const now = this.#deps.clock.monotonic()
        const ranForMs = this.#state.kind === 'running' ? now - startedAt : 0
        const failed = afterFailure(
          toHubError(error),
          { failures, ranForMs },
          now,
          this.#deps.backoff,
          this.#deps.random.fraction(),
        )
        failures = failed.failures
        this.#enter(failed)
        await this.#pause(failed.retryAt - now, signal)
      }
    }
  }

  async #open(signal: AbortSignal): Promise<Upstream> {
    const { startGate, factory, identity, inbound, clock } = this.#deps
    const release = await startGate.acquire(signal)
    // A server that takes long must not keep the others from starting.
    const slot = clock.after(START_SLOT_MS, release)
    try {
      signal.throwIfAborted()
      const after = troubleOf(this.#state)
      this.#enter({ kind: 'starting', since: clock.monotonic(), ...(after ? { after } : {}) })
      return await factory.open(identity, inbound(), signal)
    } finally {
      slot.stop()
      release()
    }
  }

  /** Waits for the upstream's end; closes it when it has been idle too long or the replica stops. */
  async #untilEnd(upstream: Upstream, signal: AbortSignal): Promise<HubError | 'idle'> {
    const close = () => void upstream.close()
    signal.addEventListener('abort', close, { once: true })
    if (signal.aborted) close()
    try {
      const { idleTimeoutMs } = this.#mode
      if (idleTimeoutMs > 0 && (await untilIdle(upstream, idleTimeoutMs, this.#deps.clock))) {
        await upstream.close()
        return 'idle'
      }
      return await upstream.closed
    } finally {
      signal.removeEventListener('abort', close)
      // Its processes are gone before the next one starts.
      await upstream.close()
    }
  }

  async #sleepUntilWoken(signal: AbortSignal): Promise<void> {
    this.#enter({ kind: 'asleep' })
    await this.#pause(undefined, signal)
  }

  /** Waits `ms` (or for ever), until woken or stopped. */
  async #pause(ms: number | undefined, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    const either = AbortSignal.any([signal, woken.signal])
    if (ms !== undefined) await sleep(this.#deps.clock, ms, either)
    else if (!either.aborted)
      await new Promise<void>((resolve) => either.addEventListener('abort', () => resolve(), { once: true }))
    this.#wake = undefined
  }

  #enter(state: ReplicaState): void {
    this.#state = state
    this.#deps.onState(state)
    this.#change.tell()
  }
}

/** After repeated failures only a try that is due any moment is worth waiting for. */
function isFar(state: Extract<ReplicaState, { kind: 'failed' }>, now: number, deadline: number): boolean {
  return state.retryAt > deadline || (state.failures > 1 && state.retryAt > now + SOON_MS)
}

const SOON_MS = 1_000

/** How long a starting server counts against the bound on servers that start at a time, ms. */
export const START_SLOT_MS = 10_000

export function unavailable(server: string, state: ReplicaState, now: number): HubError {
  if (state.kind === 'failed') {
    const seconds = Math.max(0, Math.ceil((state.retryAt - now) / 1000))
    return new HubError('server.unavailable', `Server "${server}" is down: ${state.error.message}`, {
      cause: state.error,
      data: { server, state: 'failed', failures: state.failures },
      retryAfter: Math.max(1, seconds),
      cure: `The hub tries again in ${seconds} s (failure ${state.failures} in a row).`,
    })
  }
  return new HubError('server.unavailable', `Server "${server}" ${situationOf(state)}`, {
    data: { server, state: state.kind },
    retryAfter: 1,
    cure: 'Try again in a moment.',
  })
}

function situationOf(state: ReplicaState): string {
  if (state.kind === 'terminated') return 'was stopped or removed.'
  const trouble = troubleOf(state)
  return trouble ? `is being started again after a failure: ${trouble.message}` : 'is still starting.'
}
