/** As much of an MCP client over streamable HTTP as a load driver needs, on undici's dispatcher: it was the
 *  lighter of the two clients at hand (25-50 µs a call against 50-100 µs with `node:http`). */

import { Client, type Dispatcher } from 'undici'

export type Message = {
  id?: unknown
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { code: number; message: string }
}
export type Reply = {
  status: number
  sessionId: string | undefined
  messages: () => Message[]
  text: () => string
}

export const revision = '2025-11-25'
const timeoutMs = 60_000

class ReplyReader implements Dispatcher.DispatchHandler {
  readonly #resolve: (reply: Reply) => void
  readonly #reject: (error: Error) => void
  #status = 0
  #headers: Record<string, string | string[] | undefined> = {}
  #first: Buffer | undefined
  #all: Buffer[] | undefined

  constructor(resolve: (reply: Reply) => void, reject: (error: Error) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  onRequestStart(): void {
    this.#status = 0
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status
    this.#headers = headers
  }

  /** Nearly every answer is one piece: only the others pay for a list. */
  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#first) this.#first = chunk
    else if (this.#all) this.#all.push(chunk)
    else this.#all = [this.#first, chunk]
  }

  onResponseEnd(): void {
    const text = () => (this.#all ? Buffer.concat(this.#all) : (this.#first ?? Buffer.alloc(0))).toString()
    const isStream = String(this.#headers['content-type']).startsWith('text/event-stream')
    const sessionId = this.#headers['mcp-session-id']
    this.#resolve({
      status: this.#status,
      sessionId: typeof sessionId === 'string' ? sessionId : undefined,
      text,
      messages: () => (isStream ? eventsOf(text()) : [JSON.parse(text()) as Message]),
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(error)
  }
}

function eventsOf(stream: string): Message[] {
  const messages: Message[] = []
  for (const line of stream.split(/\r?\n/)) {
    const data = line.startsWith('data:') ? line.slice(5).trim() : ''
    if (data !== '') messages.push(JSON.parse(data))
  }
  return messages
}

/** One keep-alive connection; it carries one request at a time. */
export class Connection {
  readonly #client: Client
  readonly #path: string

  constructor(url: string) {
    const { origin, pathname } = new URL(url)
    this.#path = pathname
    const limits = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs }
    this.#client = new Client(origin, { pipelining: 1, keepAliveTimeout: timeoutMs, ...limits })
  }

  send(method: 'POST' | 'DELETE', headers: string[], body: string | null): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#client.dispatch({ path: this.#path, method, headers, body }, new ReplyReader(resolve, reject))
    })
  }

  close(): Promise<void> {
    return this.#client.destroy()
  }
}

const plainHeaders = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream']
const clientInfo = { name: 'flotilla-bench', version: '1.0.0' }
const initialize = { protocolVersion: revision, capabilities: {}, clientInfo }

export class Session {
  readonly #connection: Connection
  readonly #headers: string[]

  private constructor(connection: Connection, headers: string[]) {
    this.#connection = connection
    this.#headers = headers
  }

  static async open(connection: Connection): Promise<Session> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: initialize })
    const reply = await connection.send('POST', plainHeaders, body)
    if (reply.status !== 200) throw new Error(`initialize was answered ${reply.status}: ${reply.text()}`)
    const answer = reply.messages().find(({ id }) => id === 0)
    if (!answer?.result) throw new Error(`initialize failed: ${reply.text()}`)
    const version = ['MCP-Protocol-Version', String(answer.result['protocolVersion'])]
    const id = reply.sessionId === undefined ? [] : ['Mcp-Session-Id', reply.sessionId]
    const session = new Session(connection, [...plainHeaders, ...version, ...id])
    const ready = await session.post('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    if (ready.status !== 202) throw new Error(`notifications/initialized was answered ${ready.status}`)
    return session
  }

  post(body: string): Promise<Reply> {
    return this.#connection.send('POST', this.#headers, body)
  }

  async end(): Promise<void> {
    const { status } = await this.#connection.send('DELETE', this.#headers, null)
    if (status >= 300) throw new Error(`DELETE was answered ${status}`)
  }
}
