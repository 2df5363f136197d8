import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { parseBody } from '../../mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../channel.ts'
import { type EventReaderOptions, isEventStream, readEvents } from '../http/event-reader.ts'
import {
  brokenOff,
  forgotten,
  type HttpResponse,
  type HttpTarget,
  readAll,
  readHint,
  refused,
  send,
  wasNotAccepted,
} from '../http/http-request.ts'
import { withTimeLimit } from '../http/time-limit.ts'

export interface HttpLimits {
  readonly maxMessageBytes: number
  /** Wait before a stream is opened again when the server has not said how long, ms. */
  readonly retryMs: number
  /** Longest wait before a stream is opened again, whatever the server says, ms. */
  readonly maxRetryMs: number
  /** How many tries in a row to open a stream may fail. Each doubles the wait before the next. */
  readonly maxFailures: number
  /** How long the server may take to accept a message that is no request, ms. */
  readonly notifyMs: number
}

export const HTTP_LIMITS: HttpLimits = {
  maxMessageBytes: 64 * 1024 * 1024,
  retryMs: 1_000,
  maxRetryMs: 30_000,
  maxFailures: 5,
  notifyMs: 10_000,
}

export interface HttpChannelDeps {
  readonly target: HttpTarget
  readonly clock: Clock
  readonly log: Logger
  readonly limits: HttpLimits
}

/** What a stream needs to know to be opened again where it broke off. */
interface StreamPosition {
  lastEventId: string | undefined
  retryMs: number
}

const END_SESSION_MS = 1_000
/** How long requests that are on their way may take to be refused as well, once one was. */
const LAST_ANSWERS_MS = 1_000

/** Streamable HTTP as its client (spec 2025-11-25, basic/transports, "Streamable HTTP"). */
export class HttpChannel implements Channel {
  readonly #deps: HttpChannelDeps
  readonly #events: ChannelEvents
  readonly #tasks: TaskGroup
  /** Requests whose answer has not come, each with what ends its exchange. */
  readonly #open = new Map<number, AbortController>()
  /** Requests that the server has not begun to answer. */
  readonly #onTheirWay = new Set<number>()
  /** Requests that the server has certainly not taken up, and why. */
  readonly #refused = new Map<number, HubError>()
  #sessionId: string | undefined
  #revision: string | undefined
  /** Resolves once the server has taken `notifications/initialized`, or failed to. */
  #greeted: Promise<void> | undefined
  #ended = false
  #closing: Promise<void> | undefined

  constructor(events: ChannelEvents, deps: HttpChannelDeps) {
    this.#events = events
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
  }

  send({ bytes, requestId }: Outgoing): void {
    if (requestId !== undefined) return this.#sendRequest(bytes, requestId)
    // What follows `agreed` is `notifications/initialized`.
    if (this.#revision !== undefined && !this.#greeted) return this.#greet(bytes)
    this.#tasks.run('notification', (signal) => this.#notify(bytes, signal))
  }

  /** Posts may overtake each other: until the server knows that we are ready, requests have to wait. */
  #greet(bytes: Buffer): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#greeted = promise
    this.#tasks.run('initialized', async (signal) => {
      await this.#notify(bytes, signal)
      resolve()
      this.#tasks.run('standalone stream', (end) => this.#listen(end))
    })
  }

  #sendRequest(bytes: Buffer, requestId: number): void {
    const abort = new AbortController()
    this.#open.set(requestId, abort)
    this.#tasks.run('request', async () => {
      try {
        await this.#greeted
        if (!abort.signal.aborted) await this.#request(bytes, requestId, abort.signal)
      } catch (error) {
        this.#failed(requestId, toHubError(error))
      }
    })
  }

  abandon(requestId: number): void {
    this.#open.get(requestId)?.abort()
    this.#open.delete(requestId)
  }

  agreed(protocolVersion: string): void {
    this.#revision = protocolVersion
  }

  close(): Promise<void> {
    this.#ended = true
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const abort of this.#open.values()) abort.abort()
    const tasks = this.#tasks.close()
    if (this.#sessionId !== undefined) await this.#endSession()
    await tasks
    await this.#deps.target.dispatcher.destroy()
  }

  async #notify(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { clock, limits, log } = this.#deps
    try {
      await withTimeLimit({ clock, ms: limits.notifyMs, signal }, async (limited) => {
        const response = await this.#post(bytes, limited)
        await response.body.dump()
      })
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'a message did not reach the server')
      this.#endIfGone(toHubError(error))
    }
  }

  async #request(bytes: Buffer, requestId: number, signal: AbortSignal): Promise<void> {
    const { limits, target } = this.#deps
    this.#onTheirWay.add(requestId)
    const response = await this.#post(bytes, signal)
    this.#onTheirWay.delete(requestId)
    if (isEventStream(response)) return this.#followStream(response, requestId, signal)
    this.#takeBody(await readAll(response, limits.maxMessageBytes, target.server), requestId)
    if (this.#open.has(requestId)) throw this.#noAnswer()
  }

  async #post(body: Buffer, signal: AbortSignal): Promise<HttpResponse> {
    const session = this.#sessionId
    const headers = {
      ...this.#headers(),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    }
    const response = await send(this.#deps.target, { method: 'POST', headers, body, signal })
    const id = response.headers['mcp-session-id']
    if (typeof id === 'string' && this.#revision === undefined) this.#sessionId = id
    if (response.status >= 400) throw await this.#refusal(response, session)
    return response
  }

  /** @param session the id that the request carried */
  async #refusal(response: HttpResponse, session: string | undefined): Promise<HubError> {
    const { server, harmless } = this.#deps.target
    const { status } = response
    const hint = await readHint(response, harmless)
    const lost = session === undefined ? undefined : forgotten(server, status, hint)
    return lost ?? refused(server, status, hint)
  }

  /** Reads a stream to the answer of its request, coming back to it as often as it breaks off before that. */
  async #followStream(first: HttpResponse, requestId: number, signal: AbortSignal): Promise<void> {
    const { limits, clock } = this.#deps
    const position: StreamPosition = { lastEventId: undefined, retryMs: limits.retryMs }
    const reader = this.#reader(position, requestId)
    let trouble = await readEvents(first, reader)
    // Without an event id there is nothing to come back to.
    for (let failures = 0; failures < limits.maxFailures && position.lastEventId !== undefined; ) {
      if (!this.#open.has(requestId)) return
      await sleep(clock, this.#wait(position, failures), signal)
      if (signal.aborted) return
      const reopened = await this.#reopen(position, signal)
      if (signal.aborted) return
      if (reopened instanceof HubError) {
        // That the server knows nothing of the stream does not tell that it never saw the call.
        if (wasNotAccepted(reopened)) return this.#end(reopened)
        trouble = brokenOff(this.#deps.target.server, reopened)
        failures += 1
      } else {
        trouble = await readEvents(reopened, reader)
        failures = 0
      }
    }
    if (this.#open.has(requestId)) throw trouble ?? this.#noAnswer()
  }

  /** The standalone stream, for what belongs to no request. A server need not offer one. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { clock, limits, log } = this.#deps
    const position: StreamPosition = { lastEventId: undefined, retryMs: limits.retryMs }
    const reader = this.#reader(position, undefined)
    let offered = false
    for (let failures = 0; ; ) {
      const stream = await this.#reopen(position, signal)
      if (signal.aborted) return
      if (stream instanceof HubError) {
        if (!offered && offersNone(stream))
          return log.debug({ reason: stream.message }, 'the server offers no stream of its own')
        if (this.#endIfGone(stream)) return
        failures += 1
      } else {
        offered = true
        failures = (await this.#readOwn(stream, reader)) ? 0 : failures + 1
      }
      // Said once. Later tries go on at the longest wait, for a server that comes round.
      if (failures === limits.maxFailures)
        log.warn({}, 'the stream of the server stays closed: what it announces meanwhile is missed')
      await sleep(clock, this.#wait(position, failures), signal)
      if (signal.aborted) return
    }
  }

  /** Whether what came was fit to be read. */
  async #readOwn(stream: HttpResponse, reader: EventReaderOptions): Promise<boolean> {
    try {
      await readEvents(stream, reader)
      return true
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'the stream of the server was given up')
      return false
    }
  }

  /** Before a stream is opened again: what the server asks for, and more after each failure. */
  #wait({ retryMs }: StreamPosition, failures: number): number {
    const { limits } = this.#deps
    const ms = failures === 0 ? retryMs : Math.max(retryMs, limits.retryMs) * 2 ** failures
    return Math.min(ms, limits.maxRetryMs)
  }

  #reader(position: StreamPosition, requestId: number | undefined): EventReaderOptions {
    const { log, limits, target } = this.#deps
    return {
      server: target.server,
      log,
      maxEventBytes: limits.maxMessageBytes,
      onEvent: (event) => {
        if (event.id !== undefined) position.lastEventId = event.id
        if (event.data !== '' && event.event === 'message') this.#takeBody(Buffer.from(event.data), requestId)
      },
      onRetry: (ms) => {
        position.retryMs = ms
      },
      done: () => requestId !== undefined && !this.#open.has(requestId),
    }
  }

  async #reopen({ lastEventId }: StreamPosition, signal: AbortSignal): Promise<HttpResponse | HubError> {
    const { log, target } = this.#deps
    const session = this.#sessionId
    const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const headers = { ...this.#headers(), accept: 'text/event-stream', ...resume }
    try {
      const response = await send(target, { method: 'GET', headers, signal })
      if (isEventStream(response)) return response
      throw await this.#refusal(response, session)
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'a stream of the server could not be opened')
      return toHubError(error)
    }
  }

  /** @param requestId the request on whose exchange the body came */
  #takeBody(body: Buffer, requestId: number | undefined): void {
    const { log } = this.#deps
    try {
      const parsed = parseBody(body)
      for (const item of parsed.kind === 'single' ? [parsed.message] : parsed.items) {
        if (item instanceof HubError) throw item
        if (item.kind === 'result' || item.kind === 'error') this.#open.delete(Number(item.id ?? requestId))
        this.#events.message(item, requestId)
      }
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      log.debug({ err: error }, 'the server sent something that is no message')
    }
  }

  #failed(requestId: number, error: HubError): void {
    this.#onTheirWay.delete(requestId)
    if (!this.#open.delete(requestId) || this.#ended) return
    if (wasNotAccepted(error)) return this.#gone(requestId, error)
    this.#events.failed(requestId, error)
  }

  /**
   * Nobody there, or nobody who knows the session. Requests that were sent at the same moment will hear the same, and can then
   * be sent again like this one: ending at once would leave open whether they were taken up.
   */
  #gone(requestId: number, error: HubError): void {
    this.#refused.set(requestId, error)
    const end = () => {
      for (const [id, reason] of this.#refused) this.#events.failed(id, reason)
      this.#refused.clear()
      this.#end(error)
    }
    if (this.#onTheirWay.size === 0) end()
    else if (this.#refused.size === 1)
      this.#tasks.run('last answers', async (signal) => {
        await sleep(this.#deps.clock, LAST_ANSWERS_MS, signal)
        end()
      })
  }

  /** Nobody there, or nobody who knows the session: the whole connection is down, not only one exchange. */
  #endIfGone(error: HubError): boolean {
    if (!wasNotAccepted(error)) return false
    this.#end(error)
    return true
  }

  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = true
    // Nobody is left to be told that the session is over.
    this.#sessionId = undefined
    this.#events.closed(reason)
    void this.close()
  }

  #headers(): Record<string, string> {
    return {
      ...(this.#sessionId === undefined ? {} : { 'mcp-session-id': this.#sessionId }),
      ...(this.#revision === undefined ? {} : { 'mcp-protocol-version': this.#revision }),
    }
  }

  /** Tells the server that the session is over; servers need not care. */
  async #endSession(): Promise<void> {
    const { clock, log, target } = this.#deps
    const { signal: never } = new AbortController()
    try {
      await withTimeLimit({ clock, ms: END_SESSION_MS, signal: never }, async (signal) => {
        const response = await send(target, { method: 'DELETE', headers: this.#headers(), signal })
        await response.body.dump()
      })
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'the server was not told that the session is over')
    }
  }

  #noAnswer(): HubError {
    const { server } = this.#deps.target
    return new HubError('upstream.invalid', `Server "${server}" ended its response without an answer.`, {
      data: { server },
    })
  }
}

/** What a first answer means that is neither a stream nor a passing trouble. */
function offersNone({ data }: HubError): boolean {
  const status = data['status']
  return typeof status === 'number' && status < 500 && status !== 409 && status !== 429
}
