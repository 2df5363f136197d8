import { describe, expect, test } from 'vitest'
import { FakeUpstream } from '../../../tests/fakes/upstream.ts'
import { parseMessage } from '../../mcp/json-rpc.ts'
import { PROGRESS_TOKEN, QUESTION_TOKEN, type Question, questionToken, withToken } from './questions.ts'

function question(params: string | undefined): Question {
  const member = params === undefined ? '' : `,"params":${params}`
  const request = parseMessage(
    Buffer.from(`{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"${member}}`),
  )
  if (request.kind !== 'request') throw new Error('It is no request.')
  return { server: 'a', upstream: new FakeUpstream(), request }
}

function exchanged(params: string, token: string | number): string {
  const path = params.includes('_meta') ? QUESTION_TOKEN : PROGRESS_TOKEN
  return withToken(Buffer.from(params), path, token).toString()
}

describe('the progress token of a question', () => {
  test.each([
    ['{"_meta":{"progressToken":"abc"}}', 'abc'],
    ['{"_meta":{"progressToken":0}}', 0],
    ['{"_meta":{"progressToken":null}}', undefined],
    ['{"_meta":[]}', undefined],
    ['{"progressToken":1}', undefined],
    ['{}', undefined],
    [undefined, undefined],
  ])('of %s is %j', (params, token) => {
    expect(questionToken(question(params))).toBe(token)
  })

  test('is exchanged where the question has it, all else byte for byte', () => {
    expect(exchanged('{ "n" :1.0,"_meta":{"a":{"progressToken":1}, "progressToken" : "t"} }', 7)).toBe(
      '{ "n" :1.0,"_meta":{"a":{"progressToken":1}, "progressToken" : 7} }',
    )
  })

  test('is exchanged where progress has it, and written as JSON needs it', () => {
    expect(exchanged('{"progress":0.50,"progressToken":7}', 'a "b"')).toBe(
      '{"progress":0.50,"progressToken":"a \\"b\\""}',
    )
  })

  test.each(['{}', '{"_meta":{}}', '{"_meta":7}', '{"list":[{"progressToken":1}]}'])(
    'is put nowhere in %s: none was there',
    (params) => {
      const bytes = Buffer.from(params)
      expect(withToken(bytes, QUESTION_TOKEN, 7)).toBe(bytes)
    },
  )

  test.each([
    '{"progressToken":1,"progressToken":2}',
    '{"_meta":{"progressToken":1,"\\u0070rogressToken":2}}',
    '{"_meta":{"progressToken":1},"_meta":{"progressToken":2}}',
  ])('is refused in %s: parsers disagree on which of two members counts', (params) => {
    expect(() => exchanged(params, 7)).toThrow(expect.objectContaining({ code: 'request.duplicate-member' }))
  })

  test('is exchanged in "_meta" of a question that has a member of that name at the top as well', () => {
    expect(exchanged('{"progressToken":"mine","_meta":{"progressToken":"t"}}', 7)).toBe(
      '{"progressToken":"mine","_meta":{"progressToken":7}}',
    )
  })
})
