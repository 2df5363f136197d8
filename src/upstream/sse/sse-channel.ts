import { HubError, messageOf, toHubError } from '../../domain/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { TaskGroup } from '../../kernel/task-group.ts'
import { parseMessage } from '../../mcp/json-rpc.ts'
import type { Channel, ChannelEvents, Outgoing } from '../channel.ts'
import { isEventStream, readEvents } from '../http/event-reader.ts'
import { type HttpResponse, type HttpTarget, readHint, refused, send } from '../http/http-request.ts'

export interface SseChannelDeps {
  readonly target: HttpTarget
  readonly log: Logger
  readonly maxMessageBytes: number
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

  /** @throws HubError when the stream cannot be opened or does not name its endpoint */
  static async open(events: ChannelEvents, signal: AbortSignal, deps: SseChannelDeps): Promise<SseChannel> {
    const response = await send(deps.target, 'GET', { accept: 'text/event-stream' }, undefined, signal)
    if (!isEventStream(response)) throw refused(deps.target.server, response.status, await readHint(response))
    const channel = new SseChannel(response, events, deps)
    await channel.#endpoint.promise
    return channel
  }

  private constructor(response: HttpResponse, events: ChannelEvents, deps: SseChannelDeps) {
    this.#events = events
    this.#deps = deps
    this.#tasks = new TaskGroup(deps.log)
    this.#tasks.run('stream', (signal) => this.#read(response, signal))
  }

  send({ bytes, requestId }: Outgoing): void {
    this.#tasks.run('post', async (signal) => {
      try {
        await this.#post(bytes, signal)
      } catch (error) {
        if (requestId !== undefined) this.#events.failed(requestId, toHubError(error))
        else this.#deps.log.debug({ reason: messageOf(error) }, 'a message did not reach the server')
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

  async #post(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const target = await this.#endpoint.promise
    const response = await send(target, 'POST', { 'content-type': 'application/json' }, bytes, signal)
    if (response.status >= 400) throw refused(target.server, response.status, await readHint(response))
    await response.body.dump()
  }

  async #read(response: HttpResponse, signal: AbortSignal): Promise<void> {
    const { target, log, maxMessageBytes } = this.#deps
    const onAbort = () => response.body.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    let reason = new HubError('upstream.lost', `Server "${target.server}" closed its stream.`, {
      data: { server: target.server },
    })
    try {
      await readEvents(response, {
        server: target.server,
        log,
        maxEventBytes: maxMessageBytes,
        onEvent: ({ event, data }) =>
          event === 'endpoint' ? this.#takeEndpoint(data) : this.#takeMessage(data),
        onRetry: () => undefined,
        done: () => false,
      })
    } catch (error) {
      reason = toHubError(error)
    }
    this.#endpoint.reject(reason)
    this.#end(reason)
  }

  /** The endpoint may be relative, and must lie where the stream came from: no other site gets our credentials. */
  #takeEndpoint(path: string): void {
    const { target } = this.#deps
    const url = URL.canParse(path, target.url.href) ? new URL(path, target.url) : undefined
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

  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = true
    this.#events.closed(reason)
    void this.close()
  }
}
