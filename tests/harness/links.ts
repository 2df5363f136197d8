import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'
import type { NodeFacts } from '../../src/domain/cluster.ts'
import { LinkAcceptor } from '../../src/fleet/link/accept.ts'
import { type DialDeps, dial, newInstance } from '../../src/fleet/link/dial.ts'
import { DialerHandshake } from '../../src/fleet/link/handshake.ts'
import type { Link } from '../../src/fleet/link/link.ts'
import { LINK_PATH } from '../../src/fleet/link/socket-limits.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import type { LogLine } from './hub.ts'
import { recordingLogger } from './recording-logger.ts'

export const LINK_TOKEN = 'a-token-of-this-cluster-only'

export function nodeFacts(id: string, more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id,
    name: id,
    role: 'worker',
    version: '0.1.0',
    host: undefined,
    port: undefined,
    hostname: `${id}.example`,
    os: 'linux 6.1',
    labels: {},
    weight: 1,
    maxServers: undefined,
    runtimes: [],
    ...more,
  }
}

/** A socket that speaks WebSocket and nothing of ours. */
export async function stranger(url: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  const options = { perMessageDeflate: false, headers }
  const socket = new WebSocket(`${url.replace('http', 'ws')}${LINK_PATH}`, options)
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => undefined)
  return socket
}

/** A node that greets as it should, and then sends only what the test says. */
export async function bareNode(url: string, id: string): Promise<WebSocket> {
  const socket = await stranger(url)
  const handshake = new DialerHandshake({
    self: nodeFacts(id),
    token: LINK_TOKEN,
    tokenless: undefined,
    nonce: systemRandom.id(128),
    instance: newInstance(systemRandom),
    attempt: 1,
  })
  const answer = async (text: string) => {
    const heard = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))))
    socket.send(Buffer.from(text))
    return heard
  }
  handshake.confirm(await answer(handshake.prove(await answer(handshake.hello()))))
  return socket
}

/** One end of a link, and what has come out of it. */
export interface LinkEnd {
  readonly link: Link
  readonly packets: Buffer[]
}

export interface LinkSite extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly acceptor: LinkAcceptor
  /** The acceptor's ends, oldest first. */
  readonly ends: LinkEnd[]
  readonly lines: LogLine[]
  dial(id: string, more?: Partial<DialDeps>): Promise<LinkEnd>
}

export interface LinkSiteOptions {
  readonly tokens?: () => readonly string[]
  readonly server?: Server
  readonly clientCertificates?: boolean
  readonly clock?: Clock
  /** What the acceptor's end does with a packet, besides keeping it. */
  readonly received?: (packet: Buffer, link: Link) => void
}

/** A coordinator that does nothing but take links, on loopback. */
export async function linkSite(options: LinkSiteOptions = {}): Promise<LinkSite> {
  const { tokens = () => [LINK_TOKEN], server = createServer(), clock = systemClock } = options
  const { logger, lines } = recordingLogger()
  const ends: LinkEnd[] = []
  const acceptor = new LinkAcceptor({
    tokens,
    self: () => nodeFacts('c1', { role: 'coordinator' }),
    clientCertificates: options.clientCertificates ?? false,
    onLink: (link) => {
      const end: LinkEnd = { link, packets: [] }
      ends.push(end)
      return {
        packet: (packet) => {
          end.packets.push(packet)
          options.received?.(packet, link)
        },
      }
    },
    clock,
    random: systemRandom,
    log: logger,
  })
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    port,
    acceptor,
    ends,
    lines,
    dial: (id, more) => dialLink(url, id, more),
    async [Symbol.asyncDispose]() {
      acceptor.close()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

export async function dialLink(url: string, id: string, more: Partial<DialDeps> = {}): Promise<LinkEnd> {
  const packets: Buffer[] = []
  const deps: DialDeps = {
    token: LINK_TOKEN,
    self: nodeFacts(id),
    instance: newInstance(systemRandom),
    attempt: 1,
    onLink: () => ({ packet: (packet) => packets.push(packet) }),
    clock: systemClock,
    random: systemRandom,
    ...more,
  }
  const link = await dial(url, deps, new AbortController().signal)
  return { link, packets }
}
