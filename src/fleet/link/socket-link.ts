import type { RawData, WebSocket } from 'ws'
import type { NodeFacts } from '../../domain/cluster.ts'
import { HubError, isHubErrorCode, messageOf, toHubError } from '../../domain/errors.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { FRAME, FrameCursor, violation, words } from './frames.ts'
import { INBOX_LIMITS, Inbox, type InboxLimits } from './inbox.ts'
import type { Link, LinkHandler } from './link.ts'
import { OUTBOX_LIMITS, Outbox, type OutboxLimits, stuck, type Wire } from './outbox.ts'

export interface LinkTuning extends InboxLimits, OutboxLimits {
  /** A link on which nothing comes, or that takes nothing, for about so long is closed. */
  readonly stallMs: number
}

export const LINK_TUNING: LinkTuning = { ...INBOX_LIMITS, ...OUTBOX_LIMITS, stallMs: 15_000 }

export interface SocketLinkDeps {
  /** Open, and past the handshake. */
  readonly socket: WebSocket
  readonly peer: NodeFacts
  readonly clock: Clock
  readonly tuning: LinkTuning
}

const SEND_OPTIONS = { binary: true, compress: false }
/** Of closes that say why in `<code> <sentence>`. RFC 6455 §7.4.2 leaves 4000–4999 to applications. */
const CLOSE_CODE = 4000
/** RFC 6455 §5.5: a control frame has at most 125 bytes, of which two are the code. */
const MAX_CLOSE_BYTES = 123
/** The socket of a closed link is let go after this, even if the other side does not answer. */
const CLOSE_GRACE_MS = 1_000
/** A link is looked at so often within `stallMs`. Looks are counted and not time, so that a pause of this process is not held against the peer. */
const LOOKS = 3

/** A link over a WebSocket. */
export class SocketLink implements Link {
  readonly peer: NodeFacts
  readonly closed: Promise<HubError>
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #inbox: Inbox
  readonly #outbox: Outbox
  readonly #resolveClosed: (reason: HubError) => void
  readonly #look: Timer
  #handler: LinkHandler | undefined
  #ended: HubError | undefined
  #buffered = () => 0
  /** Looks since something came, and since the socket took something while it had something to take. */
  #silentLooks = 0
  #stuckLooks = 0
  #listeners: (() => void)[] = []

  constructor({ socket, peer, clock, tuning }: SocketLinkDeps) {
    this.peer = peer
    this.#socket = socket
    this.#clock = clock
    const { promise, resolve } = Promise.withResolvers<HubError>()
    this.closed = promise
    this.#resolveClosed = resolve
    const wire = this.#wire(socket)
    this.#buffered = () => wire.buffered
    this.#outbox = new Outbox(wire, (reason) => this.close(reason), tuning)
    const grant = (stream: number, bytes: number) => this.#outbox.frame(FRAME.credit, stream, words(bytes))
    this.#inbox = new Inbox({ packet: (packet) => this.#handler?.packet(packet), grant }, tuning)
    this.#look = clock.every(tuning.stallMs / LOOKS, () => this.#lookAfter())
    socket.on('message', (data, isBinary) => this.#message(data, isBinary))
    socket.on('error', (error) => this.#end(lostBy(error)))
    socket.on('close', (code, reason) => this.#end(closedBy(code, reason)))
  }

  /** To be called once, in the turn in which the link was made. What `makeHandler` throws ends the link. */
  run(makeHandler: () => LinkHandler): void {
    try {
      this.#handler = makeHandler()
    } catch (error) {
      this.close(toHubError(error))
    }
  }

  get ended(): HubError | undefined {
    return this.#ended
  }

  /** Bytes on their way out that the system or the other side has not taken yet. */
  get backlog(): number {
    return this.#buffered() + this.#outbox.held
  }

  /** Memory set aside for what is coming in. */
  get reserved(): number {
    return this.#inbox.reserved
  }

  send(lane: number, packet: Buffer): void {
    if (!this.#ended) this.#outbox.send(lane, packet)
  }

  /** Whether the other side says anything within `ms`; it is asked to. */
  isAlive(ms: number): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false)
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, () => resolve(false))
      this.#listeners.push(() => {
        timer.stop()
        resolve(!this.#ended)
      })
      this.#outbox.frame(FRAME.ping, 0)
    })
  }

  close(reason: HubError): void {
    if (this.#ended) return
    // What was sent before goes out before: a last word is often the reason for closing.
    this.#ended = reason
    this.#outbox.flush()
    this.#socket.close(CLOSE_CODE, closeText(reason))
    const timer = this.#clock.after(CLOSE_GRACE_MS, () => this.#socket.terminate())
    this.#socket.once('close', () => timer.stop())
    this.#settle(reason)
  }

  /** The socket is gone already. */
  #end(reason: HubError): void {
    if (this.#ended) return
    this.#ended = reason
    this.#socket.terminate()
    this.#settle(reason)
  }

  #settle(reason: HubError): void {
    this.#look.stop()
    this.#outbox.close()
    this.#inbox.clear()
    this.#tellListeners()
    this.#resolveClosed(reason)
  }

  #wire(socket: WebSocket): Wire {
    const progress = () => {
      this.#stuckLooks = 0
    }
    return {
      get buffered() {
        return socket.bufferedAmount
      },
      write: (message, taken) => {
        // An error here comes as an event of the socket as well.
        socket.send(message, SEND_OPTIONS, (error) => {
          progress()
          if (!error) taken?.()
        })
      },
    }
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.#ended) return
    this.#silentLooks = 0
    if (this.#listeners.length > 0) this.#tellListeners()
    try {
      if (!isBinary || !Buffer.isBuffer(data)) throw violation('a text message came')
      const frame = new FrameCursor(data)
      while (!this.#ended && frame.next()) this.#frame(frame)
    } catch (error) {
      this.close(toHubError(error))
    }
  }

  #frame(frame: FrameCursor): void {
    switch (frame.type) {
      case FRAME.packet:
        return this.#inbox.packet(frame)
      case FRAME.begin:
        return this.#inbox.begin(frame)
      case FRAME.part:
      case FRAME.last:
        return this.#inbox.part(frame)
      case FRAME.credit:
        return this.#outbox.credit(frame.number, frame.word(0, 1))
      case FRAME.ping:
        return this.#outbox.frame(FRAME.pong, 0)
      case FRAME.pong:
        return
      default:
        frame.type satisfies never
    }
  }

  #lookAfter(): void {
    this.#silentLooks += 1
    this.#stuckLooks = this.#buffered() > 0 ? this.#stuckLooks + 1 : 0
    if (this.#stuckLooks > LOOKS) this.close(stuck('it takes nothing of what is sent'))
    else if (this.#silentLooks > LOOKS) this.close(stuck('nothing has come from it'))
    else if (this.#silentLooks > 1) this.#outbox.frame(FRAME.ping, 0)
  }

  #tellListeners(): void {
    for (const listener of this.#listeners.splice(0)) listener()
  }
}

function closeText(reason: HubError): Buffer {
  const text = Buffer.from(`${reason.code} ${reason.message}`)
  if (text.length <= MAX_CLOSE_BYTES) return text
  // Not in the middle of a character.
  let end = MAX_CLOSE_BYTES
  while (((text[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return text.subarray(0, end)
}

/** Why the other side has closed, as it said. */
function closedBy(code: number, reason: Buffer): HubError {
  const [, given, sentence = ''] = /^([\w.-]+) (.*)$/su.exec(reason.toString()) ?? []
  if (code === CLOSE_CODE && isHubErrorCode(given))
    return new HubError(given, `The other side closed the link: ${sentence}`)
  return new HubError('link.lost', `The connection to the other node was lost (WebSocket ${code}).`, {
    cure: 'It is made again by itself. If it is not, look at the other node and at the network.',
  })
}

function lostBy(cause: Error & { code?: unknown }): HubError {
  if (typeof cause.code === 'string' && cause.code.startsWith('WS_ERR_'))
    return violation(messageOf(cause), cause)
  return new HubError('link.lost', `The connection to the other node was lost: ${messageOf(cause)}.`, {
    cause,
    cure: 'It is made again by itself. If it is not, look at the other node and at the network.',
  })
}
