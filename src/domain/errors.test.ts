import { describe, expect, test } from 'vitest'
import { HubError, messageOf, toHubError } from './errors.ts'

describe('an error of the hub', () => {
  test('says what happened, why, and what to do about it', () => {
    const cause = new Error('connection refused')
    const error = new HubError('server.unavailable', 'Server "x" is down.', {
      cause,
      cure: 'Try again.',
      data: { server: 'x' },
      retryAfter: 3,
    })
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'HubError',
      code: 'server.unavailable',
      message: 'Server "x" is down.',
      cause,
      cure: 'Try again.',
      data: { server: 'x' },
      retryAfter: 3,
    })
  })

  test('has no cause when none was given', () => {
    expect('cause' in new HubError('internal', 'x')).toBe(false)
  })

  test('as JSON-RPC: a code, both sentences, and facts for programs under its own code', () => {
    const error = new HubError('tool.unknown', 'Unknown tool: x', {
      cure: 'tools/list.',
      data: { tool: 'x' },
    })
    expect(error.toRpc()).toEqual({
      code: -32_602,
      message: 'Unknown tool: x tools/list.',
      data: { code: 'tool.unknown', tool: 'x' },
    })
    expect(new HubError('internal', 'What.').toRpc().message).toBe('What.')
  })

  test.each([
    ['request.invalid-json', 400, -32_700],
    ['request.invalid', 400, -32_600],
    ['request.invalid-params', 400, -32_602],
    ['request.unknown-method', 404, -32_601],
    ['request.too-large', 413, -32_600],
    ['request.media-type', 415, -32_600],
    ['request.not-acceptable', 406, -32_600],
    ['request.method-not-allowed', 405, -32_600],
    ['access.unauthenticated', 401, -32_005],
    ['access.denied', 403, -32_003],
    ['access.origin', 403, -32_003],
    ['session.required', 400, -32_600],
    ['session.unknown', 404, -32_001],
    ['hub.stopping', 503, -32_004],
    ['upstream.timeout', 504, -32_012],
    ['internal', 500, -32_603],
  ] as const)('%s is HTTP %i and JSON-RPC %i', (code, http, rpc) => {
    const error = new HubError(code, 'x')
    expect([error.httpStatus, error.toRpc().code]).toEqual([http, rpc])
  })
})

describe('any other error', () => {
  test('becomes an internal one that keeps it as the cause and asks for a report', () => {
    const cause = new TypeError('x is not a function')
    const error = toHubError(cause)
    expect(error).toMatchObject({ code: 'internal', cause })
    expect(error.message).toContain('x is not a function')
    expect(error.cure).toContain('report')
  })

  test('of the hub stays itself', () => {
    const error = new HubError('session.unknown', 'x')
    expect(toHubError(error)).toBe(error)
  })

  test('has a message, whatever was thrown', () => {
    expect(messageOf(new Error('a'))).toBe('a')
    expect(messageOf('b')).toBe('b')
    expect(messageOf(undefined)).toBe('undefined')
  })
})
