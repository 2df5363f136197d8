import { HubError } from '../../domain/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { jsonBytes, type RpcNotification, type RpcRequest } from '../../mcp/json-rpc.ts'
import { NOTIFICATION } from '../../mcp/methods.ts'
import type { PendingCall, Related, Upstream } from '../../upstream/upstream.ts'
import type { RelatedNumber } from '../link/packet-bytes.ts'

/** A coordinator's use of an upstream. */
export interface Attached {
  /** Calls in flight. */
  readonly load: number
  /** The coordinator's number of a call, if it is one of its own. */
  numberOf(pending: PendingCall): number | undefined
  ask(request: RpcRequest, related: RelatedNumber): void
  note(notification: RpcNotification, related: RelatedNumber): void
  upstreamClosed(reason: HubError): void
}

interface Deps {
  readonly upstream: Upstream
  readonly server: string
  /** Whether it belongs to one client session. */
  readonly own: boolean
  readonly log: Logger
}

/** Concerns everybody, or says itself whom. */
const FOR_ALL: ReadonlySet<string> = new Set([
  NOTIFICATION.toolsChanged,
  NOTIFICATION.promptsChanged,
  NOTIFICATION.resourcesChanged,
  NOTIFICATION.resourceUpdated,
  NOTIFICATION.elicitationComplete,
  NOTIFICATION.cancelled,
])
/** What is kept of what a server says while no coordinator listens. */
const MAX_KEPT = { messages: 100, bytes: 1024 * 1024 }

/** An upstream on this worker and the coordinators that use it: brings what the server says unasked to those whom it concerns. */
export class ServedUpstream {
  readonly upstream: Upstream
  readonly #deps: Deps
  readonly #attached = new Set<Attached>()
  /** Calls that nobody waits for any more and that may still be at work, those of coordinators that are gone included. */
  readonly #lingering = new Map<Attached, number>()
  #kept: (() => void)[] = []
  #keptBytes = 0
  #everUsed = false

  constructor(deps: Deps) {
    this.upstream = deps.upstream
    this.#deps = deps
    void deps.upstream.closed.then((reason) => {
      this.#kept = []
      for (const each of [...this.#attached]) each.upstreamClosed(reason)
    })
  }

  get server(): string {
    return this.#deps.server
  }

  attach(attached: Attached): void {
    this.#everUsed = true
    this.#attached.add(attached)
    const kept = this.#kept
    this.#kept = []
    this.#keptBytes = 0
    for (const deliver of kept) deliver()
  }

  detach(attached: Attached): void {
    this.#attached.delete(attached)
  }

  /** A call was cancelled; the result is to be called once it is over. */
  lingers(attached: Attached): () => void {
    this.#lingering.set(attached, (this.#lingering.get(attached) ?? 0) + 1)
    return () => {
      const left = (this.#lingering.get(attached) ?? 0) - 1
      if (left > 0) this.#lingering.set(attached, left)
      else this.#lingering.delete(attached)
    }
  }

  asked(request: RpcRequest, related: Related): void {
    if (this.#nobodyListens) {
      if (!this.#keep(request, () => this.asked(request, undefined)))
        this.refuse(request.id, this.#noCall(request))
      return
    }
    const origin = this.#origin(related)
    if (origin) return origin.attached.ask(request, origin.call)
    const among = this.#deps.own ? [...this.#attached].slice(-1) : this.#suspects()
    const [first] = among.length > 0 ? among : this.#attached
    const several = among.length > 1 || (among.length === 0 && this.#attached.size > 1)
    // Of a coordinator that is gone, nobody can be asked.
    if (!first || !this.#attached.has(first)) this.refuse(request.id, this.#noCall(request))
    else if (several)
      this.refuse(request.id, among.length > 1 ? this.#unclear(request) : this.#noCall(request))
    else first.ask(request, toNumber(related))
  }

  noted(notification: RpcNotification, related: Related): void {
    if (this.#nobodyListens) {
      this.#keep(notification, () => this.noted(notification, undefined))
      return
    }
    const origin = this.#origin(related)
    if (origin) return origin.attached.note(notification, origin.call)
    const suspects = this.#deps.own || FOR_ALL.has(notification.method) ? [] : this.#suspects()
    if (suspects.length > 1)
      // Showing it to the clients of any coordinator but the right one would be a leak.
      return this.#deps.log.debug({}, 'a message of a server could not be attributed to one coordinator')
    for (const each of suspects.length > 0 ? suspects : this.#attached)
      if (this.#attached.has(each)) each.note(notification, toNumber(related))
  }

  /** Answers a question of the server with an error. */
  refuse(id: RpcRequest['id'], error: HubError): void {
    const rpc = error.toRpc()
    this.upstream.respond({ id, answer: { kind: 'error', id, error: rpc, body: jsonBytes(rpc) } })
  }

  /** Before its first user, and while a session's coordinator is away, what the server says waits. */
  get #nobodyListens(): boolean {
    return this.#attached.size === 0 && (this.#deps.own || !this.#everUsed)
  }

  #keep({ body }: RpcRequest | RpcNotification, deliver: () => void): boolean {
    const bytes = body?.length ?? 0
    if (this.#kept.length >= MAX_KEPT.messages || this.#keptBytes + bytes > MAX_KEPT.bytes) return false
    this.#kept.push(deliver)
    this.#keptBytes += bytes
    return true
  }

  #origin(related: Related): { attached: Attached; call: number } | undefined {
    if (related === undefined || related === 'gone') return undefined
    for (const attached of this.#attached) {
      const call = attached.numberOf(related)
      if (call !== undefined) return { attached, call }
    }
    return undefined
  }

  /** Whose calls may be at work. */
  #suspects(): Attached[] {
    const suspects = new Set(this.#lingering.keys())
    for (const each of this.#attached) if (each.load > 0) suspects.add(each)
    return [...suspects]
  }

  #noCall({ method }: RpcRequest): HubError {
    return new HubError(
      'client.ambiguous',
      `Server "${this.server}" sent ${method} while no client's call was in flight, so nobody can be asked.`,
      {
        data: { server: this.server },
        cure: 'A server that several clients share may only ask while it works on a call.',
      },
    )
  }

  #unclear({ method }: RpcRequest): HubError {
    return new HubError(
      'client.ambiguous',
      `Server "${this.server}" sent ${method} while calls of several coordinators were in flight; whose it is cannot be told.`,
      {
        data: { server: this.server },
        cure: 'Set "isolation": "session" for this server in the settings: each client then has a process of its own.',
      },
    )
  }
}

function toNumber(related: Related): RelatedNumber {
  return related === undefined ? undefined : 'gone'
}
