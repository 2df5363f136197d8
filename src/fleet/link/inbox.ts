import { TransitMap } from '../../kernel/transit-map.ts'
import { FRAME, type FrameCursor, MAX_FRAME_BYTES, violation } from './frames.ts'
import { MAX_PACKET_BYTES } from './link.ts'

/** Big packets under way at once on a link, in each direction. */
export const MAX_STREAMS = 256

export interface InboxLimits {
  /** So much of a big packet may be on its way. Higher is faster where the way is long, lower leaves less behind others. */
  readonly windowBytes: number
  /** Memory for big packets that are being put together. Those for which there is none wait, first come, first served. */
  readonly reassemblyBytes: number
}

export const INBOX_LIMITS: InboxLimits = {
  windowBytes: 512 * 1024,
  reassemblyBytes: 384 * 1024 * 1024,
}

interface Stream {
  readonly number: number
  readonly lane: number
  readonly total: number
  /** undefined while it waits for memory. */
  buffer: Buffer | undefined
  filled: number
  granted: number
}

export interface InboxUser {
  packet(packet: Buffer): void
  /** To be told to the sender: it may send `bytes` more of the stream. */
  grant(stream: number, bytes: number): void
}

/** Puts the packets of a link together again. Its methods throw HubError `link.violation` for what a sender must not do. */
export class Inbox {
  readonly #limits: InboxLimits
  readonly #user: InboxUser
  readonly #streams = new TransitMap<number, Stream>()
  readonly #busyLanes = new Set<number>()
  readonly #waiting: Stream[] = []
  #reserved = 0

  /** @param limits `reassemblyBytes` must be at least `MAX_PACKET_BYTES`, or a packet might wait for ever */
  constructor(user: InboxUser, limits: InboxLimits = INBOX_LIMITS) {
    this.#user = user
    this.#limits = { ...limits, reassemblyBytes: Math.max(limits.reassemblyBytes, MAX_PACKET_BYTES) }
  }

  /** Memory that is set aside for big packets. */
  get reserved(): number {
    return this.#reserved
  }

  packet(frame: FrameCursor): void {
    if (this.#busyLanes.size > 0 && this.#busyLanes.has(frame.number))
      throw violation('a packet overtook another of its lane')
    this.#user.packet(frame.copy())
  }

  begin(frame: FrameCursor): void {
    const { number } = frame
    const lane = frame.word(0, 2)
    const total = frame.word(4, 2)
    if (total <= MAX_FRAME_BYTES || total > MAX_PACKET_BYTES)
      throw violation('a packet has a length out of bounds')
    if (this.#streams.size >= MAX_STREAMS) throw violation('too many big packets are under way')
    if (this.#streams.has(number)) throw violation('a stream began twice')
    if (this.#busyLanes.has(lane)) throw violation('a packet overtook another of its lane')
    const stream: Stream = { number, lane, total, buffer: undefined, filled: 0, granted: 0 }
    this.#streams.set(number, stream)
    this.#busyLanes.add(lane)
    this.#waiting.push(stream)
    this.#admit()
  }

  part({ number, type, message, start, end }: FrameCursor): void {
    const stream = this.#streams.get(number)
    if (!stream?.buffer) throw violation('bytes came of a stream that does not exist or must wait')
    if (start === end || end - start > stream.granted - stream.filled)
      throw violation('a stream exceeded its credit')
    message.copy(stream.buffer, stream.filled, start, end)
    stream.filled += end - start
    const complete = stream.filled === stream.total
    if (complete !== (type === FRAME.last)) throw violation('a stream does not end where it said')
    if (complete) this.#complete(stream, stream.buffer)
    else this.#grant(stream)
  }

  /** Lets go of everything; nothing must come afterwards. */
  clear(): void {
    this.#streams.clear()
    this.#busyLanes.clear()
    this.#waiting.length = 0
    this.#reserved = 0
  }

  #complete(stream: Stream, buffer: Buffer): void {
    this.#streams.delete(stream.number)
    this.#busyLanes.delete(stream.lane)
    this.#reserved -= stream.total
    this.#user.packet(buffer)
    this.#admit()
  }

  /** In the order in which they began: a large one is not passed for ever by small ones, and what is admitted can end. */
  #admit(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (!next || this.#reserved + next.total > this.#limits.reassemblyBytes) return
      this.#waiting.shift()
      this.#reserved += next.total
      next.buffer = Buffer.allocUnsafeSlow(next.total)
      this.#grant(next)
    }
  }

  /** Half a window at a time, so that the sender has the other half while this is on its way. */
  #grant(stream: Stream): void {
    const { windowBytes } = this.#limits
    const open = stream.granted - stream.filled
    const bytes = Math.min(windowBytes - open, stream.total - stream.granted)
    if (bytes === 0 || open > windowBytes / 2) return
    stream.granted += bytes
    this.#user.grant(stream.number, bytes)
  }
}
