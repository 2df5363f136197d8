import { type HubError, toHubError } from '../../domain/errors.ts'
import { type Clock, within } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import {
  encodeNotification,
  encodeRequest,
  jsonBytes,
  type RpcAnswer,
  type RpcNotification,
} from '../../mcp/json-rpc.ts'
import { METHOD, NOTIFICATION } from '../../mcp/methods.ts'
import type { Related, Upstream } from '../../upstream/upstream.ts'
import type { InFlight, OpenAsk, Session } from '../sessions/session.ts'
import { attribute } from './attribution.ts'
import {
  ambiguous,
  clientGone,
  missingCapability,
  noAnswer,
  nobodyAsked,
  PROGRESS_TOKEN,
  QUESTION_TOKEN,
  type Question,
  questionToken,
  withToken,
} from './questions.ts'
import type { Traffic } from './traffic.ts'
import type { Turns } from './turns.ts'

/** How long an unattributed question waits for other sessions' calls to end, which tells whose it is. */
const HOLD_MS = 10_000
/** How long a person may think, and how long a client that listens nowhere has to come back, ms. */
const ANSWER_MS = { attached: 10 * 60_000, detached: 60_000 }
/** URL elicitations of which the server may still say that they are complete. */
const MAX_ELICITATIONS = 1_000

interface AskDeps {
  readonly traffic: Traffic
  readonly turns: Turns
  readonly clock: Clock
  readonly log: Logger
}

/** Brings servers' questions (sampling, elicitation, roots) to the one client concerned, and its answers back. */
export class Asks {
  readonly #deps: AskDeps
  /** Questions that wait until it is clear whose they are. */
  readonly #held = new Set<Question>()
  readonly #elicitations = new Map<string, { upstream: Upstream; session: Session }>()

  constructor(deps: AskDeps) {
    this.#deps = deps
  }

  /** A question on an upstream that only `session` uses. */
  fromOwn(question: Question, session: Session): void {
    const found = attribute(this.#deps.traffic.of(question.upstream))
    this.#put(question, session, found.kind === 'one' ? found.call : undefined)
  }

  /** A question on a shared upstream; `related` is the call on whose stream it came, if the transport tells. */
  fromShared(question: Question, related: Related): void {
    const { traffic, turns } = this.#deps
    if (related !== undefined) {
      const call = related === 'gone' ? undefined : traffic.find(question.upstream, related)
      if (!call || call.over) return refuse(question, nobodyAsked(question))
      return this.#put(question, call.session, call)
    }
    const suspects = [...traffic.of(question.upstream)]
    const found = attribute(suspects)
    if (suspects.length > 0) turns.learned(question.server)
    if (found.kind === 'one') return this.#put(question, found.call.session, found.call)
    if (found.kind === 'ambiguous') void this.#hold(question, suspects)
    else refuse(question, nobodyAsked(question))
  }

  /** The client has answered. Answers to questions that nobody asks any more are dropped. */
  answered(session: Session, answer: RpcAnswer): void {
    const ask = this.#close(session, Number(answer.id))
    if (ask) ask.upstream.respond({ id: ask.upstreamId, answer })
    else this.#deps.log.debug({ id: answer.id }, 'a client answered a question that is not open')
  }

  /** The server no longer wants an answer. */
  withdrawn(upstream: Upstream, notification: RpcNotification, sessions: Iterable<Session>): void {
    const { requestId, reason } = notification.params ?? {}
    for (const question of this.#held)
      if (question.upstream === upstream && question.request.id === requestId) this.#held.delete(question)
    for (const session of sessions) {
      if (!session.asked) continue
      for (const [id, ask] of session.asks) {
        if (ask.upstream !== upstream || ask.upstreamId !== requestId) continue
        this.#close(session, id)
        const params = jsonBytes({ requestId: id, ...(typeof reason === 'string' ? { reason } : {}) })
        send(session, ask.call, encodeNotification(NOTIFICATION.cancelled, params))
      }
    }
  }

  /** The client tells how far it is with answering: its token is our id for the question. */
  progressed(session: Session, notification: RpcNotification): void {
    const ask = session.asked ? session.asks.get(Number(notification.params?.['progressToken'])) : undefined
    if (ask?.progressToken === undefined || !notification.body) return
    ask.upstream.notify(
      NOTIFICATION.progress,
      withToken(notification.body, PROGRESS_TOKEN, ask.progressToken),
    )
  }

  /** What the person did at the URL is complete: told to the session that was sent there. */
  elicitationComplete(server: string, upstream: Upstream, notification: RpcNotification): void {
    const id = elicitationKey(server, notification.params?.['elicitationId'])
    const asked = this.#elicitations.get(id)
    if (asked?.upstream !== upstream || asked.session.ended) return
    this.#elicitations.delete(id)
    asked.session.stream.unrelated(encodeNotification(notification.method, notification.body))
  }

  /** The session is over: whoever waits for its answers is told. */
  abandon(session: Session): void {
    if (!session.asked) return
    for (const [id, ask] of session.asks) {
      this.#close(session, id)
      respondError(ask, clientGone(ask.server))
    }
  }

  /** Waits until of the calls that can have asked only one session's are left: a call that ended was not asking. */
  async #hold(question: Question, suspects: readonly InFlight[]): Promise<void> {
    const { traffic, clock } = this.#deps
    const { upstream } = question
    this.#held.add(question)
    const deadline = clock.monotonic() + HOLD_MS
    for (let left = HOLD_MS; left > 0 && !upstream.ended; left = deadline - clock.monotonic()) {
      await within(clock, left, traffic.nextChange(upstream), () => undefined)
      if (!this.#held.has(question)) return
      const found = attribute(suspects.filter((call) => traffic.has(upstream, call)))
      if (found.kind === 'ambiguous') continue
      this.#held.delete(question)
      if (found.kind === 'one') return this.#put(question, found.call.session, found.call)
      return refuse(question, nobodyAsked(question))
    }
    if (this.#held.delete(question)) refuse(question, ambiguous(question))
  }

  #put(question: Question, session: Session, call: InFlight | undefined): void {
    try {
      this.#ask(question, session, call)
    } catch (error) {
      refuse(question, toHubError(error))
    }
  }

  #ask(question: Question, session: Session, call: InFlight | undefined): void {
    const { request, upstream, server } = question
    const missing = missingCapability(question, session)
    if (missing) throw missing
    if (session.ended) throw clientGone(server)
    const token = questionToken(question)
    const attached = (call?.reachable ?? false) || session.stream.attached
    const id = session.nextAskId()
    const body =
      request.body && token !== undefined ? withToken(request.body, QUESTION_TOKEN, id) : request.body
    const wait = attached ? ANSWER_MS.attached : ANSWER_MS.detached
    const expiry = this.#deps.clock.after(wait, () => this.#expired(session, id))
    session.asks.set(id, { server, upstream, upstreamId: request.id, progressToken: token, call, expiry })
    // The server waits for somebody: its silence is not its fault.
    call?.sent?.pending.hold()
    this.#rememberElicitation(question, session)
    send(session, call, encodeRequest(id, request.method, body))
  }

  #expired(session: Session, id: number): void {
    const ask = this.#close(session, id)
    if (!ask) return
    respondError(ask, noAnswer(ask.server))
    // Whoever stops waiting says so (basic/lifecycle, "Timeouts"): the client need not go on showing a form.
    const params = jsonBytes({ requestId: id, reason: 'no answer in time' })
    send(session, ask.call, encodeNotification(NOTIFICATION.cancelled, params))
  }

  #close(session: Session, id: number): OpenAsk | undefined {
    const ask = session.asked ? session.asks.get(id) : undefined
    if (!ask) return undefined
    session.asks.delete(id)
    ask.expiry.stop()
    ask.call?.sent?.pending.release()
    return ask
  }

  #rememberElicitation({ server, request, upstream }: Question, session: Session): void {
    const id = request.params?.['elicitationId']
    if (request.method !== METHOD.elicitation || typeof id !== 'string') return
    this.#elicitations.set(elicitationKey(server, id), { upstream, session })
    const [oldest] = this.#elicitations.keys()
    if (this.#elicitations.size > MAX_ELICITATIONS && oldest !== undefined) this.#elicitations.delete(oldest)
  }
}

/** On the stream of the call, or, where there is none, on the session's own. */
export function send(session: Session, call: InFlight | undefined, bytes: Buffer): void {
  if (call?.reachable) call.message(bytes)
  else session.stream.unrelated(bytes)
}

export function refuse({ upstream, request, server }: Question, error: HubError): void {
  respondError({ upstream, upstreamId: request.id, server }, error)
}

function respondError(
  { upstream, upstreamId }: Pick<OpenAsk, 'upstream' | 'upstreamId' | 'server'>,
  error: HubError,
): void {
  const rpc = error.toRpc()
  upstream.respond({
    id: upstreamId,
    answer: { kind: 'error', id: upstreamId, error: rpc, body: jsonBytes(rpc) },
  })
}

function elicitationKey(server: string, id: unknown): string {
  return JSON.stringify([server, id])
}
