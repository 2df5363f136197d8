/** How somebody comes to the management API: with a login, a key, or headers of their own making. */
export interface RestCredential {
  readonly login?: string
  readonly key?: string
  readonly headers?: Record<string, string>
}

export interface RestAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The envelope; empty for answers that are none. */
  readonly body: Record<string, unknown>
}

/** One request to the management API. Of a stream that goes on, only its first piece. */
export async function rest(
  url: string,
  request: string,
  { as = {}, body }: { readonly as?: RestCredential; readonly body?: unknown } = {},
): Promise<RestAnswer> {
  const [method = 'GET', path = '/'] = request.split(' ')
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(as.login === undefined ? {} : { 'x-auth-token': as.login }),
      ...(as.key === undefined ? {} : { authorization: `Bearer ${as.key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...as.headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const { status, headers } = response
  const type = headers.get('content-type') ?? ''
  const text = type.startsWith('text/event-stream') ? await firstPiece(response) : await response.text()
  return { status, headers, text, body: type.startsWith('application/json') ? JSON.parse(text) : {} }
}

/** The same, where everything but success is an error. Gives what the envelope holds. */
export async function mustRest(
  url: string,
  request: string,
  asking: { readonly as?: RestCredential; readonly body?: unknown } = {},
): Promise<Record<string, unknown>> {
  const { status, text, body } = await rest(url, request, asking)
  if (status >= 300) throw new Error(`${request}: ${status} ${text}`)
  return body
}

/** A login's token. */
export async function logIn(url: string, username: string, password: string): Promise<string> {
  const { token } = await mustRest(url, 'POST /api/auth/login', { body: { username, password } })
  return String(token)
}

/** A new key: its id, and its token. */
export async function makeKey(
  url: string,
  as: RestCredential,
  body: Record<string, unknown>,
): Promise<{ id: string; token: string }> {
  const { data } = await mustRest(url, 'POST /api/auth/keys', { as, body })
  return data as { id: string; token: string }
}

async function firstPiece(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  const piece = await reader?.read()
  await reader?.cancel()
  return piece?.value === undefined ? '' : Buffer.from(piece.value).toString()
}
