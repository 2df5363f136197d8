import { describe, expect, test } from 'vitest'
import { UnreadFailure, UnreadNotification, UnreadRequest, UnreadResult } from './unread.ts'

describe('a message that nobody has read yet', () => {
  test('shows what it says when somebody looks, once parsed', () => {
    const result = new UnreadResult(3, Buffer.from('{"a":[1]}'), false)
    expect(result.result).toEqual({ a: [1] })
    expect(result.result).toBe(result.result)
    const failure = new UnreadFailure(3, Buffer.from('{"code":-1,"message":"no","data":2}'))
    expect(failure.error).toEqual({ code: -1, message: 'no', data: 2 })
    expect(new UnreadNotification('x', Buffer.from('{"b":2}')).params).toEqual({ b: 2 })
    expect(new UnreadRequest('q', 'x', Buffer.from('{"c":3}')).params).toEqual({ c: 3 })
  })

  test('may have no params', () => {
    expect(new UnreadNotification('x', undefined).params).toBeUndefined()
    expect(new UnreadRequest('q', 'x', undefined).params).toBeUndefined()
  })

  test.each([
    ['a result that is not JSON', () => new UnreadResult(1, Buffer.from('{'), false).result],
    ['an error without a code', () => new UnreadFailure(1, Buffer.from('{"message":"x"}')).error],
    ['an error that is none', () => new UnreadFailure(1, Buffer.from('null')).error],
    ['params that are a list', () => new UnreadNotification('x', Buffer.from('[]')).params],
    ['params that are a text', () => new UnreadRequest(1, 'x', Buffer.from('"x"')).params],
  ])('is a violation when it is %s', (_what, read) => {
    expect(read).toThrow(expect.objectContaining({ code: 'link.violation' }))
  })
})
