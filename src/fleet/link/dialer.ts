import type { NodeFacts } from '../../domain/cluster.ts'
import { type HubError, hubStopping, toHubError } from '../../domain/errors.ts'
import { type BackoffPolicy, backoffDelay } from '../../kernel/backoff.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { type DialTls, dial, newInstance } from './dial.ts'
import type { Link, LinkHandler } from './link.ts'
import type { LinkTuning } from './socket-link.ts'

export interface DialerDeps {
  token(): string | undefined
  readonly tls?: DialTls | undefined
  self(): NodeFacts
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly tuning?: LinkTuning
  readonly backoff?: BackoffPolicy
}

export interface DialerUser {
  /** Called for each new link, in the turn in which it is made; what it throws closes the link. */
  onLink(link: Link): LinkHandler
  /** Called once the link is in use. */
  onUp?(link: Link): void
  /** Called when a link has ended, or a try to make one has failed. */
  onDown?(reason: HubError): void
}

/** What has become of a coordinator's URL. */
export type DialerState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'linked'; readonly link: Link }
  /** `retryAt`: ms since the epoch. */
  | { readonly kind: 'waiting'; readonly reason: HubError; readonly retryAt: number }

const BACKOFF: BackoffPolicy = { initialMs: 200, maxMs: 5_000, factor: 2, healthyAfterMs: 10_000 }
/** The same reason is said again after so many tries. */
const SAY_AGAIN_AFTER = 60

/** Keeps this node linked to its coordinators, for ever. */
export class Dialer {
  readonly #deps: DialerDeps
  readonly #tasks: TaskGroup
  readonly #states = new Map<string, DialerState>()
  /** Who was found at a URL. */
  readonly #peers = new Map<string, string>()
  readonly #instance: string
  #attempts = 0

  constructor(deps: DialerDeps) {
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
    this.#instance = newInstance(deps.random)
  }

  /** By URL. */
  get states(): ReadonlyMap<string, DialerState> {
    return this.#states
  }

  /** Keeps a link to the coordinator at `url` until `close`. Once for each URL. */
  keep(url: string, user: DialerUser): void {
    if (this.#states.has(url)) return
    this.#states.set(url, { kind: 'connecting' })
    this.#tasks.run('link to a coordinator', (signal) => this.#run(url, user, signal))
  }

  /** Ends all links and stops dialing; resolves when all has ended. */
  async close(reason: HubError = hubStopping()): Promise<void> {
    for (const state of this.#states.values()) if (state.kind === 'linked') state.link.close(reason)
    await this.#tasks.close()
  }

  async #run(url: string, user: DialerUser, signal: AbortSignal): Promise<void> {
    const { clock, random, backoff = BACKOFF } = this.#deps
    const complaints = new Complaints(this.#deps.log, url)
    for (let failures = 1; !signal.aborted; failures += 1) {
      this.#states.set(url, { kind: 'connecting' })
      const since = clock.monotonic()
      const reason = await this.#once(url, user, signal, complaints)
      if (signal.aborted) return
      if (clock.monotonic() - since >= backoff.healthyAfterMs) failures = 1
      const waitMs = backoffDelay(backoff, failures, random.fraction())
      this.#states.set(url, { kind: 'waiting', reason, retryAt: clock.now() + waitMs })
      complaints.add(reason)
      user.onDown?.(reason)
      await sleep(clock, waitMs, signal)
      if (reason.code === 'link.replaced') await this.#untilFree(url)
    }
  }

  /** Two URLs lead to one coordinator, which keeps the later link: to dial again would end that. */
  async #untilFree(url: string): Promise<void> {
    const peer = this.#peers.get(url)
    for (const state of this.#states.values())
      if (state.kind === 'linked' && state.link.peer.id === peer) await state.link.closed
  }

  /** One link from its beginning to its end, and why that came. */
  async #once(url: string, user: DialerUser, signal: AbortSignal, complaints: Complaints): Promise<HubError> {
    const { token, tls, self, clock, random, tuning } = this.#deps
    this.#attempts += 1
    try {
      const link = await dial(
        url,
        {
          token: token(),
          tls,
          self: self(),
          instance: this.#instance,
          attempt: this.#attempts,
          onLink: (made) => user.onLink(made),
          clock,
          random,
          ...(tuning ? { tuning } : {}),
        },
        signal,
      )
      if (signal.aborted) link.close(hubStopping())
      if (link.ended) return link.ended
      this.#states.set(url, { kind: 'linked', link })
      this.#peers.set(url, link.peer.id)
      complaints.settled(link)
      user.onUp?.(link)
      return await link.closed
    } catch (error) {
      return toHubError(error)
    }
  }
}

/** What is said of a coordinator: each reason when it is new, and now and then while it stays. */
class Complaints {
  readonly #log: Logger
  readonly #url: string
  #last: string | undefined
  #times = 0

  constructor(log: Logger, url: string) {
    this.#log = log
    // The rest may hold a password.
    this.#url = URL.canParse(url) ? new URL(url).host : 'coordinator'
  }

  add(reason: HubError): void {
    this.#times = this.#last === reason.message ? this.#times + 1 : 0
    this.#last = reason.message
    if (this.#times % SAY_AGAIN_AFTER !== 0) return
    const { code, message, cure } = reason
    this.#log.warn({ coordinator: this.#url, code, ...(cure ? { cure } : {}) }, message)
  }

  settled({ peer }: Link): void {
    this.#last = undefined
    this.#log.info({ coordinator: this.#url, node: peer.id }, 'linked to the coordinator')
  }
}
