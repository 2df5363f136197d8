import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { KEEP_ALIVE_COMMENT } from '../../mcp/event-stream.ts'
import { EVENT_STREAM_TYPE } from './http.ts'

export interface EventWriterLimits {
  /** Proxies close connections on which nothing moves; a comment now and then keeps them open. */
  readonly keepAliveMs: number
  /** A client that does not read has its connection closed when this much waits for it. */
  readonly maxQueuedBytes: number
}

export const EVENT_WRITER_LIMITS: EventWriterLimits = {
  keepAliveMs: 15_000,
  maxQueuedBytes: 16 * 1024 * 1024,
}

/** One open text/event-stream response. */
export class EventWriter {
  readonly #response: ServerResponse
  readonly #limits: EventWriterLimits
  readonly #keepAlive: Timer
  #queue: Buffer[] = []
  #flushing = false
  #ending = false

  constructor(
    response: ServerResponse,
    clock: Clock,
    headers: Record<string, string>,
    limits = EVENT_WRITER_LIMITS,
  ) {
    this.#response = response
    this.#limits = limits
    response.writeHead(200, {
      'Content-Type': EVENT_STREAM_TYPE,
      'Cache-Control': 'no-cache, no-transform',
      // nginx would hold events back until its buffer is full.
      'X-Accel-Buffering': 'no',
      ...headers,
    })
    this.#keepAlive = clock.every(limits.keepAliveMs, () => this.write(KEEP_ALIVE_COMMENT))
    response.once('close', () => this.#keepAlive.stop())
    // The headers leave with the first events, or alone if there are none yet.
    this.#flushSoon()
  }

  get open(): boolean {
    return !this.#ending && !this.#response.destroyed && !this.#response.writableEnded
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }

  /** What comes in one turn of the event loop leaves in one write. */
  write(bytes: Buffer): void {
    if (!this.open) return
    this.#queue.push(bytes)
    this.#flushSoon()
  }

  /** Ends the response after everything that was written. */
  end(): void {
    this.#keepAlive.stop()
    if (!this.open) return
    this.#ending = true
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushing = false
    const bytes = Buffer.concat(this.#queue)
    this.#queue = []
    if (this.#response.destroyed) return
    if (this.#ending) {
      this.#response.end(bytes)
      return
    }
    // Only what was there before counts: one message may be larger than the limit.
    if (this.#response.writableLength > this.#limits.maxQueuedBytes) this.#response.destroy()
    else if (bytes.length === 0) this.#response.flushHeaders()
    else this.#response.write(bytes)
  }
}
