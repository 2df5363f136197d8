import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { CallRecord, Outcome } from './history.ts'
import { LoadClient, type Reply, type RpcMessage, SessionRefused } from './load-client.ts'

export interface LoadSetup {
  /** An endpoint at which the fixture server `counter` is. */
  readonly url: string
  /** As the endpoint shows it. */
  readonly tool: string
  readonly sessions: number
  /** Between a session's answer and its next call, ms. */
  readonly pauseMs?: number
  readonly args?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly cookies?: boolean
  /** How long an answer may take, ms; longer is silence. */
  readonly timeoutMs?: number
}

const PAUSE_MS = 10
/** After a session was refused: a hub that is full or away is not asked without end. */
const REOPEN_PAUSE_MS = 50

/** The moment, as records have it: ms since the epoch, with fractions. */
export function moment(): number {
  return performance.timeOrigin + performance.now()
}

/** One client that calls the counter and keeps a record of each call. A session that was lost is opened anew with the next call. */
export class LoadSession {
  readonly name: string
  readonly #setup: Omit<LoadSetup, 'sessions' | 'pauseMs'>
  readonly #history: CallRecord[]
  #client: LoadClient | undefined
  #generation = 0
  #calls = 0

  /** @param history takes the records */
  constructor(name: string, setup: Omit<LoadSetup, 'sessions' | 'pauseMs'>, history: CallRecord[]) {
    this.name = name
    this.#setup = setup
    this.#history = history
  }

  get client(): LoadClient | undefined {
    return this.#client
  }

  /** How many sessions it has had. */
  get generation(): number {
    return this.#generation
  }

  /** @throws SessionRefused */
  async open(): Promise<void> {
    const { url, headers, timeoutMs, cookies } = this.#setup
    this.#client = await LoadClient.open(url, {
      ...(headers === undefined ? {} : { headers }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(cookies === undefined ? {} : { cookies }),
    })
    this.#generation += 1
  }

  /** Calls once; whatever happens stands in the record. */
  async call(): Promise<CallRecord> {
    this.#calls += 1
    const record: CallRecord = {
      id: `${this.name}-${this.#calls}`,
      client: this.name,
      session: `${this.name}.${this.#generation + (this.#client ? 0 : 1)}`,
      tool: this.#setup.tool,
      sentAt: moment(),
      endedAt: undefined,
      outcome: { kind: 'pending' },
    }
    this.#history.push(record)
    record.outcome = await this.#exchange(record)
    record.endedAt = moment()
    return record
  }

  async close(): Promise<void> {
    await this.#client?.close()
    this.#client = undefined
  }

  async #exchange(record: CallRecord): Promise<Outcome> {
    try {
      if (!this.#client) await this.open()
      const client = this.#client
      if (!client) return { kind: 'silent', why: 'there is no session' }
      const { tool, args } = this.#setup
      const params = { name: tool, arguments: { ...args, call: record.id, session: record.session } }
      const reply = await client.post({ jsonrpc: '2.0', id: record.id, method: 'tools/call', params })
      if (reply.status === 404) await this.#forget()
      return outcomeOf(reply, record.id)
    } catch (error) {
      if (error instanceof SessionRefused) return outcomeOf(error.reply, 0)
      await this.#forget()
      return { kind: 'silent', why: String(error) }
    }
  }

  async #forget(): Promise<void> {
    await this.#client?.drop()
    this.#client = undefined
  }
}

/** Clients that call and call, each its next when the last is answered, until they are stopped. */
export class LoadGenerator {
  readonly history: CallRecord[] = []
  readonly sessions: readonly LoadSession[]
  readonly #pauseMs: number
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  /** Resolves when every session is open and has been answered once. @throws when one is not */
  static async start(setup: LoadSetup): Promise<LoadGenerator> {
    const load = new LoadGenerator(setup)
    await Promise.all(load.sessions.map((session) => session.open()))
    const first = await Promise.all(load.sessions.map((session) => session.call()))
    const failed = first.find(({ outcome }) => outcome.kind !== 'answered')
    if (failed)
      throw new Error(`The first call of ${failed.client} failed: ${JSON.stringify(failed.outcome)}`)
    load.#running = Promise.all(load.sessions.map((session) => load.#run(session))).then(() => undefined)
    return load
  }

  private constructor(setup: LoadSetup) {
    const { sessions, pauseMs, ...rest } = setup
    this.#pauseMs = pauseMs ?? PAUSE_MS
    const load = randomBytes(4).toString('hex')
    this.sessions = Array.from(
      { length: sessions },
      (_, n) => new LoadSession(`${load}-${n}`, rest, this.history),
    )
  }

  /** Lets every call in flight end, then closes the sessions. Gives the whole history. */
  async stop(): Promise<readonly CallRecord[]> {
    this.#stopped = true
    await this.#running
    await Promise.all(this.sessions.map((session) => session.close().catch(() => undefined)))
    return this.history
  }

  async #run(session: LoadSession): Promise<void> {
    while (!this.#stopped) {
      const { outcome } = await session.call()
      const pauseMs = outcome.kind === 'answered' ? this.#pauseMs : Math.max(this.#pauseMs, REOPEN_PAUSE_MS)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}

const answererSchema = z.object({
  replica: z.string(),
  pid: z.number(),
  ppid: z.number(),
  session: z.number(),
})
const contentSchema = z.looseObject({
  isError: z.boolean().optional(),
  content: z.array(z.looseObject({ text: z.string() })).min(1),
})

/** What an answer over HTTP comes to, for the request `id`. */
export function outcomeOf({ status, text, messages }: Reply, id: unknown): Outcome {
  const answers = messages.filter((message) => message.id === id && message.method === undefined)
  const answer = answers[0] ?? messages.find(({ error }) => error !== undefined)
  if (!answer) return { kind: 'silent', why: `HTTP ${status} without an answer: ${text.slice(0, 200)}` }
  return { ...toOutcome(answer), times: Math.max(1, answers.length) }
}

type Ended = Extract<Outcome, { kind: 'answered' | 'refused' }>

function toOutcome({ result, error }: RpcMessage): DistributiveOmit<Ended, 'times'> {
  if (error) {
    const data = z.looseObject({ code: z.string() }).safeParse(error.data)
    return {
      kind: 'refused',
      code: data.success ? data.data.code : String(error.code),
      message: error.message,
    }
  }
  const { isError, content } = contentSchema.parse(result)
  const said = content[0]?.text ?? ''
  if (isError) return { kind: 'refused', code: 'isError', message: said }
  return { kind: 'answered', by: answererSchema.parse(JSON.parse(said)) }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
