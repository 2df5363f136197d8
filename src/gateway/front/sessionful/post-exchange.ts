import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Reply } from '../../sessions/session.ts'
import { sendJson } from '../http.ts'
import type { EventStream, SessionStreams } from './session-streams.ts'

/**
 * A request that takes longer than this gets a stream even if nothing but its answer will come: the stream can be
 * resumed after a lost connection and kept alive through proxies, and a plain JSON answer cannot.
 */
const STREAM_AFTER_MS = 250

const OPEN = Buffer.from('[')
const COMMA = Buffer.from(',')
const CLOSE = Buffer.from(']')

interface ExchangeOptions {
  readonly response: ServerResponse
  readonly clock: Clock
  readonly streams: SessionStreams
  /** How many requests came in the POST. */
  readonly requests: number
  readonly batch: boolean
  /** Called right before the head of an answer is sent. */
  readonly beforeHead?: (() => void) | undefined
}

/**
 * The answer to one POST: 202 when it held no request, JSON when nothing but the answers is to be sent, an event stream from
 * the moment there is more (spec, basic/transports, "Sending Messages to the Server"). All requests of a batch share it.
 */
export class PostExchange implements Reply {
  readonly #options: ExchangeOptions
  readonly #patience: Timer | undefined
  #open: number
  #answers: Buffer[] | undefined
  #stream: EventStream | undefined

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#open = options.requests
    if (this.#open === 0) options.response.writeHead(202, { 'Content-Length': 0 }).end()
    else this.#patience = options.clock.after(STREAM_AFTER_MS, () => this.#ensureStream())
  }

  get reachable(): boolean {
    return this.#stream !== undefined || !this.#closed
  }

  /** The client has gone, or was given an error already. */
  get #closed(): boolean {
    const { response } = this.#options
    return response.destroyed || response.headersSent
  }

  message(bytes: Buffer): void {
    this.#ensureStream()?.send(bytes)
  }

  answer(bytes: Buffer): void {
    this.#open -= 1
    if (this.#stream) this.#stream.send(bytes)
    else if (this.#options.batch || this.#open > 0) {
      this.#answers ??= []
      this.#answers.push(bytes)
    } else return this.#finish(bytes)
    if (this.#open === 0) this.#finish(undefined)
  }

  abandon(): void {
    this.#open -= 1
    if (this.#open === 0) this.#finish(undefined)
  }

  /** @param only the answer to a POST that held a single request */
  #finish(only: Buffer | undefined): void {
    this.#patience?.stop()
    if (this.#stream) return this.#stream.finish()
    const { response } = this.#options
    if (this.#closed) return
    this.#options.beforeHead?.()
    if (only) sendJson(response, 200, only)
    else if (this.#answers) sendJson(response, 200, Buffer.concat([OPEN, ...join(this.#answers), CLOSE]))
    // Everything was cancelled: whoever cancelled does not wait for an answer.
    else response.writeHead(202, { 'Content-Length': 0 }).end()
  }

  #ensureStream(): EventStream | undefined {
    const { response, streams } = this.#options
    if (this.#stream || this.#closed) return this.#stream
    this.#patience?.stop()
    this.#options.beforeHead?.()
    this.#stream = streams.openPost(response)
    for (const answer of this.#answers ?? []) this.#stream.send(answer)
    return this.#stream
  }
}

function join(pieces: readonly Buffer[]): Buffer[] {
  return pieces.flatMap((piece, index) => (index === 0 ? [piece] : [COMMA, piece]))
}
