import { ALL, type EndpointName } from '../../domain/endpoint.ts'
import { HubError } from '../../domain/errors.ts'

/** What a request is about, as its line says: decided without looking at anything else. */
export type Classified =
  | { readonly kind: 'mcp'; readonly endpoint: EndpointName }
  | { readonly kind: 'legacy-stream'; readonly endpoint: EndpointName }
  | { readonly kind: 'legacy-message'; readonly sessionId: string }
  | { readonly kind: 'health' }
  | { readonly kind: 'page' }
  | { readonly kind: 'api' }
  | { readonly kind: 'reject'; readonly error: HubError }

/** Which methods each kind of path takes. */
export const ALLOWED_METHODS: Readonly<Record<Exclude<Classified['kind'], 'reject'>, readonly string[]>> = {
  mcp: ['POST', 'GET', 'DELETE'],
  'legacy-stream': ['GET'],
  'legacy-message': ['POST'],
  health: ['GET', 'HEAD'],
  page: ['GET', 'HEAD'],
  api: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
}

const HEALTH_PATHS = ['/health', '/healthz', '/livez', '/readyz']

/** @param target the request target, such as `/mcp/everything?x=1` */
export function classify(target: string): Classified {
  const question = target.indexOf('?')
  const path = question === -1 ? target : target.slice(0, question)
  if (path === '/mcp') return { kind: 'mcp', endpoint: ALL }
  if (path.startsWith('/mcp/')) return named('mcp', path.slice('/mcp/'.length))
  if (path === '/sse') return { kind: 'legacy-stream', endpoint: ALL }
  if (path.startsWith('/sse/')) return named('legacy-stream', path.slice('/sse/'.length))
  if (path === '/messages') {
    const sessionId = new URLSearchParams(question === -1 ? '' : target.slice(question + 1)).get('sessionId')
    if (sessionId) return { kind: 'legacy-message', sessionId }
    return reject(
      'session.required',
      'The query parameter sessionId is missing.',
      'Post to the path that the /sse stream names in its first event.',
    )
  }
  if (HEALTH_PATHS.includes(path)) return { kind: 'health' }
  if (path === '/setup') return { kind: 'page' }
  if (path === '/api' || path.startsWith('/api/')) return { kind: 'api' }
  // What nodes of a cluster ask each other.
  if (path.startsWith('/internal/') || path === '/cluster/register') return { kind: 'api' }
  return reject(
    'route.unknown',
    `There is nothing at ${path.slice(0, 200)}.`,
    'MCP clients connect to /mcp, /mcp/<group> or /mcp/<server>.',
  )
}

function named(kind: 'mcp' | 'legacy-stream', encoded: string): Classified {
  const trimmed = encoded.endsWith('/') ? encoded.slice(0, -1) : encoded
  if (trimmed === '') return { kind, endpoint: ALL }
  if (!trimmed.includes('%')) return { kind, endpoint: { kind: 'named', name: trimmed } }
  let name: string
  try {
    name = decodeURIComponent(trimmed)
  } catch (cause) {
    const error = new HubError('route.unknown', 'The path holds a broken percent sequence.', {
      cause,
      cure: 'Encode the name of the group or server as a URL path segment.',
    })
    return { kind: 'reject', error }
  }
  return { kind, endpoint: { kind: 'named', name } }
}

function reject(code: 'route.unknown' | 'session.required', what: string, cure: string): Classified {
  return { kind: 'reject', error: new HubError(code, what, { cure }) }
}
