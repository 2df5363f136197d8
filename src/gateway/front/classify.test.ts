import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ALLOWED_METHODS, classify } from './classify.ts'

const ALL = { kind: 'all' }
const named = (name: string) => ({ kind: 'named', name })

/** The code of the refusal of a path. */
function refusal(target: string): string | undefined {
  const found = classify(target)
  return found.kind === 'reject' ? found.error.code : undefined
}

describe('a path', () => {
  test.each([
    ['/mcp', ALL],
    ['/mcp/', ALL],
    ['/mcp?x=1', ALL],
    ['/mcp/time', named('time')],
    ['/mcp/time/', named('time')],
    ['/mcp/time?x=/y', named('time')],
    ['/mcp/my%20server', named('my server')],
    ['/mcp/%E6%97%B6%E9%97%B4', named('时间')],
    ['/mcp/a%2Fb', named('a/b')],
    ['/mcp/$smart', named('$smart')],
    ['/mcp/..', named('..')],
  ])('[R106] %s is an MCP endpoint', (target, endpoint) => {
    expect(classify(target)).toEqual({ kind: 'mcp', endpoint })
  })

  test.each([
    ['/sse', ALL],
    ['/sse/', ALL],
    ['/sse/time', named('time')],
    ['/sse/time?token=x', named('time')],
  ])('[R105] %s is a stream of the older transport', (target, endpoint) => {
    expect(classify(target)).toEqual({ kind: 'legacy-stream', endpoint })
  })

  test('/messages is where the older transport posts to; it needs the session', () => {
    expect(classify('/messages?sessionId=abc')).toEqual({ kind: 'legacy-message', sessionId: 'abc' })
    expect(classify('/messages?a=1&sessionId=a%2Bb')).toEqual({ kind: 'legacy-message', sessionId: 'a+b' })
    for (const target of ['/messages', '/messages?', '/messages?sessionId=', '/messages?sessionid=abc'])
      expect(refusal(target)).toBe('session.required')
  })

  test.each(['/health', '/healthz', '/livez', '/readyz', '/health?verbose'])(
    '[R59] %s asks for health',
    (target) => {
      expect(classify(target)).toEqual({ kind: 'health' })
    },
  )

  test.each([
    '/api',
    '/api/',
    '/api/servers',
    '/api/servers/a%2Fb?x=1',
    '/internal/cluster/register',
    '/cluster/register',
  ])('%s is for management', (target) => {
    expect(classify(target)).toEqual({ kind: 'api' })
  })

  test.each([
    '/',
    '',
    '/mcpx',
    '/MCP',
    '//mcp',
    '/mcp\\time',
    '/apis',
    '/health/x',
    '/messages/',
    '/index.html',
    'http://localhost/mcp',
    '*',
  ])('%j leads nowhere', (target) => {
    expect(refusal(target)).toBe('route.unknown')
  })

  test.each(['/mcp/%', '/mcp/%E6%97', '/sse/%zz'])('%s holds a broken percent sequence', (target) => {
    expect(refusal(target)).toBe('route.unknown')
  })

  test('that leads nowhere is quoted only so far', () => {
    const found = classify(`/${'x'.repeat(10_000)}`)
    expect(found.kind === 'reject' && found.error.message.length).toBeLessThan(300)
  })

  test('with any name leads to the endpoint of that name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
        expect(classify(`/mcp/${encodeURIComponent(name)}`)).toEqual({ kind: 'mcp', endpoint: named(name) })
      }),
    )
  })

  test('of any kind is told without an error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Object.keys(ALLOWED_METHODS).concat('reject')).toContain(classify(`/${text}`).kind)
      }),
    )
  })
})

test('each kind of path takes its own methods', () => {
  expect(ALLOWED_METHODS).toEqual({
    mcp: ['POST', 'GET', 'DELETE'],
    'legacy-stream': ['GET'],
    'legacy-message': ['POST'],
    health: ['GET', 'HEAD'],
    page: ['GET', 'HEAD'],
    api: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  })
})
