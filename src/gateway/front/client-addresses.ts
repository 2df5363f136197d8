import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { ClientAddress } from '../sessions/session.ts'

const LONGEST_USER_AGENT = 1024
/** Thousands of sessions come from a handful of clients; whoever makes up new ones must not fill the memory. */
const MAX_KNOWN = 1_000

/** Where requests come from. Equal addresses are one object. */
export class ClientAddresses {
  readonly #trustedProxies: number
  readonly #known = new Map<string, ClientAddress>()

  /**
   * @param trustedProxies how many proxies stand before the hub: so many entries at the end of `X-Forwarded-For` are true. 0: the header
   *   can be anybody's invention and is not looked at
   */
  constructor(trustedProxies: number) {
    this.#trustedProxies = trustedProxies
  }

  of(request: IncomingMessage): ClientAddress {
    const ip = this.#forwarded(request) ?? plainIp(request.socket.remoteAddress)
    const userAgent = request.headers['user-agent']?.slice(0, LONGEST_USER_AGENT)
    const key = `${ip} ${userAgent}`
    const known = this.#known.get(key)
    if (known) return known
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    const address = { ip, userAgent }
    this.#known.set(key, address)
    return address
  }

  #forwarded(request: IncomingMessage): string | undefined {
    if (this.#trustedProxies === 0) return undefined
    const header = request.headers['x-forwarded-for']
    const entries = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
    return plainIp(entries.at(-this.#trustedProxies)?.trim() ?? entries[0]?.trim())
  }
}

/** An IPv4 address as such, also where the system writes it as IPv6 (RFC 4291 §2.5.5.2). */
function plainIp(text: string | undefined): string | undefined {
  const plain = text?.replace(/^::ffff:(?=\d+\.)/i, '')
  return plain !== undefined && isIP(plain) !== 0 ? plain : undefined
}
