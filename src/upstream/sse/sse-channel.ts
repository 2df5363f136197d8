import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { parseMessage } from '../../mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../channel.ts'
import { isEventStream, readEvents } from '../http/event-reader.ts'
import {
  forgotten,
  type HttpTarget,
  type LocatedResponse,
  readHint,
  refused,
  send,
  wasNotAccepted,
} from '../http/http-request.ts'
import { withTimeLimit } from '../http/time-limit.ts'

export interface SseChannelDeps {
  readonly target: HttpTarget
  readonly clock: Clock
  readonly log: Logger
  readonly maxMessageBytes: number
  /** How long the server may take to accept a message that is no request, ms. */
  readonly notifyMs: number
}

/**
 * The older HTTP+SSE transport as its client (spec 2024-11-05, basic/transports): one GET stream brings everything, and
 * its first event names the path to post to.
 */
export class SseChannel implements Channel {
  readonly #deps: SseChannelDeps
  readonly #events: ChannelEvents
  readonly #tasks: TaskGroup
  readonly #endpoint = Promise.withResolvers<HttpTarget>()
  #ended = false
  #closing: Promise<void> | undefined

  /**
   * @param signal gives the opening up; it does not matter once the channel is open
   * @throws HubError when the stream cannot be opened or does not name its endpoint; nothing stays open then
   */
  static async open(events: ChannelEvents, signal: AbortSignal, deps: SseChannelDeps): Promise<SseChannel> {
    const channel = new SseChannel(events, deps)
    const onAbort = () => void channel.close()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (signal.aborted) onAbort()
      await channel.#endpoint.promise
      return channel
    } catch (error) {
      await channel.close()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  private constructor(events: ChannelEvents, deps: SseChannelDeps) {
    this.#events = events
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
    this.#tasks.run('stream', (signal) => this.#listen(signal))
  }

  send({ bytes, requestId }: Outgoing): void {
    if (requestId === undefined)
      return this.#tasks.run('notification', (signal) => this.#notify(bytes, signal))
    this.#tasks.run('request', async (signal) => {
      try {
        await this.#post(bytes, signal)
      } catch (error) {
        const failure = toHubError(error)
        this.#events.failed(requestId, failure)
        this.#endIfGone(failure)
      }
    })
  }

  abandon(): void {
    // Each POST has ended long before its answer comes.
  }

  agreed(): void {
    // This transport knows no revision header.
  }

  close(): Promise<void> {
    this.#ended = true
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const tasks = this.#tasks.close()
    await this.#deps.target.dispatcher.destroy()
    await tasks
  }

  async #notify(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const { clock, log, notifyMs } = this.#deps
    try {
      await withTimeLimit({ clock, ms: notifyMs, signal }, (limited) => this.#post(bytes, limited))
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'a message did not reach the server')
      this.#endIfGone(toHubError(error))
    }
  }

  async #post(body: Buffer, signal: AbortSignal): Promise<void> {
    const target = await this.#endpoint.promise
    const headers = { 'content-type': 'application/json' }
    const response = await send(target, { method: 'POST', headers, body, signal })
    if (response.status >= 400) {
      const hint = await readHint(response, target.harmless)
      // The endpoint that the stream has named stands for the session.
      throw forgotten(target.server, response.status, hint) ?? refused(target.server, response.status, hint)
    }
    await response.body.dump()
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { target } = this.#deps
    let reason: HubError
    try {
      const headers = { accept: 'text/event-stream' }
      const response = await send(target, { method: 'GET', headers, signal })
      if (!isEventStream(response))
        throw refused(target.server, response.status, await readHint(response, target.harmless))
      reason = await this.#read(response)
    } catch (error) {
      reason = toHubError(error)
    }
    this.#endpoint.reject(reason)
    this.#end(reason)
  }

  /** Reads the stream to its end. */
  async #read(response: LocatedResponse): Promise<HubError> {
    const { target, log, maxMessageBytes } = this.#deps
    const { server } = target
    const broken = await readEvents(response, {
      server,
      log,
      maxEventBytes: maxMessageBytes,
      onEvent: ({ event, data }) =>
        event === 'endpoint' ? this.#takeEndpoint(data, response.url) : this.#takeMessage(data),
      onRetry: () => undefined,
      done: () => false,
    })
    return new HubError('upstream.lost', `Server "${server}" closed its stream.`, {
      data: { server },
      ...(broken ? { cause: broken } : {}),
    })
  }

  /** The endpoint may be relative, and must lie where the stream came from: no other site gets our credentials. */
  #takeEndpoint(path: string, base: URL): void {
    const { target } = this.#deps
    const url = URL.canParse(path, base.href) ? new URL(path, base) : undefined
    if (url?.origin === target.url.origin) this.#endpoint.resolve({ ...target, url })
    else
      this.#endpoint.reject(
        new HubError('upstream.invalid', `Server "${target.server}" names an endpoint on another site.`, {
          data: { server: target.server },
        }),
      )
  }

  #takeMessage(data: string): void {
    try {
      this.#events.message(parseMessage(Buffer.from(data)), undefined)
    } catch (error) {
      if (!(error instanceof HubError)) throw error
      this.#deps.log.debug({ err: error }, 'the server sent something that is no message')
    }
  }

  /** Nobody there, or nobody who knows the session: the stream is of no use either. */
  #endIfGone(error: HubError): void {
    if (wasNotAccepted(error)) this.#end(error)
  }

  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = true
    this.#events.closed(reason)
    void this.close()
  }
}
