import type { Dispatcher } from 'undici'
import { HubError, messageOf } from '../../domain/errors.ts'

/** Where an HTTP upstream is, and with what to reach it. */
export interface HttpTarget {
  readonly server: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly dispatcher: Dispatcher
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Dispatcher.ResponseData['body']
}

/** @throws HubError `upstream.lost` when no answer comes about */
export async function send(
  target: HttpTarget,
  method: 'GET' | 'POST' | 'DELETE',
  headers: Record<string, string>,
  body: Buffer | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  const { url, dispatcher } = target
  try {
    const {
      statusCode,
      headers: got,
      body: stream,
    } = await dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...target.headers, ...headers },
      body: body ?? null,
      signal: signal ?? null,
      // How long a call may take is for the call's own limits to say.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    // A body can fail later on with nobody listening at that moment; whoever reads it sees the error all the same.
    stream.on('error', () => undefined)
    return { status: statusCode, headers: got, body: stream }
  } catch (cause) {
    throw new HubError(
      'upstream.lost',
      `Server "${target.server}" cannot be reached at ${safeUrl(url)}: ${messageOf(cause)}.`,
      {
        cause,
        data: { server: target.server, ...(neverConnected(cause) ? NOT_ACCEPTED : {}) },
        cure: 'Check the "url" of the server, and whether it runs.',
      },
    )
  }
}

/** Marks errors after which the request has certainly not been taken up, so that it may be sent again. */
export const NOT_ACCEPTED = { accepted: false } as const

function neverConnected(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return [
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'UND_ERR_CONNECT_TIMEOUT',
  ].includes(code)
}

/** The first characters of an error body, for people; the rest is thrown away. */
export async function readHint(response: HttpResponse): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.body) {
      text += String(chunk)
      if (text.length >= MAX_HINT) break
    }
  } catch (error) {
    text = messageOf(error)
  }
  response.body.destroy()
  return text.slice(0, MAX_HINT).replace(/\s+/g, ' ').trim()
}

const MAX_HINT = 300

/** A URL without user, password and query: these may hold secrets. */
export function safeUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
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

/** The whole body, within a limit. */
export async function readAll(response: HttpResponse, limit: number, server: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body) {
    const piece = chunk as Buffer
    size += piece.length
    if (size > limit) {
      response.body.destroy()
      throw new HubError(
        'upstream.invalid',
        `Server "${server}" sent an answer of more than ${limit} bytes.`,
        { data: { server } },
      )
    }
    chunks.push(piece)
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
}
