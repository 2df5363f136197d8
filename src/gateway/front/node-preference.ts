import type { IncomingMessage, ServerResponse } from 'node:http'
import type { StickySettings } from '../../domain/cluster-settings.ts'
import type { Session } from '../sessions/session.ts'

/** What a node id may look like: such as can stand in a cookie, a header and a log line as it is. */
const NODE_ID = /^[A-Za-z0-9_.-]{1,128}$/

/** Which node clients ask for, by cookie or header, and the cookie that has them ask for it. */
export class NodePreference {
  readonly #sticky: StickySettings | undefined
  /** The node that a session's client was last told to ask for. */
  readonly #told = new WeakMap<Session, string>()

  /** @param sticky undefined where there is one node only, and where sessions are not kept to nodes by what clients send */
  constructor(sticky: StickySettings | undefined) {
    const asks = sticky?.enabled && (sticky.strategy === 'cookie' || sticky.strategy === 'header')
    this.#sticky = asks ? sticky : undefined
  }

  /** The node that the request asks for. What cannot be the id of one is not looked at. */
  of({ headers }: IncomingMessage): string | undefined {
    if (!this.#sticky) return undefined
    const { strategy, cookieName, headerName } = this.#sticky
    const asked =
      strategy === 'cookie' ? cookieOf(headers.cookie, cookieName) : headers[headerName.toLowerCase()]
    return typeof asked === 'string' && NODE_ID.test(asked) ? asked : undefined
  }

  /** Takes note of what a session's client asks for now. */
  note(request: IncomingMessage, session: Session): void {
    if (!this.#sticky) return
    const asked = this.of(request)
    if (asked !== undefined) session.preferredNode = asked
  }

  /** What is to be done right before the head of an answer is sent; undefined if nothing ever is. */
  beforeHead(request: IncomingMessage, response: ServerResponse, session: Session): (() => void) | undefined {
    if (this.#sticky?.strategy !== 'cookie') return undefined
    return () => this.#tell(request, response, session)
  }

  /** Has the client ask for the session's node from now on, once; a client that asks for it already need not be told. */
  #tell(request: IncomingMessage, response: ServerResponse, session: Session): void {
    const { preferredNode: node } = session
    if (!this.#sticky || node === undefined || response.headersSent || !NODE_ID.test(node)) return
    if (this.#told.get(session) === node) return
    this.#told.set(session, node)
    if (this.of(request) === node) return
    // Not `Secure`: whether the client came by https is known to the proxy only, and the name of a node is no secret.
    response.setHeader('Set-Cookie', `${this.#sticky.cookieName}=${node}; Path=/; HttpOnly; SameSite=Lax`)
  }
}

function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const at = part.indexOf('=')
    if (at !== -1 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim()
  }
  return undefined
}
