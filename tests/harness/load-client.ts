import { Client } from 'undici'
import { z } from 'zod'
import { dataOf } from './events.ts'

const messageSchema = z.looseObject({
  id: z.unknown().optional(),
  method: z.string().optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
})

export type RpcMessage = z.infer<typeof messageSchema>

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly messages: readonly RpcMessage[]
}

export interface ClientOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** How long an answer may take, ms. */
  readonly timeoutMs?: number
  /** Whether it sends back the cookies that it is given. */
  readonly cookies?: boolean
}

interface SessionFacts {
  readonly path: string
  readonly id: string
  readonly headers: Record<string, string>
  readonly cookies: boolean
  readonly timeoutMs: number
}

interface Sending {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly timeoutMs: number
}

const REVISION = '2025-11-25'

/** As much of an MCP client as a load needs: one session on one connection, one request at a time. */
export class LoadClient {
  readonly sessionId: string
  readonly #http: Client
  readonly #path: string
  readonly #headers: Record<string, string>
  readonly #cookies: boolean
  readonly #timeoutMs: number

  /** @throws when the session is refused; the message has the whole answer */
  static async open(url: string, options: ClientOptions = {}): Promise<LoadClient> {
    const { origin, pathname } = new URL(url)
    const timeoutMs = options.timeoutMs ?? 15_000
    const http = new Client(origin, { headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...options.headers,
    }
    try {
      const params = {
        protocolVersion: REVISION,
        capabilities: {},
        clientInfo: { name: 'load', version: '1' },
      }
      const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
      const reply = await send(http, { path: pathname, headers, body, timeoutMs })
      const id = reply.headers['mcp-session-id']
      if (reply.status !== 200 || typeof id !== 'string') throw new SessionRefused(reply)
      const own = { ...headers, 'mcp-session-id': id, 'mcp-protocol-version': REVISION }
      const cookies = options.cookies ?? false
      const client = new LoadClient(http, { path: pathname, id, headers: own, cookies, timeoutMs })
      client.#eat(reply)
      await client.post({ jsonrpc: '2.0', method: 'notifications/initialized' })
      return client
    } catch (error) {
      await http.destroy()
      throw error
    }
  }

  private constructor(http: Client, session: SessionFacts) {
    this.#http = http
    this.#timeoutMs = session.timeoutMs
    this.#path = session.path
    this.sessionId = session.id
    this.#headers = session.headers
    this.#cookies = session.cookies
  }

  /** What it sends as `Cookie`. */
  get cookie(): string | undefined {
    return this.#headers['cookie']
  }

  async post(message: Readonly<Record<string, unknown>>): Promise<Reply> {
    const reply = await send(this.#http, {
      path: this.#path,
      headers: this.#headers,
      body: JSON.stringify(message),
      timeoutMs: this.#timeoutMs,
    })
    this.#eat(reply)
    return reply
  }

  /** Sends a message and throws the answer away as it comes, so that a big one costs next to nothing here. Gives its bytes. */
  async drain(message: Readonly<Record<string, unknown>>): Promise<{ status: number; bytes: number }> {
    const body = JSON.stringify(message)
    const answer = await this.#http.request({
      path: this.#path,
      method: 'POST',
      headers: this.#headers,
      body,
      signal: AbortSignal.timeout(this.#timeoutMs),
    })
    let bytes = 0
    for await (const chunk of answer.body) bytes += Buffer.byteLength(chunk)
    return { status: answer.statusCode, bytes }
  }

  /** Ends the session, where there still is one, and the connection. */
  async close(): Promise<void> {
    try {
      const { body } = await this.#http.request({
        path: this.#path,
        method: 'DELETE',
        headers: this.#headers,
      })
      await body.dump()
    } finally {
      await this.#http.destroy()
    }
  }

  /** Leaves without a word, as a client that crashes. */
  drop(): Promise<void> {
    return this.#http.destroy()
  }

  #eat({ headers }: Reply): void {
    const given = [headers['set-cookie'] ?? []].flat()
    if (!this.#cookies || given.length === 0) return
    this.#headers['cookie'] = given.map((cookie) => cookie.split(';')[0]).join('; ')
  }
}

/** An answer to `initialize` that opens no session. */
export class SessionRefused extends Error {
  readonly reply: Reply

  constructor(reply: Reply) {
    super(`no session: ${reply.status} ${reply.text.slice(0, 500)}`)
    this.reply = reply
  }
}

async function send(http: Client, { path, headers, body, timeoutMs }: Sending): Promise<Reply> {
  // For all of it: a stream that says nothing but that it is alive would never end.
  const signal = AbortSignal.timeout(timeoutMs)
  const answer = await http.request({ path, method: 'POST', headers, body, signal })
  const text = await answer.body.text()
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    messages: messagesOf(text, String(answer.headers['content-type'] ?? '')),
  }
}

function messagesOf(text: string, type: string): RpcMessage[] {
  if (type.startsWith('text/event-stream'))
    return dataOf(text).map((data) => messageSchema.parse(JSON.parse(data)))
  return type.startsWith('application/json') && text !== '' ? [messageSchema.parse(JSON.parse(text))] : []
}
