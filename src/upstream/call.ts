import { HubError } from '../domain/errors.ts'
import type { Clock, Timer } from '../kernel/clock.ts'
import type { RpcAnswer, RpcNotification } from '../mcp/json-rpc.ts'
import type { CallTimes, PendingCall, UpstreamCall } from './upstream.ts'

interface Deps {
  readonly server: string
  readonly clock: Clock
}

/** The connection that a call is on. */
export interface CallOwner {
  /** The call is over: nothing more will be said to it. */
  forget(): void
  tellCancelled(reason: string | undefined): void
  onceOver(fire: () => void): () => void
}

/** A call that waits for its answer, and keeps the times that it may take. */
export class Call implements PendingCall {
  readonly id: number
  readonly answer: Promise<RpcAnswer>
  readonly progressToken: number | undefined
  readonly #call: UpstreamCall
  readonly #deps: Deps
  readonly #owner: CallOwner
  readonly #resolve: (answer: RpcAnswer) => void
  readonly #reject: (error: HubError) => void
  #silence: Timer | undefined
  #total: Timer | undefined
  #holds = 0
  #settled = false

  constructor(id: number, call: UpstreamCall, deps: Deps, owner: CallOwner) {
    this.id = id
    this.#call = call
    this.#deps = deps
    this.#owner = owner
    this.progressToken = call.progressToken
    const { promise, resolve, reject } = Promise.withResolvers<RpcAnswer>()
    this.answer = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#watchSilence()
    const { maxTotalTimeoutMs } = this.#limits
    if (maxTotalTimeoutMs > 0)
      this.#total = deps.clock.after(maxTotalTimeoutMs, () =>
        this.#timeOut('maxTotalTimeout', maxTotalTimeoutMs),
      )
  }

  get #limits(): CallTimes {
    return this.#call.limits
  }

  settle(answer: RpcAnswer): void {
    if (this.#end()) this.#resolve(answer)
  }

  fail(error: HubError): void {
    if (this.#end()) this.#reject(error)
  }

  progressed(progress: RpcNotification): void {
    if (this.#limits.resetTimeoutOnProgress && this.#holds === 0) this.#watchSilence()
    this.#call.onProgress?.(progress)
  }

  cancel(reason: string | undefined): void {
    if (this.#settled) return
    this.#owner.tellCancelled(reason)
    this.fail(new HubError('request.cancelled', `The call was cancelled${reason ? `: ${reason}` : ''}.`))
  }

  onceOver(fire: () => void): () => void {
    return this.#owner.onceOver(fire)
  }

  hold(): void {
    this.#holds += 1
    this.#silence?.stop()
  }

  release(): void {
    this.#holds -= 1
    if (this.#holds === 0 && !this.#settled) this.#watchSilence()
  }

  #watchSilence(): void {
    this.#silence?.stop()
    const { timeoutMs } = this.#limits
    this.#silence = this.#deps.clock.after(timeoutMs, () => this.#timeOut('timeout', timeoutMs))
  }

  #timeOut(which: 'timeout' | 'maxTotalTimeout', ms: number): void {
    if (this.#settled) return
    this.#owner.tellCancelled(`no answer within ${ms} ms`)
    this.fail(
      new HubError(
        'upstream.timeout',
        `Server "${this.#deps.server}" did not answer ${this.#call.method} within ${ms} ms.`,
        {
          data: { server: this.#deps.server, timeoutMs: ms },
          cure: `If the call may take longer, raise "options.${which}" of the server (milliseconds).`,
        },
      ),
    )
  }

  #end(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#silence?.stop()
    this.#total?.stop()
    this.#owner.forget()
    return true
  }
}
