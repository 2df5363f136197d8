import { HubError } from '../../src/domain/errors.ts'
import { jsonBytes, type RpcAnswer, type RpcRequest } from '../../src/mcp/json-rpc.ts'
import type { ServerHello } from '../../src/mcp/methods.ts'
import type { PendingCall, Upstream, UpstreamCall } from '../../src/upstream/upstream.ts'
import { serverHello } from './domain.ts'

/** One request that a fake upstream got: the test decides what becomes of it. */
export class FakeCall implements PendingCall {
  static #last = 0
  readonly id: number
  readonly call: UpstreamCall
  readonly answer: Promise<RpcAnswer>
  /** Reasons of the cancellations so far. */
  readonly cancellations: (string | undefined)[] = []
  /** How many holds are in force. */
  holds = 0
  /** Callbacks that wait for the server to have come to its end with a call that nobody waits for. */
  readonly waitingForEnd: (() => void)[] = []
  readonly #settle: PromiseWithResolvers<RpcAnswer>

  constructor(call: UpstreamCall) {
    FakeCall.#last += 1
    this.id = FakeCall.#last
    this.call = call
    this.#settle = Promise.withResolvers()
    this.answer = this.#settle.promise
    // A test may leave a failure unseen.
    this.answer.catch(() => undefined)
  }

  /** `params` as the server reads them. */
  get params(): unknown {
    return this.call.params && JSON.parse(this.call.params.toString())
  }

  succeed(result: unknown): void {
    this.#settle.resolve({ kind: 'result', id: 1, result, body: jsonBytes(result) })
  }

  refuse(code: number, message: string): void {
    const error = { code, message }
    this.#settle.resolve({ kind: 'error', id: 1, error, body: jsonBytes(error) })
  }

  fail(error: HubError): void {
    this.#settle.reject(error)
  }

  cancel(reason: string | undefined): void {
    this.cancellations.push(reason)
    this.fail(new HubError('request.cancelled', 'The call was cancelled.'))
  }

  onceOver(fire: () => void): () => void {
    this.waitingForEnd.push(fire)
    return () => this.waitingForEnd.splice(this.waitingForEnd.indexOf(fire), 1)
  }

  /** The server's late answer has come: it is no longer at work on a call that nobody waits for. */
  endLate(): void {
    for (const fire of this.waitingForEnd.splice(0)) fire()
  }

  hold(): void {
    this.holds += 1
  }

  release(): void {
    this.holds -= 1
  }
}

/** An upstream that keeps what it is asked and answers when the test says so. */
export class FakeUpstream implements Upstream {
  readonly hello: ServerHello
  readonly calls: FakeCall[] = []
  readonly notified: { method: string; params: Buffer | undefined }[] = []
  readonly responded: { id: RpcRequest['id']; answer: RpcAnswer }[] = []
  readonly closed: Promise<HubError>
  idleSince: number | undefined = 0
  load = 0
  ended: HubError | undefined
  closeCalls = 0
  /** Looks at each call as it comes, such as to answer it at once. */
  onRequest: ((call: FakeCall) => void) | undefined
  readonly #resolveClosed: (reason: HubError) => void

  constructor(hello = serverHello()) {
    this.hello = hello
    const { promise, resolve } = Promise.withResolvers<HubError>()
    this.closed = promise
    this.#resolveClosed = resolve
  }

  request(call: UpstreamCall): FakeCall {
    const pending = new FakeCall(call)
    this.calls.push(pending)
    this.onRequest?.(pending)
    return pending
  }

  notify(method: string, params: Buffer | undefined): void {
    this.notified.push({ method, params })
  }

  respond(answer: { id: RpcRequest['id']; answer: RpcAnswer }): void {
    this.responded.push(answer)
  }

  /** The connection ends by itself, such as by a crash. */
  end(reason: HubError = new HubError('upstream.lost', 'The process ended.')): void {
    if (this.ended) return
    this.ended = reason
    this.#resolveClosed(reason)
  }

  async close(): Promise<void> {
    this.closeCalls += 1
    this.end(new HubError('upstream.lost', 'The connection was closed.'))
  }

  /** The newest call. */
  get lastCall(): FakeCall {
    const call = this.calls.at(-1)
    if (!call) throw new Error('The upstream was not called.')
    return call
  }
}
