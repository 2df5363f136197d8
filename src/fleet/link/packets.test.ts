import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import {
  type CoordinatorPacket,
  encodePacket,
  longLane,
  OPENING_LANE,
  readFromCoordinator,
  readFromWorker,
  upstreamLane,
  type WorkerPacket,
} from './packets.ts'

const upstream = fc.nat(2 ** 32 - 1)
const call = fc.maxSafeNat().map((n) => n % 2 ** 48)
const text = fc.string({ unit: 'grapheme' })
const body = fc.uint8Array().map((bytes) => Buffer.from(bytes))
const params = fc.option(body, { nil: undefined })
const replica = fc.record({ id: text, epoch: call })
const related = fc.oneof(call, fc.constant('gone' as const), fc.constant(undefined))

const kind = <K extends string>(name: K) => fc.constant(name)

const fromCoordinator: fc.Arbitrary<CoordinatorPacket> = fc.oneof(
  fc.record({
    kind: kind('open'),
    upstream,
    replica,
    holder: fc.option(fc.record({ id: text, identity: body }), { nil: undefined }),
    wake: fc.boolean(),
  }),
  fc.record({
    kind: kind('request'),
    upstream,
    call,
    method: text,
    params,
    progressToken: fc.option(call, { nil: undefined }),
  }),
  fc.record({ kind: kind('cancel'), upstream, call, reason: fc.option(text, { nil: undefined }) }),
  fc.record({ kind: kind('notify'), upstream, method: text, params }),
  fc.record({ kind: kind('respond'), upstream, id: text, isError: fc.boolean(), body }),
  fc.record({ kind: kind('close'), upstream }),
  fc.record({ kind: kind('release'), replica, holder: text }),
)

const fromWorker: fc.Arbitrary<WorkerPacket> = fc.oneof(
  fc.record({ kind: kind('opened'), upstream, body }),
  fc.record({ kind: fc.constantFrom('openFailed' as const, 'closed' as const), upstream, body }),
  fc.record({ kind: kind('result'), upstream, call, isError: fc.boolean(), body }),
  fc.record({
    kind: fc.constantFrom('error' as const, 'failed' as const, 'progress' as const),
    upstream,
    call,
    body,
  }),
  fc.record({ kind: kind('asked'), upstream, related, id: text, method: text, params }),
  fc.record({ kind: kind('noted'), upstream, related, method: text, params }),
  fc.record({ kind: kind('over'), upstream, call }),
)

function outcome(read: (packet: Buffer) => unknown, bytes: Buffer): unknown {
  try {
    return read(bytes)
  } catch (error) {
    return error
  }
}

describe('packets', () => {
  test('of a coordinator are read as they were written', () => {
    fc.assert(
      fc.property(fromCoordinator, (packet) => {
        expect(readFromCoordinator(encodePacket(packet))).toEqual(packet)
      }),
    )
  })

  test('of a worker are read as they were written', () => {
    fc.assert(
      fc.property(fromWorker, (packet) => {
        expect(readFromWorker(encodePacket(packet))).toEqual(packet)
      }),
    )
  })

  test('that go the wrong way are violations', () => {
    fc.assert(
      fc.property(fromCoordinator, fromWorker, (down, up) => {
        expect(outcome(readFromWorker, encodePacket(down))).toMatchObject({ code: 'link.violation' })
        expect(outcome(readFromCoordinator, encodePacket(up))).toMatchObject({ code: 'link.violation' })
      }),
    )
  })

  test('that are any bytes at all are read or are violations, and nothing else happens', () => {
    const bytes = fc
      .tuple(
        fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 32, 34, 37, 38, 39, 40, 255),
        fc.uint8Array({ maxLength: 60 }),
      )
      .map(([first, rest]) => Buffer.concat([Buffer.of(first), rest]))
    fc.assert(
      fc.property(bytes, (packet) => {
        for (const read of [readFromCoordinator, readFromWorker]) {
          const seen = outcome(read, packet)
          if (seen instanceof Error) {
            expect(seen).toBeInstanceOf(HubError)
            expect(seen).toMatchObject({ code: 'link.violation' })
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('that are cut off anywhere before their body are violations', () => {
    const packet = encodePacket({
      kind: 'asked',
      upstream: 7,
      related: 12,
      id: '"q"',
      method: 'roots/list',
      params: undefined,
    })
    for (let length = 0; length < packet.length; length += 1)
      expect(outcome(readFromWorker, packet.subarray(0, length))).toMatchObject({ code: 'link.violation' })
  })

  test('that claim a text longer than themselves are violations', () => {
    const packet = encodePacket({ kind: 'notify', upstream: 1, method: 'x', params: undefined })
    packet.writeUInt32BE(0xffff_ffff, 5)
    expect(outcome(readFromCoordinator, packet)).toMatchObject({
      code: 'link.violation',
      message: expect.stringContaining('ends too early'),
    })
  })
})

test('lanes of long packets, of upstreams and of openings are apart, and fit in 32 bits', () => {
  const lanes = fc.record({ upstream, call })
  fc.assert(
    fc.property(lanes, ({ upstream: one, call: two }) => {
      const short = upstreamLane(one)
      const long = longLane({ upstream: one, call: two })
      expect(short % 2).toBe(0)
      expect(long % 2).toBe(1)
      expect(Math.min(short, long)).toBeGreaterThan(OPENING_LANE)
      expect(Math.max(short, long)).toBeLessThan(2 ** 32)
    }),
  )
})
