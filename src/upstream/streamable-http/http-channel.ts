import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import { type Clock, sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { parseBody } from '../../mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../channel.ts'
import { type EventReaderOptions, isEventStream, readEvents } from '../http/event-reader.ts'
import {
  type HttpResponse,
  type HttpTarget,
  NOT_ACCEPTED,
  readAll,
  readHint,
  refused,
  send,
} from '../http/http-request.ts'

export interface HttpLimits {
  readonly maxMessageBytes: number
  /** Wait before a stream is opened again when the server has not said how long, ms. */
  readonly retryMs: number
  /** Longest wait before a stream is opened again, whatever the server says, ms. */
  readonly maxRetryMs: number
  /** How many tries in a row to come back to a call's stream may fail. */
  readonly maxFailures: number
}

export const HTTP_LIMITS: HttpLimits = {
  maxMessageBytes: 64 * 1024 * 1024,
  retryMs: 1_000,
  maxRetryMs: 30_000,
  maxFailures: 5,
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

/** Streamable HTTP as its client (spec 2025-11-25, basic/transports, "Streamable HTTP"). */
export class HttpChannel implements Channel {
  readonly #deps: HttpChannelDeps
  readonly #events: ChannelEvents
  readonly #tasks: TaskGroup
  /** Requests whose answer has not come, each with what ends its exchange. */
  readonly #open = new Map<number, AbortController>()
  #sessionId: string | undefined
  #revision: string | undefined
  #ended = false
  #closing: Promise<void> | undefined

  constructor(events: ChannelEvents, deps: HttpChannelDeps) {
    this.#events = events
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
  }

  send({ bytes, requestId }: Outgoing): void {
    if (requestId === undefined)
      return this.#tasks.run('notification', (signal) => this.#notify(bytes, signal))
    const abort = new AbortController()
    this.#open.set(requestId, abort)
    this.#tasks.run('request', async () => {
      try {
        await this.#request(bytes, requestId, abort.signal)
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
    this.#tasks.run('standalone stream', (signal) => this.#listen(signal))
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
    try {
      const response = await this.#post(bytes, signal)
      await response.body.dump()
    } catch (error) {
      this.#deps.log.debug({ reason: messageOf(error) }, 'a message did not reach the server')
    }
  }

  async #request(bytes: Buffer, requestId: number, signal: AbortSignal): Promise<void> {
    const response = await this.#post(bytes, signal)
    if (isEventStream(response)) await this.#followStream(response, requestId, signal)
    else
      this.#takeBody(
        await readAll(response, this.#deps.limits.maxMessageBytes, this.#deps.target.server),
        requestId,
      )
    if (this.#open.has(requestId)) throw this.#noAnswer()
  }

  async #post(bytes: Buffer, signal: AbortSignal): Promise<HttpResponse> {
    const { target } = this.#deps
    const headers = {
      ...this.#headers(),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    }
    const response = await send(target, 'POST', headers, bytes, signal)
    const id = response.headers['mcp-session-id']
    if (typeof id === 'string' && this.#revision === undefined) this.#sessionId = id
    if (response.status < 400) return response
    const error = refused(target.server, response.status, await readHint(response))
    // 404 to a request with a session id: the server has forgotten the session ("Session Management").
    if (response.status !== 404 || this.#sessionId === undefined) throw error
    this.#sessionId = undefined
    throw new HubError('upstream.lost', `Server "${target.server}" has ended the session.`, {
      cause: error,
      data: { server: target.server, ...NOT_ACCEPTED },
    })
  }

  /** Reads a stream to the answer of its request, coming back to it as often as it breaks off before that. */
  async #followStream(first: HttpResponse, requestId: number, signal: AbortSignal): Promise<void> {
    const { limits, clock } = this.#deps
    const position: StreamPosition = { lastEventId: undefined, retryMs: limits.retryMs }
    let response: HttpResponse | undefined = first
    for (let failures = 0; failures <= limits.maxFailures; ) {
      if (response) await readEvents(response, this.#reader(position, requestId))
      // Without an event id there is nothing to come back to.
      if (!this.#open.has(requestId) || position.lastEventId === undefined) return
      await sleep(clock, Math.min(position.retryMs, limits.maxRetryMs), signal)
      if (signal.aborted) return
      response = await this.#reopen(position, signal)
      failures = response ? 0 : failures + 1
    }
  }

  /** The standalone stream, for what belongs to no request. A server need not offer one. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { clock, limits, log } = this.#deps
    const position: StreamPosition = { lastEventId: undefined, retryMs: limits.retryMs }
    for (let first = true; !signal.aborted; first = false) {
      let response: HttpResponse
      try {
        response = await this.#openStream(position, signal)
      } catch (error) {
        // Nobody there any more: no need to wait for the next call to find out.
        if (!signal.aborted) this.#end(toHubError(error))
        return
      }
      if (!isEventStream(response)) {
        await response.body.dump()
        if (first) log.debug({ status: response.status }, 'the server offers no stream of its own')
        else
          this.#end(
            new HubError(
              'upstream.lost',
              `Server "${this.#deps.target.server}" refuses to go on with its stream (HTTP ${response.status}).`,
            ),
          )
        return
      }
      await readEvents(response, this.#reader(position, undefined))
      await sleep(clock, Math.min(position.retryMs, limits.maxRetryMs), signal)
    }
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

  async #reopen(position: StreamPosition, signal: AbortSignal): Promise<HttpResponse | undefined> {
    try {
      const response = await this.#openStream(position, signal)
      if (isEventStream(response)) return response
      await response.body.dump()
    } catch (error) {
      this.#deps.log.debug({ reason: messageOf(error) }, 'a stream of the server could not be opened again')
    }
    return undefined
  }

  #openStream({ lastEventId }: StreamPosition, signal: AbortSignal): Promise<HttpResponse> {
    const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const headers = { ...this.#headers(), accept: 'text/event-stream', ...resume }
    return send(this.#deps.target, 'GET', headers, undefined, signal)
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
    if (!this.#open.delete(requestId) || this.#ended) return
    this.#events.failed(requestId, error)
    // Nobody there at all: the whole connection is down, not only this call.
    if (error.code === 'upstream.lost') this.#end(error)
  }

  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = true
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
    try {
      const signal = AbortSignal.timeout(END_SESSION_MS)
      const response = await send(this.#deps.target, 'DELETE', this.#headers(), undefined, signal)
      await response.body.dump()
    } catch (error) {
      this.#deps.log.debug({ reason: messageOf(error) }, 'the server was not told that the session is over')
    }
  }

  #noAnswer(): HubError {
    const { server } = this.#deps.target
    return new HubError('upstream.invalid', `Server "${server}" ended its response without an answer.`, {
      data: { server },
    })
  }
}
