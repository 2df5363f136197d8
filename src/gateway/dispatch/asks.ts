import { HubError, type RpcErrorObject } from '../../domain/errors.ts'
import { type Clock, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  encodeNotification,
  encodeRequest,
  isObject,
  isRequestId,
  jsonBytes,
  type RequestId,
  type RpcAnswer,
  type RpcNotification,
  type RpcRequest,
} from '../../mcp/json-rpc.ts'
import { findMembers, splice } from '../../mcp/json-text.ts'
import { METHOD, NOTIFICATION } from '../../mcp/methods.ts'
import type { PendingCall, Upstream } from '../../upstream/upstream.ts'
import type { InFlight, Session } from '../sessions/session.ts'
import { attribute } from './attribution.ts'
import type { Traffic } from './traffic.ts'
import type { Turns } from './turns.ts'

/** How long an unattributed question waits for other sessions' calls to end, which tells whose it is. */
const HOLD_MS = 10_000

interface AskDeps {
  readonly traffic: Traffic
  readonly turns: Turns
  readonly clock: Clock
  readonly log: Logger
}

/** A question and where it came from. */
interface Question {
  readonly server: string
  readonly upstream: Upstream
  readonly request: RpcRequest
}

/** Brings servers' questions (sampling, elicitation, roots) to the one client concerned, and its answers back. */
export class Asks {
  readonly #deps: AskDeps

  constructor(deps: AskDeps) {
    this.#deps = deps
  }

  /** A question on an upstream that only `session` uses. */
  fromOwn(question: Question, session: Session): void {
    const calls = this.#deps.turns.suspects(question.upstream)
    this.#put(question, session, calls.at(-1))
  }

  /** A question on a shared upstream; `related` is the call on whose stream it came, if the transport tells. */
  fromShared(question: Question, related: PendingCall | undefined): void {
    const { traffic, turns } = this.#deps
    const call = related && traffic.find(question.upstream, related)
    if (call) return this.#put(question, call.session, call)
    turns.learned(question.server)
    const suspects = turns.suspects(question.upstream)
    const found = attribute(suspects)
    if (found.kind === 'one') return this.#put(question, found.call.session, found.call)
    if (found.kind === 'none') return refuse(question, nobodyAsked(question))
    void this.#hold(question, suspects)
  }

  /** The client has answered. Answers to questions that nobody asks any more are dropped. */
  answered(session: Session, answer: RpcAnswer): void {
    const id = Number(answer.id)
    const ask = session.asks.get(id)
    if (!ask) {
      this.#deps.log.debug({ id: answer.id }, 'a client answered a question that is not open')
      return
    }
    session.asks.delete(id)
    const { call, upstream, upstreamId } = ask
    const respond = () => {
      if (call) {
        this.#deps.turns.answered(call)
        call.sent?.pending.release()
      }
      upstream.respond({ id: upstreamId, answer })
    }
    // What the server does next must not be taken for another session's doing: the call resumes when it is its turn.
    if (call) this.#deps.turns.take(call, upstream, respond)
    else respond()
  }

  /** The server no longer wants an answer. */
  withdrawn(upstream: Upstream, notification: RpcNotification, sessions: Iterable<Session>): void {
    const requestId = notification.params?.['requestId']
    for (const session of sessions) {
      for (const [id, ask] of session.asks) {
        if (ask.upstream !== upstream || ask.upstreamId !== requestId) continue
        session.asks.delete(id)
        if (ask.call) this.#deps.turns.answered(ask.call)
        const reason = notification.params?.['reason']
        const params = jsonBytes({ requestId: id, ...(typeof reason === 'string' ? { reason } : {}) })
        send(session, ask.call, encodeNotification(NOTIFICATION.cancelled, params))
      }
    }
  }

  /** The client tells how far it is with answering: its token is our id for the question. */
  progressed(session: Session, notification: RpcNotification): void {
    const ask = session.asks.get(Number(notification.params?.['progressToken']))
    if (ask?.progressToken === undefined || !notification.body) return
    ask.upstream.notify(NOTIFICATION.progress, withToken(notification.body, ask.progressToken))
  }

  /** The session is over: whoever waits for its answers is told. */
  abandon(session: Session): void {
    for (const ask of session.asks.values()) {
      const error = new HubError('client.gone', 'The client that was asked has ended its session.')
      ask.upstream.respond({ id: ask.upstreamId, answer: failure(ask.upstreamId, error.toRpc()) })
    }
    session.asks.clear()
  }

  /** Waits until of the calls that can have asked only one session's are left: a call that ended was not asking. */
  async #hold(question: Question, suspects: readonly InFlight[]): Promise<void> {
    const { traffic, clock } = this.#deps
    const deadline = clock.monotonic() + HOLD_MS
    for (let left = HOLD_MS; left > 0; left = deadline - clock.monotonic()) {
      await within(clock, left, traffic.nextChange(question.upstream), () => undefined)
      const found = attribute(suspects.filter((call) => traffic.has(question.upstream, call)))
      if (found.kind === 'one') return this.#put(question, found.call.session, found.call)
      if (found.kind === 'none') return refuse(question, nobodyAsked(question))
    }
    refuse(question, ambiguous(question))
  }

  #put(question: Question, session: Session, call: InFlight | undefined): void {
    const { request, upstream, server } = question
    const missing = missingCapability(request, session)
    if (missing) return refuse(question, missing)
    if (!(call?.reply.reachable || session.stream.attached)) return refuse(question, unreachable(server))
    const token = progressTokenOf(request)
    const id = session.openAsk({ upstream, upstreamId: request.id, progressToken: token, call })
    if (call) {
      call.sent?.pending.hold()
      this.#deps.turns.asked(call, upstream)
    }
    const body = request.body && token !== undefined ? withToken(request.body, id) : request.body
    send(session, call, encodeRequest(id, request.method, body))
  }
}

function send(session: Session, call: InFlight | undefined, bytes: Buffer): void {
  if (call?.reply.reachable) call.reply.message(bytes)
  else session.stream.unrelated(bytes)
}

function refuse({ upstream, request }: Question, error: HubError): void {
  upstream.respond({ id: request.id, answer: failure(request.id, error.toRpc()) })
}

function failure(id: RequestId, error: RpcErrorObject): RpcAnswer {
  return { kind: 'error', id, error, body: jsonBytes(error) }
}

function progressTokenOf(request: RpcRequest): RequestId | undefined {
  const meta = request.params?.['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return isRequestId(token) ? token : undefined
}

/** `params` with its progress token (in `_meta`, or at the top in a progress notification) exchanged. */
function withToken(params: Buffer, token: RequestId): Buffer {
  const whole = { start: 0, end: params.length }
  const { progressToken, _meta } = findMembers(params, whole, ['progressToken', '_meta'])
  const at = progressToken ?? (_meta && findMembers(params, _meta, ['progressToken']).progressToken)
  return at ? splice(params, [{ ...at, text: JSON.stringify(token) }]) : params
}

function missingCapability(request: RpcRequest, session: Session): HubError | undefined {
  const has = (name: string) => isObject(session.identity.capabilities[name])
  const needs = (capability: string, ok: boolean) =>
    ok
      ? undefined
      : new HubError('client.unsupported', `The client of this call does not support ${capability}.`, {
          data: { capability },
          cure: 'Connect with a client that declares it, or use a tool that does not ask.',
        })
  switch (request.method) {
    case METHOD.sampling:
      return needs('sampling', has('sampling'))
    case METHOD.rootsList:
      return needs('roots', has('roots'))
    case METHOD.elicitation: {
      const elicitation = session.identity.capabilities['elicitation']
      const url = request.params?.['mode'] === 'url'
      // An empty declaration means form mode only (2025-11-25, client/elicitation, "Capabilities").
      const supported = isObject(elicitation) && (!url || isObject(elicitation['url']))
      return needs(url ? 'elicitation in URL mode' : 'elicitation', supported)
    }
    default:
      return undefined
  }
}

const CURE_SESSION =
  'Set "isolation": "session" for this server in the settings: each client then has a process of its own.'

function nobodyAsked({ server, request }: Question): HubError {
  return new HubError(
    'client.ambiguous',
    `Server "${server}" sent ${request.method} while no client's call was in flight, so nobody can be asked.`,
    {
      data: { server },
      cure: CURE_SESSION,
    },
  )
}

function ambiguous({ server, request }: Question): HubError {
  return new HubError(
    'client.ambiguous',
    `Server "${server}" sent ${request.method} while calls of several clients were in flight; whose it is cannot be told.`,
    {
      data: { server },
      cure: CURE_SESSION,
    },
  )
}

function unreachable(server: string): HubError {
  return new HubError('client.gone', `The client whose call made server "${server}" ask is not connected.`, {
    cure: 'Let it call again.',
  })
}
