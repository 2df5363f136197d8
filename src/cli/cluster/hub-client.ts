import { request } from 'undici'
import { z } from 'zod'
import { HubError, isHubErrorCode, messageOf } from '../../domain/errors.ts'
import type { Remote } from './remote.ts'

/** A hub answers such questions from memory; what takes longer hangs. */
const TIMEOUT_MS = 30_000
const MOST_BYTES = 64 * 1024 * 1024

const good = z.looseObject({ success: z.literal(true), data: z.unknown().optional() })
const refusal = z.object({ message: z.string(), code: z.string(), cure: z.string().optional() })

/** The management API of a hub, as commands ask it. */
export class HubClient {
  readonly #remote: Remote

  constructor(remote: Remote) {
    this.#remote = remote
  }

  /** The `data` of an answer. @throws HubError saying why there is none */
  async get<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
    const answer = schema.safeParse((await this.#ask('GET', path)).data)
    if (answer.success) return answer.data
    throw this.#strange(answer.error)
  }

  /** Changes something. @throws HubError saying why it was not done */
  async send<T extends z.ZodType>(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    { body, answer }: { readonly body?: object; readonly answer: T },
  ): Promise<z.output<T>> {
    const given = answer.safeParse((await this.#ask(method, path, body)).data)
    if (given.success) return given.data
    throw this.#strange(given.error)
  }

  async #ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) {
    const { url, key } = this.#remote
    const { statusCode, text } = await this.#fetch(
      method,
      `${url}${path}`,
      {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body,
    )
    const parsed = parse(text)
    const answer = good.safeParse(parsed)
    if (statusCode < 300 && answer.success) return answer.data
    const refused = refusal.safeParse(parsed)
    if (refused.success) throw asError(refused.data)
    throw this.#strange(undefined, statusCode)
  }

  async #fetch(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    target: string,
    headers: Record<string, string>,
    body: object | undefined,
  ): Promise<{ statusCode: number; text: string }> {
    try {
      const response = await request(target, {
        method,
        headers: { accept: 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      })
      return { statusCode: response.statusCode, text: await bounded(response.body) }
    } catch (cause) {
      if (cause instanceof HubError) throw cause
      throw new HubError(
        'server.unavailable',
        `The hub at ${this.#remote.url} cannot be reached: ${whyNot(cause)}.`,
        {
          cause,
          cure: 'Start it with "flotilla serve", or name another with --url or FLOTILLA_URL.',
        },
      )
    }
  }

  #strange(cause: unknown, status?: number): HubError {
    const told = status === undefined ? 'something else than expected' : `HTTP ${status}`
    return new HubError('upstream.invalid', `What listens at ${this.#remote.url} answers ${told}.`, {
      cause,
      cure: 'Check that it is the address of a Flotilla hub of this version, and of no worker.',
    })
  }
}

async function bounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MOST_BYTES)
      throw new HubError('upstream.invalid', `The answer is longer than ${MOST_BYTES} bytes.`, {
        cure: 'Ask for less, with --limit.',
      })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever is no JSON is no answer of a hub; the status says what it is.
    return undefined
  }
}

/** The hub's own refusal, as it was meant. */
function asError({ code, message, cure }: z.output<typeof refusal>): HubError {
  const known = isHubErrorCode(code) ? code : 'upstream.rejected'
  const shown = known === 'access.unauthenticated' ? NEEDS_KEY : cure
  return new HubError(known, message, shown === undefined ? {} : { cure: shown })
}

const NEEDS_KEY =
  'Give a key that has "rest": "read" (or "admin", to change something) in FLOTILLA_KEY, or in a file with --key-file.'

/** undici says what went wrong in a code of the system; of several addresses it gives all errors. */
function whyNot(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return whyNot(cause.errors[0])
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  return code === undefined ? messageOf(cause) : (SENTENCES[code] ?? `${code} (${messageOf(cause)})`)
}

const UNTRUSTED =
  'its certificate is not trusted here; NODE_EXTRA_CA_CERTS names a PEM file of further authorities'
const SENTENCES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'there is no such host',
  UND_ERR_SOCKET: 'it hung up at once; if it speaks TLS, its address begins with https://',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; its address begins with http://',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ETIMEDOUT: 'nobody answers',
  UND_ERR_CONNECT_TIMEOUT: 'nobody answers',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer in time',
  UND_ERR_BODY_TIMEOUT: 'it does not answer in time',
}
