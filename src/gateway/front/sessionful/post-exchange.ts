import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import type { Reply } from '../../sessions/session.ts'
import { sendJson } from '../http.ts'
import type { EventStream } from './session-streams.ts'

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
  /** Makes the stream when one is needed. */
  readonly openStream: () => EventStream
  /** How many requests came in the POST. */
  readonly requests: number
  readonly batch: boolean
}

/**
 * The answer to one POST: JSON when nothing but the answers is to be sent, an event stream from the moment there is more
 * (spec, basic/transports, "Sending Messages to the Server").
 */
export class PostExchange {
  readonly #options: ExchangeOptions
  readonly #answers: Buffer[] = []
  readonly #patience: Timer
  #open: number
  #stream: EventStream | undefined
  #lost = false

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#open = options.requests
    this.#patience = options.clock.after(STREAM_AFTER_MS, () => this.#ensureStream())
    options.response.once('close', () => {
      this.#patience.stop()
      this.#lost = this.#stream === undefined && !options.response.writableFinished
    })
  }

  /** Where the messages that belong to one of the requests go. */
  reply(): Reply {
    const exchange = this
    return {
      message: (bytes) => exchange.#ensureStream()?.send(bytes),
      answer: (bytes) => exchange.#answered(bytes),
      abandon: () => exchange.#answered(undefined),
      get reachable() {
        return !exchange.#lost
      },
    }
  }

  #answered(bytes: Buffer | undefined): void {
    this.#open -= 1
    if (bytes && this.#stream) this.#stream.send(bytes)
    else if (bytes) this.#answers.push(bytes)
    if (this.#open > 0) return
    this.#patience.stop()
    if (this.#stream) return this.#stream.finish()
    if (!this.#lost) this.#sendAnswers()
  }

  #sendAnswers(): void {
    const { response, batch } = this.#options
    const [first] = this.#answers
    // Everything was cancelled: whoever cancelled does not wait for an answer.
    if (!first) response.writeHead(202).end()
    else if (!batch) sendJson(response, 200, first)
    else sendJson(response, 200, Buffer.concat([OPEN, ...join(this.#answers), CLOSE]))
  }

  #ensureStream(): EventStream | undefined {
    if (this.#stream || this.#lost) return this.#stream
    this.#patience.stop()
    this.#stream = this.#options.openStream()
    for (const answer of this.#answers) this.#stream.send(answer)
    return this.#stream
  }
}

function join(pieces: readonly Buffer[]): Buffer[] {
  return pieces.flatMap((piece, index) => (index === 0 ? [piece] : [COMMA, piece]))
}
