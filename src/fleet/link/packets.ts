import type { HubError } from '../../domain/errors.ts'
import {
  linkViolation,
  NOTHING,
  RELATED_SIZE,
  Reader,
  type RelatedNumber,
  textSize,
  Writer,
} from './packet-bytes.ts'

/**
 * What coordinator and worker say to each other about upstreams, as bytes: one byte for the kind, fixed fields, texts with their
 * length before them, and a body up to the end that passes through as it is. Numbers are big-endian. `upstream` is a number that
 * the coordinator has chosen on this link, `call` one that it has chosen on this upstream. Kind 1 is for control messages.
 */
const CODE = {
  open: 2,
  request: 3,
  cancel: 4,
  notify: 5,
  respond: 6,
  close: 7,
  release: 8,
  opened: 32,
  openFailed: 33,
  result: 34,
  error: 35,
  failed: 36,
  progress: 37,
  asked: 38,
  noted: 39,
  over: 40,
  closed: 41,
} as const

type Kind = keyof typeof CODE

interface OnUpstream {
  readonly upstream: number
}

interface OnCall extends OnUpstream {
  readonly call: number
}

/** Opens an upstream to a replica: the shared one, or the holder's own. */
export interface OpenPacket extends OnUpstream {
  readonly kind: 'open'
  readonly replica: { readonly id: string; readonly epoch: number }
  /** `identity`: JSON. */
  readonly holder: { readonly id: string; readonly identity: Buffer } | undefined
  /** Whether it is to be started if it does not run. */
  readonly wake: boolean
}

export interface RequestPacket extends OnCall {
  readonly kind: 'request'
  readonly method: string
  readonly params: Buffer | undefined
  /** The progress token that stands in `params`, if progress is wanted. */
  readonly progressToken: number | undefined
}

export interface CancelPacket extends OnCall {
  readonly kind: 'cancel'
  readonly reason: string | undefined
}

export interface NotifyPacket extends OnUpstream {
  readonly kind: 'notify'
  readonly method: string
  readonly params: Buffer | undefined
}

/** The answer to a question of the server. */
export interface RespondPacket extends OnUpstream {
  readonly kind: 'respond'
  /** The question's id as JSON. */
  readonly id: string
  readonly isError: boolean
  readonly body: Buffer
}

export interface ClosePacket extends OnUpstream {
  readonly kind: 'close'
}

/** The holder is gone for good. */
export interface ReleasePacket {
  readonly kind: 'release'
  readonly replica: { readonly id: string; readonly epoch: number }
  readonly holder: string
}

export type CoordinatorPacket =
  | OpenPacket
  | RequestPacket
  | CancelPacket
  | NotifyPacket
  | RespondPacket
  | ClosePacket
  | ReleasePacket

/** `body`: the server's hello as JSON. */
export interface OpenedPacket extends OnUpstream {
  readonly kind: 'opened'
  readonly body: Buffer
}

/** `openFailed`: it did not come about. `closed`: it has ended. `body`: a HubError as JSON. */
export interface UpstreamErrorPacket extends OnUpstream {
  readonly kind: 'openFailed' | 'closed'
  readonly body: Buffer
}

export interface ResultPacket extends OnCall {
  readonly kind: 'result'
  /** Whether the result says `isError: true`, so that nobody need parse it to know. */
  readonly isError: boolean
  readonly body: Buffer
}

/** `error`: the server's, as it came. `failed`: there is no answer; a HubError as JSON. `progress`: params. */
export interface CallPacket extends OnCall {
  readonly kind: 'error' | 'failed' | 'progress'
  readonly body: Buffer
}

/** A question of the server. */
export interface AskedPacket extends OnUpstream {
  readonly kind: 'asked'
  readonly related: RelatedNumber
  /** As JSON. */
  readonly id: string
  readonly method: string
  readonly params: Buffer | undefined
}

/** A notification of the server. */
export interface NotedPacket extends OnUpstream {
  readonly kind: 'noted'
  readonly related: RelatedNumber
  readonly method: string
  readonly params: Buffer | undefined
}

/** The server has really come to its end with a call that was cancelled. */
export interface OverPacket extends OnCall {
  readonly kind: 'over'
}

export type WorkerPacket =
  | OpenedPacket
  | UpstreamErrorPacket
  | ResultPacket
  | CallPacket
  | AskedPacket
  | NotedPacket
  | OverPacket

/** What is not longer goes with everything else of its upstream, in order; a longer answer or request goes on a lane of its own. */
export const SHORT_BYTES = 32 * 1024
/** Opening and releasing keep their order. */
export const OPENING_LANE = 1
const LANES = 2 ** 29

/** The lane of all short packets of an upstream. */
export function upstreamLane(upstream: number): number {
  return 2 + 2 * (upstream % LANES)
}

/** A lane for one long packet: that two of them may share it by chance does no harm. */
export function longLane({ upstream, call }: OnCall): number {
  return 3 + 2 * ((upstream * 7_919 + call) % LANES)
}

export function encodePacket(packet: CoordinatorPacket | WorkerPacket): Buffer {
  switch (packet.kind) {
    case 'open':
      return encodeOpen(packet)
    case 'request':
      return encodeRequest(packet)
    case 'cancel': {
      const text = Buffer.from(packet.reason ?? '')
      return onCall(packet, 1, text)
        .u8(packet.reason === undefined ? 0 : 1)
        .end(text)
    }
    case 'notify': {
      const writer = onUpstream(packet, textSize(packet.method) + 1, packet.params)
      return writer.text(packet.method).optional(packet.params)
    }
    case 'respond': {
      const writer = onUpstream(packet, 1 + textSize(packet.id), packet.body)
      return writer
        .u8(packet.isError ? 1 : 0)
        .text(packet.id)
        .end(packet.body)
    }
    case 'release': {
      const { replica, holder } = packet
      const writer = new Writer(CODE.release, 1 + textSize(replica.id) + 6 + textSize(holder))
      return writer.text(replica.id).u48(replica.epoch).text(holder).end(NOTHING)
    }
    case 'close':
      return onUpstream(packet, 0, NOTHING).end(NOTHING)
    case 'over':
      return onCall(packet, 0, NOTHING).end(NOTHING)
    case 'opened':
    case 'openFailed':
    case 'closed':
      return onUpstream(packet, 0, packet.body).end(packet.body)
    case 'result':
      return onCall(packet, 1, packet.body)
        .u8(packet.isError ? 1 : 0)
        .end(packet.body)
    case 'error':
    case 'failed':
    case 'progress':
      return onCall(packet, 0, packet.body).end(packet.body)
    case 'asked': {
      const size = RELATED_SIZE + textSize(packet.id) + textSize(packet.method) + 1
      const writer = onUpstream(packet, size, packet.params).related(packet.related)
      return writer.text(packet.id).text(packet.method).optional(packet.params)
    }
    case 'noted': {
      const size = RELATED_SIZE + textSize(packet.method) + 1
      const writer = onUpstream(packet, size, packet.params).related(packet.related)
      return writer.text(packet.method).optional(packet.params)
    }
  }
}

function encodeOpen(packet: OpenPacket): Buffer {
  const { replica, holder } = packet
  const identity = holder?.identity ?? NOTHING
  const size = 1 + textSize(replica.id) + 6 + textSize(holder?.id ?? '')
  return onUpstream(packet, size, identity)
    .u8((holder ? HAS_HOLDER : 0) | (packet.wake ? WAKES : 0))
    .text(replica.id)
    .u48(replica.epoch)
    .text(holder?.id ?? '')
    .end(identity)
}

function encodeRequest(packet: RequestPacket): Buffer {
  const { method, params, progressToken } = packet
  const writer = onCall(packet, 1 + 6 + textSize(method) + 1, params)
  return writer
    .u8(progressToken === undefined ? 0 : 1)
    .u48(progressToken ?? 0)
    .text(method)
    .optional(params)
}

/** @throws HubError `link.violation` */
export function readFromCoordinator(packet: Buffer): CoordinatorPacket {
  const read = new Reader(packet)
  switch (packet[0]) {
    case CODE.open:
      return readOpen(read)
    case CODE.request: {
      const upstream = read.u32()
      const call = read.u48()
      const wanted = read.flag()
      const token = read.u48()
      const method = read.text()
      const params = read.optional()
      return { kind: 'request', upstream, call, method, params, progressToken: wanted ? token : undefined }
    }
    case CODE.cancel: {
      const [upstream, call, given, text] = [read.u32(), read.u48(), read.flag(), read.rest()]
      return { kind: 'cancel', upstream, call, reason: given ? text.toString('utf8') : undefined }
    }
    case CODE.notify:
      return { kind: 'notify', upstream: read.u32(), method: read.text(), params: read.optional() }
    case CODE.respond: {
      const [upstream, isError, id] = [read.u32(), read.flag(), read.text()]
      return { kind: 'respond', upstream, id, isError, body: read.rest() }
    }
    case CODE.close:
      return read.whole({ kind: 'close', upstream: read.u32() })
    case CODE.release:
      return read.whole({
        kind: 'release',
        replica: { id: read.text(), epoch: read.u48() },
        holder: read.text(),
      })
    default:
      throw unknownKind(packet)
  }
}

function readOpen(read: Reader): OpenPacket {
  const [upstream, flags, id, epoch] = [read.u32(), read.u8(), read.text(), read.u48()]
  const [holder, identity] = [read.text(), read.rest()]
  return {
    kind: 'open',
    upstream,
    replica: { id, epoch },
    holder: (flags & HAS_HOLDER) === 0 ? undefined : { id: holder, identity },
    wake: (flags & WAKES) !== 0,
  }
}

/** @throws HubError `link.violation` */
export function readFromWorker(packet: Buffer): WorkerPacket {
  const read = new Reader(packet)
  switch (packet[0]) {
    case CODE.result: {
      const upstream = read.u32()
      const call = read.u48()
      const isError = read.flag()
      return { kind: 'result', upstream, call, isError, body: read.rest() }
    }
    case CODE.error:
      return { kind: 'error', upstream: read.u32(), call: read.u48(), body: read.rest() }
    case CODE.failed:
      return { kind: 'failed', upstream: read.u32(), call: read.u48(), body: read.rest() }
    case CODE.progress:
      return { kind: 'progress', upstream: read.u32(), call: read.u48(), body: read.rest() }
    case CODE.asked: {
      const [upstream, related, id, method] = [read.u32(), read.related(), read.text(), read.text()]
      return { kind: 'asked', upstream, related, id, method, params: read.optional() }
    }
    case CODE.noted: {
      const [upstream, related, method] = [read.u32(), read.related(), read.text()]
      return { kind: 'noted', upstream, related, method, params: read.optional() }
    }
    case CODE.opened:
      return { kind: 'opened', upstream: read.u32(), body: read.rest() }
    case CODE.openFailed:
      return { kind: 'openFailed', upstream: read.u32(), body: read.rest() }
    case CODE.closed:
      return { kind: 'closed', upstream: read.u32(), body: read.rest() }
    case CODE.over:
      return read.whole({ kind: 'over', upstream: read.u32(), call: read.u48() })
    default:
      throw unknownKind(packet)
  }
}

const HAS_HOLDER = 1
const WAKES = 2

function unknownKind(packet: Buffer): HubError {
  return linkViolation(packet.length === 0 ? 'it is empty' : `its kind ${packet[0]} is unknown here`)
}

/** @param size of the fields that follow the number of the upstream */
function onUpstream(
  packet: OnUpstream & { readonly kind: Kind },
  size: number,
  body: Buffer | undefined,
): Writer {
  return new Writer(CODE[packet.kind], 5 + size + (body?.length ?? 0)).u32(packet.upstream)
}

function onCall(packet: OnCall & { readonly kind: Kind }, size: number, body: Buffer | undefined): Writer {
  return new Writer(CODE[packet.kind], 11 + size + (body?.length ?? 0)).u32(packet.upstream).u48(packet.call)
}
