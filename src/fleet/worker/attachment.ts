import { HubError, toHubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import { TransitMap } from '../../kernel/transit-map.ts'
import {
  isObject,
  type RequestId,
  type RpcAnswer,
  type RpcNotification,
  type RpcRequest,
} from '../../mcp/json-rpc.ts'
import { locate, splice } from '../../mcp/json-text.ts'
import { NOTIFICATION, TOKEN_PATH } from '../../mcp/methods.ts'
import { UnreadFailure, UnreadResult } from '../../mcp/unread.ts'
import type { CallTimes, PendingCall, UpstreamCall } from '../../upstream/upstream.ts'
import type { Link } from '../link/link.ts'
import { linkViolation, type RelatedNumber } from '../link/packet-bytes.ts'
import {
  type CancelPacket,
  encodePacket,
  longLane,
  type NotifyPacket,
  type RequestPacket,
  type RespondPacket,
  SHORT_BYTES,
  upstreamLane,
  type WorkerPacket,
} from '../link/packets.ts'
import { errorBytes, helloBytes, readId, withData } from '../link/wire-values.ts'
import type { Attached, ServedUpstream } from './served-upstream.ts'

interface Deps {
  readonly link: Link
  /** The coordinator's number for the upstream. */
  readonly number: number
  readonly served: ServedUpstream
  readonly clock: Clock
  /** A progress token that no other call on this worker has. */
  nextToken(): number
  onClosed(): void
}

/** The coordinator watches the time: here a call may take as long as it wants. */
const NO_LIMITS: CallTimes = {
  timeoutMs: 24 * 3_600_000,
  resetTimeoutOnProgress: true,
  maxTotalTimeoutMs: 0,
}
/** How long a cancelled call counts as at work if no late answer tells when it ended, ms. */
const LINGER_MS = 60_000
/** Questions of one server that wait for one coordinator's answer. */
const MAX_QUESTIONS = 1_000

/** One coordinator's use of one upstream: its calls, and the questions that the server has put to it. */
export class Attachment implements Attached {
  readonly #deps: Deps
  readonly #calls = new TransitMap<number, PendingCall>()
  /** By the calls' own ids. */
  readonly #numbers = new Map<number, number>()
  readonly #questions = new Set<RequestId>()
  #retired = false
  #over = false

  constructor(deps: Deps) {
    this.#deps = deps
    const { served, number } = deps
    this.#send({ kind: 'opened', upstream: number, body: helloBytes(served.upstream.hello) })
    served.attach(this)
    // Its end may have been announced before anybody was attached.
    if (served.upstream.ended) this.upstreamClosed(served.upstream.ended)
  }

  get load(): number {
    return this.#calls.size
  }

  numberOf(pending: PendingCall): number | undefined {
    return this.#numbers.get(pending.id)
  }

  request({ call, method, params, progressToken }: RequestPacket): void {
    if (this.#calls.has(call)) throw linkViolation(`call ${call} is under way already`)
    try {
      const asked = { method, params, limits: NO_LIMITS }
      const pending = this.#deps.served.upstream.request(
        progressToken === undefined ? asked : this.#withProgress(asked, call),
      )
      this.#calls.set(call, pending)
      this.#numbers.set(pending.id, call)
      pending.answer.then(
        (answer) => this.#answered(call, pending, answer),
        (error: unknown) => this.#failed(call, pending, toHubError(error)),
      )
    } catch (error) {
      this.#sendFailure(call, withData(toHubError(error), { accepted: false }))
    }
  }

  cancel({ call, reason }: CancelPacket): void {
    const pending = this.#calls.get(call)
    if (!pending) return
    this.#forget(call, pending)
    this.#abandon(pending, reason, () => this.#send({ kind: 'over', upstream: this.#deps.number, call }))
  }

  notify({ method, params }: NotifyPacket): void {
    this.#deps.served.upstream.notify(method, params)
  }

  /** The answer to a question. */
  respond({ id: text, isError, body }: RespondPacket): void {
    const id = readId(text)
    // The server may have withdrawn it meanwhile.
    if (!this.#questions.delete(id)) return
    const answer = isError ? new UnreadFailure(id, body) : new UnreadResult(id, body, false)
    this.#deps.served.upstream.respond({ id, answer })
  }

  ask({ id, method, body }: RpcRequest, related: RelatedNumber): void {
    const { served, number } = this.#deps
    if (this.#questions.size >= MAX_QUESTIONS) return served.refuse(id, tooManyQuestions(served.server))
    this.#questions.add(id)
    this.#send({ kind: 'asked', upstream: number, related, id: JSON.stringify(id), method, params: body })
  }

  note({ method, params, body }: RpcNotification, related: RelatedNumber): void {
    if (method === NOTIFICATION.cancelled) {
      const id = params?.['requestId']
      if (typeof id === 'string' || typeof id === 'number') this.#questions.delete(id)
    }
    this.#send({ kind: 'noted', upstream: this.#deps.number, related, method, params: body })
  }

  upstreamClosed(reason: HubError): void {
    if (this.#over) return
    this.#over = true
    const { served, onClosed } = this.#deps
    served.detach(this)
    if (!this.#retired) this.#sendClosed(reason)
    onClosed()
  }

  /** The process is to take no new calls: those that it has go on to their end. */
  retire(reason: HubError): void {
    if (this.#retired || this.#over) return
    this.#retired = true
    this.#sendClosed(reason)
    if (this.#calls.size === 0) this.#finish()
  }

  /** The coordinator is gone, or does not use it any more: what it waits for is called off. */
  detach(reason: string): void {
    if (this.#over) return
    this.#over = true
    const { served } = this.#deps
    served.detach(this)
    for (const [call, pending] of [...this.#calls.entries()]) {
      this.#forget(call, pending)
      this.#abandon(pending, reason, () => undefined)
    }
    for (const id of this.#questions) served.refuse(id, askerGone(served.server))
    this.#questions.clear()
  }

  #withProgress({ method, params, limits }: UpstreamCall, call: number): UpstreamCall {
    const progressToken = this.#deps.nextToken()
    const at = params && locate(params, TOKEN_PATH)
    return {
      method,
      params: params && at ? splice(params, [{ ...at, text: JSON.stringify(progressToken) }]) : params,
      limits,
      progressToken,
      onProgress: ({ body }) => {
        if (body && !this.#over) this.#send({ kind: 'progress', upstream: this.#deps.number, call, body })
      },
    }
  }

  /** Called off; the server may go on with it all the same. */
  #abandon(pending: PendingCall, reason: string | undefined, over: () => void): void {
    const { served, clock } = this.#deps
    const atEnd = served.lingers(this)
    pending.cancel(reason)
    const timer = clock.after(LINGER_MS, () => {
      stopWaiting()
      atEnd()
    })
    const stopWaiting = pending.onceOver(() => {
      timer.stop()
      atEnd()
      over()
    })
  }

  #answered(call: number, pending: PendingCall, answer: RpcAnswer): void {
    if (!this.#forget(call, pending)) return
    const upstream = this.#deps.number
    const { body } = answer
    if (answer.kind === 'error') return this.#send({ kind: 'error', upstream, call, body }, call)
    const { result } = answer
    const isError = isObject(result) && result['isError'] === true
    this.#send({ kind: 'result', upstream, call, isError, body }, call)
  }

  #finish(): void {
    this.detach('the server was replaced')
    this.#deps.onClosed()
  }

  #failed(call: number, pending: PendingCall, error: HubError): void {
    if (this.#forget(call, pending)) this.#sendFailure(call, error)
  }

  #sendClosed(reason: HubError): void {
    this.#send({ kind: 'closed', upstream: this.#deps.number, body: errorBytes(reason) })
  }

  #sendFailure(call: number, error: HubError): void {
    this.#send({ kind: 'failed', upstream: this.#deps.number, call, body: errorBytes(error) })
  }

  /** Returns whether the coordinator still waits for it. */
  #forget(call: number, pending: PendingCall): boolean {
    if (this.#calls.get(call) !== pending) return false
    this.#numbers.delete(pending.id)
    this.#calls.delete(call)
    if (this.#retired && !this.#over && this.#calls.size === 0) this.#finish()
    return true
  }

  /** @param call whose answer it is: a long one goes on a lane of its own */
  #send(packet: WorkerPacket, call?: number): void {
    const { link, number } = this.#deps
    const bytes = encodePacket(packet)
    const long = call !== undefined && bytes.length > SHORT_BYTES
    link.send(long ? longLane({ upstream: number, call }) : upstreamLane(number), bytes)
  }
}

function tooManyQuestions(server: string): HubError {
  return new HubError(
    'upstream.overloaded',
    `Server "${server}" has ${MAX_QUESTIONS} questions open; it may not ask more.`,
    { data: { server }, cure: 'Wait for the answers first.' },
  )
}

function askerGone(server: string): HubError {
  return new HubError(
    'client.gone',
    `The client that server "${server}" asked cannot be reached: its coordinator is gone.`,
    { data: { server }, cure: 'Let it call again.' },
  )
}
