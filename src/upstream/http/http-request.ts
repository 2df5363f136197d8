import type { Dispatcher } from 'undici'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { Harmless } from '../upstream.ts'

/** Where an HTTP upstream is, and with what to reach it. */
export interface HttpTarget {
  readonly server: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly dispatcher: Dispatcher
  readonly harmless: Harmless
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly signal: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Dispatcher.ResponseData['body']
}

/** With the URL that answered in the end: what is relative in the answer is relative to that. */
export interface LocatedResponse extends HttpResponse {
  readonly url: URL
}

/**
 * Follows redirects that keep the method and stay on the origin; any other site would get our headers.
 * @throws HubError `upstream.lost` when no answer comes about, `upstream.rejected` for any other redirect
 */
export async function send(target: HttpTarget, request: HttpRequest): Promise<LocatedResponse> {
  let { url } = target
  for (let hops = 0; ; hops += 1) {
    const response = await exchange(target, url, request)
    if (response.status < 300 || response.status > 399) return { ...response, url }
    await response.body.dump()
    url = redirection(response, url, { server: target.server, mayFollow: hops < MAX_REDIRECTS })
  }
}

const MAX_REDIRECTS = 3

async function exchange(target: HttpTarget, url: URL, request: HttpRequest): Promise<HttpResponse> {
  try {
    const { statusCode, headers, body } = await target.dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: request.method,
      headers: { ...target.headers, ...request.headers },
      body: request.body ?? null,
      signal: request.signal,
      // How long a call may take is for the call's own limits to say.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    // A body can fail later on with nobody listening at that moment; whoever reads it sees the error all the same.
    body.on('error', () => undefined)
    return { status: statusCode, headers, body }
  } catch (cause) {
    throw new HubError(
      'upstream.lost',
      `Server "${target.server}" cannot be reached at ${safeUrl(url)}: ${reasonOf(cause)}.`,
      {
        cause,
        data: { server: target.server, ...(neverConnected(cause) ? NOT_ACCEPTED : {}) },
        cure: 'Check the "url" of the server, and whether it runs.',
      },
    )
  }
}

/** @throws HubError `upstream.rejected` when the redirect is not one to follow */
function redirection(
  { status, headers }: HttpResponse,
  from: URL,
  { server, mayFollow }: { server: string; mayFollow: boolean },
): URL {
  const { location } = headers
  const to =
    typeof location === 'string' && URL.canParse(location, from.href) ? new URL(location, from) : undefined
  const keepsMethod = status === 307 || status === 308
  if (keepsMethod && mayFollow && to?.origin === from.origin) return to
  const elsewhere = to && to.origin !== from.origin ? ` to ${safeUrl(to)}` : ''
  throw new HubError(
    'upstream.rejected',
    `Server "${server}" answered HTTP ${status}, a redirect${elsewhere} that the hub does not follow.`,
    {
      data: { server, status },
      cure: 'Write the final URL as the "url" of the server in the settings.',
    },
  )
}

/**
 * What a refusal means that came to a request which named a session: undefined unless the server no longer knows it. 404 is what the
 * spec says (basic/transports, "Session Management"); 400 is what many servers answer.
 */
export function forgotten(server: string, status: number, hint: string): HubError | undefined {
  if (status !== 404 && !(status === 400 && /session/i.test(hint))) return undefined
  return new HubError('upstream.lost', `Server "${server}" has ended the session.`, {
    cause: refused(server, status, hint),
    data: { server, status, ...NOT_ACCEPTED },
  })
}

/** Marks errors after which the request has certainly not been taken up, so that it may be sent again. */
export const NOT_ACCEPTED = { accepted: false } as const

export function wasNotAccepted(error: HubError): boolean {
  return error.data['accepted'] === false
}

function neverConnected(error: unknown): boolean {
  // A name with several addresses, each of which was tried.
  if (error instanceof AggregateError) return error.errors.every(neverConnected)
  const { code, syscall } = error as NodeJS.ErrnoException
  return code === 'UND_ERR_CONNECT_TIMEOUT' || syscall === 'connect' || syscall === 'getaddrinfo'
}

/** For the end of a sentence. An `AggregateError` has no message, only a code. */
function reasonOf(error: unknown): string {
  const text = messageOf(error) || (error as NodeJS.ErrnoException).code || 'the connection failed'
  return text.replace(/\.$/, '')
}

/** An answer that ended before it was whole. */
export function brokenOff(server: string, cause: unknown): HubError {
  return new HubError(
    'upstream.lost',
    `Server "${server}" broke its answer off midway: ${reasonOf(cause)}.`,
    {
      cause,
      data: { server },
      cure: 'Whether the call took effect is not known, so the hub does not repeat it.',
    },
  )
}

/** The first characters of an error body, for people; the rest is thrown away. */
export async function readHint(response: HttpResponse, harmless: Harmless): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.body) {
      text += String(chunk)
      if (text.length >= MOST_READ) break
    }
  } catch (error) {
    text = messageOf(error)
  }
  response.body.destroy()
  return harmless(text, MOST_READ).replace(/\s+/g, ' ').trim().slice(0, MAX_HINT)
}

const MAX_HINT = 300
/** Far more than is shown, so that no secret is cut in two before it is found. */
const MOST_READ = 16 * 1024

/** The origin alone: user, password, query and, with many hosted servers, the path hold secrets. */
export function safeUrl(url: URL): string {
  return url.origin
}

export function mediaType(headers: HttpResponse['headers']): string {
  const value = headers['content-type']
  return (Array.isArray(value) ? value[0] : value)?.split(';')[0]?.trim().toLowerCase() ?? ''
}

export function refused(server: string, status: number, hint: string): HubError {
  const credentials = status === 401 || status === 403
  return new HubError(
    'upstream.rejected',
    `Server "${server}" answered HTTP ${status}${hint ? `: ${hint}` : '.'}`,
    {
      data: { server, status },
      ...(credentials ? { cure: 'Check the "headers" of the server: it wants other credentials.' } : {}),
    },
  )
}

/**
 * The whole body, within a limit.
 * @throws HubError `upstream.invalid` when it is larger, `upstream.lost` when it is cut off
 */
export async function readAll(response: HttpResponse, limit: number, server: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response.body) {
      const piece = chunk as Buffer
      size += piece.length
      if (size > limit) break
      chunks.push(piece)
    }
  } catch (error) {
    throw brokenOff(server, error)
  }
  if (size > limit) {
    response.body.destroy()
    throw new HubError('upstream.invalid', `Server "${server}" sent an answer of more than ${limit} bytes.`, {
      data: { server },
    })
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
}
