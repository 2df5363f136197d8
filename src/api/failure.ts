import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { HubError, toHubError } from '../domain/errors.ts'
import type { failure } from './contract/failure.ts'

/** A refusal, ready to be sent. */
export interface Failure {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: z.output<typeof failure>
}

/**
 * Never shows anything of an error that is not the hub's own: it may hold paths, statements or secrets.
 * @param harmless takes known secrets out of sentences, for some quote what a server has said
 */
export function failureOf(error: unknown, requestId: string, harmless: (text: string) => string): Failure {
  const known = asHubError(error)
  const errors = issuesOf(error)
  const headers: Record<string, string> = {}
  if (known.retryAfter !== undefined) headers['Retry-After'] = String(known.retryAfter)
  if (known.httpStatus === 401) headers['WWW-Authenticate'] = 'Bearer realm="flotilla"'
  if (known.code === 'request.method-not-allowed') headers['Allow'] = String(known.data['allow'])
  // What is left of a body that was too large is not worth reading.
  if (known.code === 'request.too-large') headers['Connection'] = 'close'
  return {
    status: known.httpStatus,
    headers,
    body: {
      success: false,
      message: known.code === 'internal' ? 'Something inside the hub went wrong.' : harmless(known.message),
      code: known.code,
      ...(known.cure === undefined ? {} : { cure: harmless(known.cure) }),
      requestId,
      ...(errors.length === 0 ? {} : { errors }),
    },
  }
}

/** The hub's own error for whatever was thrown, by handlers or by fastify. */
export function asHubError(error: unknown): HubError {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = issuesOf(error)
    return new HubError('request.invalid-params', `${first?.path}: ${first?.message}.`, {
      cause: error,
      cure: '/api/openapi.json says what this route takes.',
    })
  }
  return FROM_FASTIFY[codeOf(error)]?.(error) ?? toHubError(error)
}

const FROM_FASTIFY: Readonly<Record<string, (cause: unknown) => HubError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (cause) =>
    new HubError('request.too-large', 'The body is too large.', { cause, cure: 'Send less at once.' }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: (cause) =>
    new HubError('request.media-type', 'This API takes JSON only.', {
      cause,
      cure: 'Send "Content-Type: application/json".',
    }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: (cause) =>
    new HubError('request.invalid', 'The body is not as long as Content-Length says.', {
      cause,
      cure: 'Let the HTTP library set Content-Length.',
    }),
  FST_ERR_BAD_URL: (cause) =>
    new HubError('route.unknown', 'The path holds a broken percent sequence.', {
      cause,
      cure: 'Encode each name as a URL path segment.',
    }),
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Each thing that is wrong with the input: where, and why. */
function issuesOf(error: unknown): { path: string; message: string }[] {
  if (!hasZodFastifySchemaValidationErrors(error)) return []
  const where = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request')
  return error.validation.slice(0, MOST_ISSUES).map(({ instancePath, message }) => ({
    path: `${where}${instancePath.length > 1 ? instancePath.slice(0, LONGEST_PATH).replaceAll('/', '.') : ''}`,
    message: (message ?? 'is not valid').replace(/\.$/, ''),
  }))
}

const MOST_ISSUES = 50
const LONGEST_PATH = 200
