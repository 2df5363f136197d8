import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { NodeFacts } from '../../domain/cluster.ts'
import { HubError, hubStopping } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Random } from '../../kernel/random.ts'
import { whyCertificateRefused } from './client-certificate.ts'
import { Greeting } from './greeting.ts'
import { AcceptorHandshake, encodeRefusal, type Newcomer } from './handshake.ts'
import type { Link, LinkHandler } from './link.ts'
import { RefusalLog } from './refusal-log.ts'
import { LinkRegistry } from './registry.ts'
import { LINK_PATH, SOCKET_LIMITS } from './socket-limits.ts'
import { LINK_TUNING, type LinkTuning, SocketLink } from './socket-link.ts'
import { whyTokenNeeded } from './tokenless.ts'

export interface AcceptorDeps {
  /** The cluster's token first, then those that still count while it is exchanged; empty = none, for nodes on this machine only. */
  tokens(): readonly string[]
  /** Sent to each node that links. */
  self(): NodeFacts
  /** Called for each new link, in the turn in which it is made; what it throws closes the link. */
  onLink(link: Link): LinkHandler
  /** Whether a node must show a certificate that the server's authorities have signed. */
  readonly clientCertificates: boolean
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly tuning?: LinkTuning
}

/** Sockets that have not proved yet who they are. When one more comes, the oldest must go: honest ones need milliseconds. */
const MAX_STRANGERS = 64
const NONCE_BITS = 128

/** Takes links from other nodes, on the port of the HTTP server. */
export class LinkAcceptor {
  readonly #deps: AcceptorDeps
  readonly #server = new WebSocketServer({ ...SOCKET_LIMITS, noServer: true, clientTracking: false })
  readonly #registry = new LinkRegistry()
  readonly #strangers = new Set<Greeting>()
  readonly #refusals: RefusalLog
  #closed = false

  constructor(deps: AcceptorDeps) {
    this.#deps = deps
    this.#refusals = new RefusalLog(deps.clock, deps.log)
  }

  /** Links of nodes that have proved who they are. */
  get links(): readonly Link[] {
    return this.#registry.links
  }

  /** Sockets that are being greeted. */
  get strangers(): number {
    return this.#strangers.size
  }

  /** Whether a request asks for a link: then its upgrade belongs here. */
  handles(request: IncomingMessage): boolean {
    return request.url?.split('?', 1)[0] === LINK_PATH
  }

  /** For the event `upgrade` of the HTTP server. Never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#whyRefused(request, socket)
    if (refusal) {
      this.#refusals.add(addressOf(socket), refusal)
      refuseUpgrade(socket, refusal)
    } else this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#greet(webSocket, request))
  }

  /** Ends all links and takes no more. */
  close(reason: HubError = hubStopping()): void {
    this.#closed = true
    for (const stranger of [...this.#strangers]) stranger.fail(reason)
    for (const link of this.#registry.links) link.close(reason)
  }

  #whyRefused(request: IncomingMessage, socket: Duplex): HubError | undefined {
    if (this.#closed) return hubStopping()
    // Browsers send it, and let any page open a WebSocket to any address.
    if (request.headers.origin !== undefined)
      return new HubError('access.origin', 'Pages may not link to a coordinator.')
    if (!(socket instanceof Socket)) return new HubError('link.refused', 'This is not a network connection.')
    return this.#deps.clientCertificates ? whyCertificateRefused(socket) : undefined
  }

  #greet(socket: WebSocket, request: IncomingMessage): void {
    const { clock, random, self, tokens, clientCertificates } = this.#deps
    const [oldest] = this.#strangers
    if (oldest && this.#strangers.size >= MAX_STRANGERS) oldest.fail(crowded())
    const handshake = new AcceptorHandshake({
      self: self(),
      tokens: tokens(),
      tokenless: whyTokenNeeded(request.socket, clientCertificates, request),
      nonce: random.id(NONCE_BITS),
    })
    const address = addressOf(request.socket)
    const greeting = new Greeting(socket, clock, {
      steps: [
        (text) => greeting.say(handshake.challenge(text)),
        (text) => void this.#admit(greeting, handshake, handshake.verify(text)),
      ],
      failed: (reason) => {
        this.#refusals.add(address, reason)
        return encodeRefusal(reason)
      },
      over: () => this.#strangers.delete(greeting),
    })
    this.#strangers.add(greeting)
  }

  async #admit(greeting: Greeting, handshake: AcceptorHandshake, newcomer: Newcomer): Promise<void> {
    try {
      await this.#registry.admit(newcomer)
      if (greeting.isOver) return
      this.#link(greeting, handshake, newcomer)
    } catch (error) {
      greeting.fail(error)
    }
  }

  /** All in one turn: the first packets may come right behind. */
  #link(greeting: Greeting, handshake: AcceptorHandshake, newcomer: Newcomer): void {
    greeting.say(handshake.welcome())
    const { clock, tuning = LINK_TUNING } = this.#deps
    const link = new SocketLink({ socket: greeting.finish(), peer: newcomer.facts, clock, tuning })
    this.#registry.enter(newcomer, link)
    link.run(() => this.#deps.onLink(link))
  }
}

function crowded(): HubError {
  return new HubError('link.refused', 'Too many nodes connect at once.', {
    cure: 'Try again.',
    retryAfter: 1,
  })
}

function addressOf(socket: Duplex): string {
  return (socket instanceof Socket ? socket.remoteAddress : undefined) ?? 'unknown'
}

function refuseUpgrade(socket: Duplex, reason: HubError): void {
  const { httpStatus } = reason
  const body = encodeRefusal(reason)
  // Without a listener a broken socket would end the process.
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(
    [
      `HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus] ?? 'Refused'}`,
      'Connection: close',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  )
}
