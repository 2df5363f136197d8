import { HubError } from '../../domain/errors.ts'

/**
 * What a link's messages consist of. A message is one or more frames: u32 length of the payload, u8 type, u32 number (big-endian), payload.
 * `packet`: a whole packet; number = lane. `begin`: a big one comes; number = its stream, payload = u32 lane, u32 length.
 * `part`, `last`: bytes of a stream. `credit`: so many bytes more of a stream may be sent, u32. `ping`, `pong`: nothing.
 */
export const FRAME = { packet: 1, begin: 2, part: 3, last: 4, credit: 5, ping: 6, pong: 7 } as const
export type FrameType = (typeof FRAME)[keyof typeof FRAME]

export const HEADER_BYTES = 9
/** No payload is longer; longer packets are big ones. */
export const MAX_FRAME_BYTES = 64 * 1024
/** No message is longer. */
export const MAX_MESSAGE_BYTES = 256 * 1024

/** A frame that waits to be sent. Its payload must not change until then. */
export interface Frame {
  readonly type: FrameType
  readonly number: number
  readonly payload: Buffer
}

/** Frames as one message. The caller keeps to the limits. */
export function encodeFrames(frames: readonly Frame[]): Buffer {
  let total = 0
  for (const { payload } of frames) total += HEADER_BYTES + payload.length
  const message = Buffer.allocUnsafe(total)
  let at = 0
  for (const { type, number, payload } of frames) {
    message.writeUInt32BE(payload.length, at)
    message[at + 4] = type
    message.writeUInt32BE(number, at + 5)
    message.set(payload, at + HEADER_BYTES)
    at += HEADER_BYTES + payload.length
  }
  return message
}

/** Goes through the frames of a message. The fields hold the frame that `next` has found; `start` and `end` bound its payload. */
export class FrameCursor {
  readonly message: Buffer
  type: FrameType = FRAME.ping
  number = 0
  start = 0
  end = 0

  constructor(message: Buffer) {
    this.message = message
  }

  /**
   * False at the end of the message.
   * @throws HubError `link.violation` where no frame is
   */
  next(): boolean {
    const { message } = this
    const at = this.end
    if (at === message.length) return false
    if (message.length - at < HEADER_BYTES) throw violation('a frame is cut short')
    const length = message.readUInt32BE(at)
    if (length > MAX_FRAME_BYTES) throw violation('a frame is too long')
    if (length > message.length - at - HEADER_BYTES) throw violation('a frame is cut short')
    this.type = readType(message[at + 4])
    this.number = message.readUInt32BE(at + 5)
    this.start = at + HEADER_BYTES
    this.end = this.start + length
    return true
  }

  /** The payload in memory of its own: the message is part of what the socket has read. */
  copy(): Buffer {
    const payload = Buffer.allocUnsafe(this.end - this.start)
    this.message.copy(payload, 0, this.start, this.end)
    return payload
  }

  /** The u32 at `offset` of the payload, which must consist of `count` of them. */
  word(offset: number, count: number): number {
    if (this.end - this.start !== count * 4) throw violation('a frame has the wrong length')
    return this.message.readUInt32BE(this.start + offset)
  }
}

function readType(byte: number | undefined): FrameType {
  switch (byte) {
    case FRAME.packet:
    case FRAME.begin:
    case FRAME.part:
    case FRAME.last:
    case FRAME.credit:
    case FRAME.ping:
    case FRAME.pong:
      return byte
    default:
      throw violation('a frame has an unknown type')
  }
}

/** Payload of `begin` and `credit`. */
export function words(...values: number[]): Buffer {
  const payload = Buffer.allocUnsafe(values.length * 4)
  for (const [index, value] of values.entries()) payload.writeUInt32BE(value, index * 4)
  return payload
}

/** The other side does not keep to the link's rules. */
export function violation(why: string, cause?: unknown): HubError {
  return new HubError('link.violation', `The other side of a link broke its rules: ${why}.`, {
    cure: 'Run the same version of Flotilla on all nodes. If you do, please report this.',
    cause,
  })
}
