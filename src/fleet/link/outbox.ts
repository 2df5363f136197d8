import { HubError } from '../../domain/errors.ts'
import { TransitMap } from '../../kernel/transit-map.ts'
import {
  encodeFrames,
  FRAME,
  type Frame,
  type FrameType,
  HEADER_BYTES,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  violation,
  words,
} from './frames.ts'
import { MAX_STREAMS } from './inbox.ts'
import { MAX_PACKET_BYTES } from './link.ts'

/** Where messages go. */
export interface Wire {
  /** `taken` is called once the system has the message. */
  write(message: Buffer, taken?: () => void): void
  /** Bytes that the system has not taken yet. */
  readonly buffered: number
}

export interface OutboxLimits {
  /** Parts of big packets are added while fewer bytes than this wait in the socket: what is sent later waits behind them. */
  readonly partsAheadBytes: number
  /** More than this in the socket: the other side does not read. */
  readonly backlogBytes: number
  /** Memory of packets that wait for their turn. */
  readonly heldBytes: number
}

export const OUTBOX_LIMITS: OutboxLimits = {
  partsAheadBytes: 256 * 1024,
  backlogBytes: 64 * 1024 * 1024,
  heldBytes: 1024 * 1024 * 1024,
}

interface Stream {
  readonly number: number
  readonly lane: number
  readonly packet: Buffer
  sent: number
  /** Up to where it may be sent. */
  granted: number
  /** Whether it stands in the round of those that are sent. */
  inRound: boolean
}

/** What waiting costs beside the bytes. */
const HELD_OVERHEAD = 64
const NOTHING = Buffer.alloc(0)

/**
 * Sends packets: small ones at the end of this turn of the event loop, all in one message; big ones in parts, in turns, as the other side
 * grants credit and the socket has room. Later packets of a lane wait until a big one is sent.
 */
export class Outbox {
  readonly #wire: Wire
  readonly #limits: OutboxLimits
  readonly #fail: (reason: HubError) => void
  readonly #streams = new TransitMap<number, Stream>()
  /** Streams that have credit: the first is next. */
  readonly #round: Stream[] = []
  /** Lanes with a big packet under way, and what waits behind it. */
  readonly #held = new TransitMap<number, Buffer[]>()
  /** Lanes whose big packet waits for the number of streams to fall. */
  readonly #unopened: { readonly lane: number; readonly packet: Buffer }[] = []
  #batch: Frame[] = []
  #batchBytes = 0
  #heldBytes = 0
  #lastStream = 0
  #scheduled = false
  #closed = false

  /** @param fail called, once or more, when a limit is met; the link must end then */
  constructor(wire: Wire, fail: (reason: HubError) => void, limits: OutboxLimits = OUTBOX_LIMITS) {
    this.#wire = wire
    this.#fail = fail
    this.#limits = limits
  }

  /** Bytes of packets that wait for credit, or behind others of their lane. */
  get held(): number {
    return this.#heldBytes
  }

  send(lane: number, packet: Buffer): void {
    if (this.#closed) return
    if (packet.length > MAX_PACKET_BYTES) return this.#fail(tooBig(packet.length))
    const queue = this.#held.size > 0 ? this.#held.get(lane) : undefined
    if (!queue && packet.length <= MAX_FRAME_BYTES) return this.frame(FRAME.packet, lane, packet)
    this.#heldBytes += packet.length + HELD_OVERHEAD
    if (this.#heldBytes > this.#limits.heldBytes) return this.#fail(stuck('too much waits to be sent'))
    if (queue) queue.push(packet)
    else {
      this.#held.set(lane, [])
      this.#open(lane, packet)
    }
  }

  /** Adds a frame to the next message. */
  frame(type: FrameType, number: number, payload: Buffer = NOTHING): void {
    if (this.#closed) return
    const bytes = HEADER_BYTES + payload.length
    if (this.#batchBytes + bytes > MAX_MESSAGE_BYTES) this.#write()
    this.#batch.push({ type, number, payload })
    this.#batchBytes += bytes
    this.#schedule()
  }

  /**
   * The other side takes `bytes` more of a stream.
   * @throws HubError `link.violation` for a stream that does not exist or has no more bytes
   */
  credit(number: number, bytes: number): void {
    const stream = this.#streams.get(number)
    if (!stream) throw violation('credit came for a stream that does not exist')
    if (bytes === 0 || bytes > stream.packet.length - stream.granted)
      throw violation('credit goes beyond the end of a stream')
    stream.granted += bytes
    this.#enter(stream)
    this.#schedule()
  }

  /** Sends what can be sent at once. */
  flush(): void {
    if (this.#closed) return
    this.#write()
    this.#pump()
  }

  /** Lets go of everything that waits. */
  close(): void {
    this.#closed = true
    this.#streams.clear()
    this.#held.clear()
    this.#round.length = 0
    this.#unopened.length = 0
    this.#batch = []
    this.#heldBytes = 0
  }

  /**
   * At the end of the turn: what answers to several requests, or goes to several sessions, shares one write. A lone packet does not lose
   * by it, for the loop has nothing else to do.
   */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  #write(): void {
    if (this.#batch.length === 0) return
    const message = encodeFrames(this.#batch)
    this.#batch = []
    this.#batchBytes = 0
    this.#wire.write(message)
    if (this.#wire.buffered > this.#limits.backlogBytes) this.#fail(stuck('it does not read what is sent'))
  }

  #open(lane: number, packet: Buffer): void {
    if (this.#streams.size >= MAX_STREAMS) {
      this.#unopened.push({ lane, packet })
      return
    }
    const number = this.#nextNumber()
    this.#streams.set(number, { number, lane, packet, sent: 0, granted: 0, inRound: false })
    this.frame(FRAME.begin, number, words(lane, packet.length))
  }

  #nextNumber(): number {
    do this.#lastStream = (this.#lastStream + 1) % 2 ** 32
    while (this.#streams.has(this.#lastStream))
    return this.#lastStream
  }

  #enter(stream: Stream): void {
    if (stream.inRound || stream.sent === stream.granted) return
    stream.inRound = true
    this.#round.push(stream)
  }

  #pump(): void {
    while (this.#round.length > 0 && this.#wire.buffered < this.#limits.partsAheadBytes) {
      const { frames, finished } = this.#parts()
      this.#wire.write(encodeFrames(frames), () => {
        if (!this.#closed) this.#pump()
      })
      // Only now: what waited behind them must not be written before them.
      for (const stream of finished) this.#finish(stream)
    }
  }

  /** Of each stream in its turn a part, as many as go into a message. */
  #parts(): { frames: Frame[]; finished: Stream[] } {
    const frames: Frame[] = []
    const finished: Stream[] = []
    for (let bytes = 0; bytes + HEADER_BYTES + MAX_FRAME_BYTES <= MAX_MESSAGE_BYTES; ) {
      const stream = this.#round.shift()
      if (!stream) break
      stream.inRound = false
      const end = Math.min(stream.granted, stream.sent + MAX_FRAME_BYTES)
      const payload = stream.packet.subarray(stream.sent, end)
      stream.sent = end
      const last = end === stream.packet.length
      frames.push({ type: last ? FRAME.last : FRAME.part, number: stream.number, payload })
      bytes += HEADER_BYTES + payload.length
      if (last) finished.push(stream)
      else this.#enter(stream)
    }
    return { frames, finished }
  }

  #finish({ number, lane, packet }: Stream): void {
    this.#streams.delete(number)
    this.#heldBytes -= packet.length + HELD_OVERHEAD
    this.#release(lane)
    const next = this.#unopened.shift()
    if (next) this.#open(next.lane, next.packet)
  }

  /** Sends what waited behind a big packet, up to the next big one. */
  #release(lane: number): void {
    const queue = this.#held.get(lane) ?? []
    const big = queue.findIndex(({ length }) => length > MAX_FRAME_BYTES)
    const small = queue.splice(0, big === -1 ? queue.length : big)
    for (const packet of small) {
      this.#heldBytes -= packet.length + HELD_OVERHEAD
      this.frame(FRAME.packet, lane, packet)
    }
    const next = queue.shift()
    if (next) this.#open(lane, next)
    else this.#held.delete(lane)
  }
}

function tooBig(bytes: number): HubError {
  return new HubError('link.lost', `A packet of ${bytes} bytes is too big for a link.`, {
    cure: `Messages between nodes have at most ${MAX_PACKET_BYTES} bytes.`,
  })
}

export function stuck(why: string): HubError {
  return new HubError('link.lost', `The other side of a link is stuck: ${why}.`, {
    cure: 'Look at the load of the other node and at the network between the two.',
  })
}
