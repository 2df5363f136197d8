import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrames, FRAME, type Frame, FrameCursor, MAX_FRAME_BYTES, words } from './frames.ts'
import { Inbox, MAX_STREAMS } from './inbox.ts'
import { MAX_PACKET_BYTES } from './link.ts'
import { Outbox, type Wire } from './outbox.ts'

function decode(message: Buffer): Frame[] {
  const cursor = new FrameCursor(message)
  const frames: Frame[] = []
  while (cursor.next()) frames.push({ type: cursor.type, number: cursor.number, payload: cursor.copy() })
  return frames
}

const anyFrame = fc.record({
  type: fc.constantFrom(...Object.values(FRAME)),
  number: fc.nat(2 ** 32 - 1),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

describe('frames', () => {
  test('come out of a message as they went in', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), (frames) => {
        expect(decode(encodeFrames(frames))).toEqual(frames)
      }),
    )
  })

  test('are read from any bytes, or a violation is found: nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(Buffer.from(bytes))
        } catch (error) {
          expect(error).toMatchObject({ code: 'link.violation' })
        }
      }),
      { numRuns: 5_000 },
    )
  })

  test('that claim to be longer than a frame may be are a violation, and so are cut ones', () => {
    const header = Buffer.alloc(9 + MAX_FRAME_BYTES + 1)
    header.writeUInt32BE(MAX_FRAME_BYTES + 1)
    header[4] = FRAME.packet
    expect(() => decode(header)).toThrow('too long')
    const whole = encodeFrames([{ type: FRAME.packet, number: 1, payload: Buffer.from('abc') }])
    expect(() => decode(whole.subarray(0, -1))).toThrow('cut short')
  })
})

/** An outbox and an inbox with nothing between but a queue, so that a test decides when what arrives. */
function pair(reassemblyBytes = 384 * 1024 * 1024) {
  const received: Buffer[] = []
  const failures: string[] = []
  const queue: { message: Buffer; taken: (() => void) | undefined }[] = []
  const wire: Wire & { buffered: number } = {
    buffered: 0,
    write: (message, taken) => {
      queue.push({ message, taken })
    },
  }
  const limits = { partsAheadBytes: 1, backlogBytes: 1_000_000, heldBytes: 2 ** 30 }
  const outbox = new Outbox(wire, (reason) => failures.push(reason.message), limits)
  const inbox = new Inbox(
    { packet: (packet) => received.push(packet), grant: (stream, bytes) => outbox.credit(stream, bytes) },
    { windowBytes: 512 * 1024, reassemblyBytes },
  )
  const take = (message: Buffer) => {
    const frame = new FrameCursor(message)
    while (frame.next()) {
      if (frame.type === FRAME.packet) inbox.packet(frame)
      else if (frame.type === FRAME.begin) inbox.begin(frame)
      else inbox.part(frame)
    }
  }
  /** Carries one message over; false when there is none. */
  const step = () => {
    outbox.flush()
    const next = queue.shift()
    if (!next) return false
    take(next.message)
    next.taken?.()
    return true
  }
  const settle = () => {
    for (let more = true; more; ) more = step()
  }
  return { outbox, inbox, wire, received, failures, step, settle, take }
}

/** A packet that says its lane and its number in it, so that a mix-up shows. */
function numbered(lane: number, number: number, length: number): Buffer {
  const packet = Buffer.alloc(Math.max(length, 8), number % 251)
  packet.writeUInt32BE(lane)
  packet.writeUInt32BE(number, 4)
  return packet
}

describe('packets', () => {
  test('of one lane arrive whole and in their order, whatever their sizes', () => {
    const size = fc.oneof(fc.nat(2_000), fc.integer({ min: 60_000, max: 70_000 }), fc.nat(1_500_000))
    const packets = fc.array(fc.tuple(fc.nat(3), size), { maxLength: 25 })
    fc.assert(
      fc.property(packets, (sizes) => {
        const { outbox, inbox, received, failures, settle } = pair()
        const sent = sizes.map(([lane, length], index) => numbered(lane, index, length))
        for (const packet of sent) outbox.send(packet.readUInt32BE(), packet)
        settle()
        for (const lane of [0, 1, 2, 3]) {
          const of = (all: Buffer[]) => all.filter((packet) => packet.readUInt32BE() === lane)
          expect(of(received).map((packet) => packet.readUInt32BE(4))).toEqual(
            of(sent).map((packet) => packet.readUInt32BE(4)),
          )
          expect(Buffer.concat(of(received)).equals(Buffer.concat(of(sent)))).toBe(true)
        }
        expect(failures).toEqual([])
        expect([outbox.held, inbox.reserved]).toEqual([0, 0])
      }),
      { numRuns: 60 },
    )
  })

  test('of other lanes pass a big one, and do not wait for its end', () => {
    const { outbox, received, step, settle } = pair()
    outbox.send(1, numbered(1, 1, 5_000_000))
    step()
    outbox.send(2, numbered(2, 2, 100))
    step()
    expect(received.map(({ length }) => length)).toEqual([100])
    settle()
    expect(received).toHaveLength(2)
  })

  test('that are big share the way: a later short one ends first', () => {
    const { outbox, received, settle } = pair()
    outbox.send(1, numbered(1, 1, 5_000_000))
    outbox.send(2, numbered(2, 2, 200_000))
    settle()
    expect(received.map(({ length }) => length)).toEqual([200_000, 5_000_000])
  })

  test('that are more than can be under way wait, and all arrive', () => {
    const { outbox, received, settle } = pair()
    for (let lane = 1; lane <= MAX_STREAMS + 50; lane += 1) outbox.send(lane, numbered(lane, lane, 70_000))
    settle()
    expect(received).toHaveLength(MAX_STREAMS + 50)
  })

  test('for which there is no memory wait in their order, and none for ever', () => {
    const { outbox, inbox, received, step } = pair(0)
    // The budget is at least one packet of the greatest length: two of more than half do not fit.
    const length = MAX_PACKET_BYTES / 2 + 1
    const packets = [Buffer.alloc(length), Buffer.alloc(length), Buffer.alloc(length)]
    for (const [lane, packet] of packets.entries()) outbox.send(lane, packet)
    let most = 0
    while (step()) most = Math.max(most, inbox.reserved)
    expect(received).toHaveLength(3)
    expect(most).toBe(length)
    expect(inbox.reserved).toBe(0)
  })

  test('that are too big end the link, and so does a socket that takes nothing', () => {
    const { outbox, wire, failures, step } = pair()
    outbox.send(1, Buffer.allocUnsafeSlow(MAX_PACKET_BYTES + 1))
    expect(failures.pop()).toContain('too big')
    wire.buffered = 1_000_001
    outbox.send(1, Buffer.from('x'))
    step()
    expect(failures.pop()).toContain('stuck')
  })
})

describe('a sender that does not keep to the rules', () => {
  const begin = (number: number, lane: number, total: number): Frame => ({
    type: FRAME.begin,
    number,
    payload: words(lane, total),
  })
  const part = (number: number, length: number): Frame => ({
    type: FRAME.part,
    number,
    payload: Buffer.alloc(length),
  })
  const packet = (lane: number): Frame => ({ type: FRAME.packet, number: lane, payload: Buffer.from('x') })

  test.each<[string, Frame[]]>([
    ['announces more than a packet may have', [begin(1, 1, MAX_PACKET_BYTES + 1)]],
    ['announces a small packet as a big one', [begin(1, 1, 10)]],
    ['begins a stream twice', [begin(1, 1, 100_000), begin(1, 2, 100_000)]],
    ['begins a second one in a lane', [begin(1, 1, 100_000), begin(2, 1, 100_000)]],
    ['overtakes in a lane', [begin(1, 1, 100_000), packet(1)]],
    ['sends bytes of nothing', [part(7, 10)]],
    ['sends an empty part', [begin(1, 1, 100_000), part(1, 0)]],
    ['sends more than it has credit for', [begin(1, 1, 70_000), part(1, 65_536), part(1, 65_536)]],
    ['ends too early', [begin(1, 1, 70_000), { type: FRAME.last, number: 1, payload: Buffer.alloc(10) }]],
    ['does not end in time', [begin(1, 1, 70_000), part(1, 65_536), part(1, 70_000 - 65_536)]],
    ['has too many at once', Array.from({ length: MAX_STREAMS + 1 }, (_, i) => begin(i, i, 100_000))],
    ['begins without saying how', [{ type: FRAME.begin, number: 1, payload: Buffer.alloc(7) }]],
  ])('and %s is caught', (_, frames) => {
    const inbox = new Inbox({ packet: () => undefined, grant: () => undefined })
    const feed = () => {
      for (const frame of frames) {
        const cursor = new FrameCursor(encodeFrames([frame]))
        cursor.next()
        if (frame.type === FRAME.packet) inbox.packet(cursor)
        else if (frame.type === FRAME.begin) inbox.begin(cursor)
        else inbox.part(cursor)
      }
    }
    expect(feed).toThrow(expect.objectContaining({ code: 'link.violation' }))
  })

  test('and grants credit for nothing, or beyond the end, is caught', () => {
    const { outbox } = pair()
    const violation = expect.objectContaining({ code: 'link.violation' })
    expect(() => outbox.credit(1, 10)).toThrow(violation)
    outbox.send(1, Buffer.alloc(100_000))
    expect(() => outbox.credit(1, 0)).toThrow(violation)
    expect(() => outbox.credit(1, 100_001)).toThrow(violation)
  })
})
