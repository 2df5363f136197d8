import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { NodeFacts } from '../../domain/cluster.ts'
import { HubError, toHubError } from '../../domain/errors.ts'
import { type Clock, within } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { httpFailure, socketFailure } from './dial-failure.ts'
import { Greeting } from './greeting.ts'
import { DialerHandshake } from './handshake.ts'
import type { Link, LinkHandler } from './link.ts'
import { LINK_PATH, SOCKET_LIMITS } from './socket-limits.ts'
import { LINK_TUNING, type LinkTuning, SocketLink } from './socket-link.ts'
import { whyTokenNeeded } from './tokenless.ts'

/** Contents of PEM files. */
export interface DialTls {
  /** Who signs the coordinators' certificates; undefined = the system's authorities. */
  readonly ca?: string | undefined
  /** What this node shows of itself, to coordinators that ask. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export interface DialDeps {
  readonly token: string | undefined
  readonly tls?: DialTls | undefined
  readonly self: NodeFacts
  /** Of this start of the process: see `newInstance`. */
  readonly instance: string
  /** Higher with each call: the later link of a process counts. */
  readonly attempt: number
  /** Called in the turn in which the link is made; what it throws closes the link. */
  onLink(link: Link): LinkHandler
  readonly clock: Clock
  readonly random: Random
  readonly tuning?: LinkTuning
}

const CONNECT_TIMEOUT_MS = 10_000
/** How long, and how much, is read of the reason of a refusal. */
const REASON_MS = 2_000
const REASON_CHARS = 4_096
const NONCE_BITS = 128

export function newInstance(random: Random): string {
  return random.id(NONCE_BITS)
}

/**
 * Makes a link to the coordinator at `url` (http, https, ws or wss; a path counts as a prefix).
 * @throws HubError why there is none, and what to do; the signal's reason when it is aborted before
 */
export async function dial(url: string, deps: DialDeps, signal: AbortSignal): Promise<Link> {
  const address = linkAddress(url)
  signal.throwIfAborted()
  const socket = open(address, deps.tls)
  const { promise, resolve, reject } = Promise.withResolvers<Link>()
  const stop = () => {
    reject(toHubError(signal.reason))
    // An abort makes the socket say that it was not connected yet.
    socket.on('error', () => undefined)
    socket.terminate()
  }
  signal.addEventListener('abort', stop, { once: true })
  socket.on('unexpected-response', (request, response: IncomingMessage) => {
    const said = within(deps.clock, REASON_MS, beginningOf(response), () => '')
    void said.then((text) => {
      reject(httpFailure(address, response, text))
      request.destroy()
    })
  })
  const failedToOpen = (error: Error) => reject(socketFailure(address, error))
  socket.on('error', failedToOpen)
  socket.once('upgrade', ({ socket: stream }) => {
    const tokenless = whyTokenNeeded(stream, deps.tls?.cert !== undefined)
    socket.once('open', () => {
      socket.off('error', failedToOpen)
      greet({ socket, tokenless, resolve, reject }, deps)
    })
  })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

interface Opened {
  readonly socket: WebSocket
  readonly tokenless: HubError | undefined
  resolve(link: Link): void
  reject(reason: unknown): void
}

function greet({ socket, tokenless, resolve, reject }: Opened, deps: DialDeps): void {
  const { self, token, instance, attempt, clock, random, tuning = LINK_TUNING, onLink } = deps
  const nonce = random.id(NONCE_BITS)
  const handshake = new DialerHandshake({ self, token, tokenless, nonce, instance, attempt })
  const greeting = new Greeting(socket, clock, {
    steps: [
      (text) => greeting.say(handshake.prove(text)),
      (text) => {
        const peer = handshake.confirm(text)
        // All in one turn: the first packets may come right behind.
        const link = new SocketLink({ socket: greeting.finish(), peer, clock, tuning })
        link.run(() => onLink(link))
        resolve(link)
      },
    ],
    failed: (reason) => {
      reject(reason)
      return undefined
    },
  })
  greeting.say(handshake.hello())
}

function open(address: URL, tls: DialTls | undefined): WebSocket {
  const { ca, cert, key } = tls ?? {}
  try {
    return new WebSocket(address, {
      ...SOCKET_LIMITS,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      followRedirects: false,
      // Masking keeps scripts of pages from writing what they like onto a wire (RFC 6455 §10.3). A node runs no such scripts, and
      // masking would cost it as much as all else that it does with a big result. A mask of zeros changes nothing.
      generateMask: (mask) => void mask.fill(0),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
  } catch (cause) {
    throw socketFailure(address, cause)
  }
}

function beginningOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const done = () => resolve(text)
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      text += part
      if (text.length >= REASON_CHARS) done()
    })
    for (const event of ['end', 'close', 'error']) response.on(event, done)
  })
}

/**
 * Where a coordinator with this URL takes links.
 * @throws HubError `settings.invalid`
 */
export function linkAddress(url: string): URL {
  const address = URL.canParse(url) ? new URL(url) : undefined
  const scheme = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[address?.protocol ?? '']
  if (!address || scheme === undefined)
    throw new HubError('settings.invalid', `${JSON.stringify(url)} is not the URL of a coordinator.`, {
      cure: 'Give it like http://coordinator:3000 or https://cluster.example.com.',
    })
  address.protocol = scheme
  address.pathname = `${address.pathname.replace(/\/+$/, '')}${LINK_PATH}`
  address.search = ''
  address.hash = ''
  return address
}
