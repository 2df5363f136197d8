import type { ServerResponse } from 'node:http'
import { HubError } from '../../../domain/errors.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { TransitMap } from '../../../kernel/transit-map.ts'
import { primesStreams, type Revision } from '../../../mcp/eras.ts'
import { encodeEvent, encodePriming } from '../../../mcp/event-stream.ts'
import { encodeNotification } from '../../../mcp/json-rpc.ts'
import { EventLog } from '../../sessions/event-log.ts'
import type { SessionStream } from '../../sessions/session.ts'
import { EventWriter } from '../event-writer.ts'

/** How much of what was sent is kept for clients that come back: per stream, per session once answered, and how long. */
const KEEP = { bytes: 1024 * 1024, finishedBytes: 2 * 1024 * 1024, ms: 5 * 60_000 }
/** More streams than this per session are never open at once; the oldest finished ones go first. */
const MAX_STREAMS = 64
/** What we suggest as the wait before reconnecting, ms. */
const RETRY_MS = 1_000
const STANDALONE = 0

/** The SSE streams of one streamable-HTTP session: one for each POST that needs one, and the standalone GET stream. */
export class SessionStreams implements SessionStream {
  readonly #clock: Clock
  readonly #revision: Revision
  #streams: TransitMap<number, EventStream> | undefined
  #hints: Set<string> | undefined
  #lastId = STANDALONE

  constructor(clock: Clock, revision: Revision) {
    this.#clock = clock
    this.#revision = revision
  }

  get attached(): boolean {
    if (!this.#streams) return false
    for (const stream of this.#streams.values()) if (stream.attached) return true
    return false
  }

  /** A new stream that answers a POST, open on `response`. */
  openPost(response: ServerResponse): EventStream {
    this.#lastId += 1
    const stream = this.#make(this.#lastId)
    stream.attach(response, 0)
    return stream
  }

  /** The standalone stream (GET without Last-Event-ID). A newer connection takes it over: the older may be half dead. */
  openStandalone(response: ServerResponse): void {
    const stream = this.#streams?.get(STANDALONE) ?? this.#make(STANDALONE)
    stream.attach(response, stream.delivered)
    this.#sendHints(stream)
  }

  /**
   * Goes on with the stream on which event `eventId` was sent.
   * @throws HubError `request.invalid` when the id is none of ours
   */
  resume(response: ServerResponse, eventId: string): void {
    const [, streamId, seq] = /^(\d{1,9})-(\d{1,12})$/.exec(eventId) ?? []
    if (streamId === undefined || Number(streamId) > this.#lastId)
      throw new HubError('request.invalid', 'This Last-Event-ID is not of this session.', {
        cure: 'Open the stream without it.',
      })
    const stream = this.#streams?.get(Number(streamId))
    if (stream) stream.attach(response, Number(seq))
    else if (Number(streamId) === STANDALONE) this.openStandalone(response)
    // What that stream had to say has been forgotten; holding the connection open would promise more.
    else new EventWriter(response, this.#clock, {}).end()
    if (stream && Number(streamId) === STANDALONE) this.#sendHints(stream)
  }

  unrelated(bytes: Buffer): void {
    const stream = this.#streams?.get(STANDALONE) ?? this.#make(STANDALONE)
    stream.send(bytes)
  }

  hint(method: string): void {
    const stream = this.#streams?.get(STANDALONE)
    if (stream?.attached) return stream.send(encodeNotification(method, undefined))
    this.#hints ??= new Set()
    this.#hints.add(method)
  }

  end(): void {
    for (const stream of this.#streams?.values() ?? []) stream.end()
    this.#streams = undefined
  }

  trim(now: number): void {
    if (!this.#streams) return
    for (const [id, stream] of this.#streams.entries()) {
      stream.log.dropBefore(now - KEEP.ms)
      if (stream.finished && stream.log.bytes === 0) this.#streams.delete(id)
    }
    if (this.#streams.size === 0) this.#streams = undefined
  }

  #sendHints(standalone: EventStream): void {
    for (const method of this.#hints ?? []) standalone.send(encodeNotification(method, undefined))
    this.#hints = undefined
  }

  #make(id: number): EventStream {
    this.#streams ??= new TransitMap()
    dropFinished(this.#streams)
    const stream = new EventStream(id, this.#clock, this.#revision)
    this.#streams.set(id, stream)
    return stream
  }
}

/** Lets go of the oldest streams that have had their answer, until the others are within what a session may keep. */
function dropFinished(streams: TransitMap<number, EventStream>): void {
  let kept = 0
  for (const stream of streams.values()) if (stream.finished) kept += stream.log.bytes
  for (const [id, stream] of streams.entries()) {
    if (kept <= KEEP.finishedBytes && streams.size < MAX_STREAMS) return
    if (!stream.finished) continue
    kept -= stream.log.bytes
    streams.delete(id)
  }
}

/** One logical stream: it outlives the connection that carries it, so that a client can come back for the rest. */
export class EventStream {
  readonly log = new EventLog(KEEP.bytes)
  readonly #id: number
  readonly #clock: Clock
  readonly #revision: Revision
  #writer: EventWriter | undefined
  #finished = false
  #delivered = 0

  constructor(id: number, clock: Clock, revision: Revision) {
    this.#id = id
    this.#clock = clock
    this.#revision = revision
  }

  get attached(): boolean {
    return this.#writer?.open ?? false
  }

  /** Its answer has been sent; nothing more will come. */
  get finished(): boolean {
    return this.#finished
  }

  /** The number of the last event that was written to a connection. */
  get delivered(): number {
    return this.#delivered
  }

  attach(response: ServerResponse, afterSeq: number): void {
    this.#writer?.end()
    const writer = new EventWriter(response, this.#clock, {})
    this.#writer = writer
    // Older clients take an event without data for a broken message.
    if (primesStreams(this.#revision)) writer.write(encodePriming(this.#eventId(afterSeq), RETRY_MS))
    for (const event of this.log.after(afterSeq)) writer.write(event)
    this.#delivered = this.log.lastSeq
    if (this.#finished) writer.end()
  }

  send(message: Buffer): void {
    const event = this.log.append(
      (seq) => encodeEvent('message', this.#eventId(seq), message),
      this.#clock.monotonic(),
    )
    if (!this.#writer?.open) return
    this.#writer.write(event)
    this.#delivered = this.log.lastSeq
  }

  finish(): void {
    this.#finished = true
    this.#writer?.end()
  }

  end(): void {
    this.#writer?.end()
  }

  #eventId(seq: number): string {
    return `${this.#id}-${seq}`
  }
}
