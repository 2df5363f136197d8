import { ALL, type EndpointName } from '../../src/domain/endpoint.ts'
import { ANONYMOUS, type Principal } from '../../src/domain/principal.ts'
import {
  InFlight,
  type Outcome,
  type Reply,
  Session,
  type SessionStream,
} from '../../src/gateway/sessions/session.ts'
import { LATEST_2025 } from '../../src/mcp/eras.ts'
import type { Capabilities } from '../../src/mcp/methods.ts'

/** Keeps what is sent to a client outside of its requests. */
export class FakeStream implements SessionStream {
  attached = false
  ended = false
  readonly sent: string[] = []
  readonly hints: string[] = []
  /** The times at which it was told to trim. */
  readonly trims: number[] = []

  unrelated(bytes: Buffer): void {
    this.sent.push(bytes.toString())
  }

  hint(method: string): void {
    this.hints.push(method)
  }

  end(): void {
    this.ended = true
  }

  trim(now: number): void {
    this.trims.push(now)
  }
}

/** Keeps what belongs to one request of a client. */
export class FakeReply implements Reply {
  reachable = true
  abandoned = false
  readonly messages: string[] = []
  readonly answers: string[] = []

  message(bytes: Buffer): void {
    this.messages.push(bytes.toString())
  }

  answer(bytes: Buffer): void {
    this.answers.push(bytes.toString())
  }

  abandon(): void {
    this.abandoned = true
  }

  /** The only answer, parsed. */
  get parsed(): unknown {
    if (this.answers.length !== 1) throw new Error(`There are ${this.answers.length} answers, not one.`)
    return JSON.parse(this.answers[0] ?? '')
  }
}

interface SessionParts {
  readonly endpoint?: EndpointName
  readonly principal?: Principal
  readonly capabilities?: Capabilities
  readonly now?: number
}

export type FakeSession = Session & { readonly stream: FakeStream }

export function makeSession(id: string, parts: SessionParts = {}): FakeSession {
  return new Session({
    id,
    endpoint: parts.endpoint ?? ALL,
    principal: parts.principal ?? ANONYMOUS,
    revision: LATEST_2025,
    identity: {
      protocolVersion: LATEST_2025,
      clientInfo: { name: 'test', version: '1.0.0' },
      capabilities: parts.capabilities ?? {},
    },
    client: { ip: '127.0.0.1', userAgent: 'test/1.0' },
    stream: new FakeStream(),
    now: parts.now ?? 0,
  }) as FakeSession
}

/** A server's answer like any other. */
export const ANSWERED: Outcome = { kind: 'result', id: 1, result: {}, body: Buffer.from('{}') }

export type FakeInFlight = InFlight & { readonly reply: FakeReply }

/** A call under way: of `session`, to `server`. */
export function makeCall(
  session: Session,
  parts: { id?: number; server?: string; what?: string } = {},
): FakeInFlight {
  const { id = 1, server = 'pipe', what = 'echo' } = parts
  const reply = new FakeReply()
  return Object.assign(new InFlight(session, id, { server, what, reply }), { reply })
}
