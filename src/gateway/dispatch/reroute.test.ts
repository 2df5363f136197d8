import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { objectText } from '../../../tests/fakes/json-text.ts'
import { parseMessage, type RpcRequest } from '../../mcp/json-rpc.ts'
import { locate, progressTokenOf, rewriteParams } from './reroute.ts'

function request(params: string | undefined): RpcRequest {
  const member = params === undefined ? '' : `,"params":${params}`
  const message = parseMessage(Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"tools/call"${member}}`))
  if (message.kind !== 'request') throw new Error('It is no request.')
  return message
}

function rewrite(
  params: string | undefined,
  { name, progressToken }: { name: string; progressToken?: number },
  path: readonly string[] = ['name'],
) {
  return rewriteParams(request(params), path, { name, progressToken })?.toString()
}

const DUPLICATE = expect.objectContaining({ code: 'request.duplicate-member' })

describe('the progress token of a client', () => {
  test.each([
    ['{"_meta":{"progressToken":"abc"}}', 'abc'],
    ['{"_meta":{"progressToken":0}}', 0],
    ['{"_meta":{"progressToken":""}}', ''],
    ['{"_meta":{}}', undefined],
    ['{"_meta":null}', undefined],
    ['{"_meta":{"progressToken":null}}', undefined],
    ['{"_meta":{"progressToken":1.5}}', undefined],
    ['{"_meta":{"progressToken":{}}}', undefined],
    ['{"progressToken":1}', undefined],
    [undefined, undefined],
  ])('of %s is %j', (params, token) => {
    expect(progressTokenOf(request(params))).toBe(token)
  })
})

describe('params on their way to a server', () => {
  test("get the server's own name in place of the exposed one, all else byte for byte", () => {
    expect(rewrite('{ "name" :"a-x", "arguments":{"n":12345678901234567890,"f": 1.0} }', { name: 'x' })).toBe(
      '{ "name" :"x", "arguments":{"n":12345678901234567890,"f": 1.0} }',
    )
  })

  test('have names in the arguments left alone', () => {
    expect(rewrite('{"arguments":{"name":"a-x"},"name":"a-x"}', { name: 'x' })).toBe(
      '{"arguments":{"name":"a-x"},"name":"x"}',
    )
  })

  test('have the name written as JSON needs it', () => {
    expect(rewrite('{"name":"a"}', { name: 'x "y"\n\u2028é' })).toBe('{"name":"x \\"y\\"\\n\u2028é"}')
  })

  test('of a completion have the name in their "ref" exchanged', () => {
    expect(
      rewrite('{"name":"a","ref":{"type":"ref/prompt","name":"a-p"}}', { name: 'p' }, ['ref', 'name']),
    ).toBe('{"name":"a","ref":{"type":"ref/prompt","name":"p"}}')
  })

  test("get the hub's progress token in place of the client's, whichever stands first", () => {
    const changes = { name: 'x', progressToken: 7 }
    expect(rewrite('{"_meta":{"progressToken":"t","a":1},"name":"a-x"}', changes)).toBe(
      '{"_meta":{"progressToken":7,"a":1},"name":"x"}',
    )
    expect(rewrite('{"name":"a-x","_meta":{"a":{"progressToken":1},"progressToken":2}}', changes)).toBe(
      '{"name":"x","_meta":{"a":{"progressToken":1},"progressToken":7}}',
    )
  })

  test('are the very bytes that came when nothing is to be exchanged', () => {
    const asked = request('{"name": "x"}')
    const none = { name: 'x', progressToken: undefined }
    expect(rewriteParams(asked, ['name'], none)).toBe(asked.body)
    expect(rewriteParams(asked, [], { ...none, name: 'other' })).toBe(asked.body)
    expect(rewrite(undefined, { name: 'x' })).toBeUndefined()
  })

  test('have nothing put where nothing was', () => {
    expect(rewrite('{"arguments":{}}', { name: 'x', progressToken: 1 })).toBe('{"arguments":{}}')
    expect(rewrite('{"ref":"text"}', { name: 'x' }, ['ref', 'name'])).toBe('{"ref":"text"}')
  })

  test.each([
    '{"name":"a-x","name":"a-y"}',
    '{"name":"a-x","\\u006eame":"a-y"}',
    '{"_meta":{"progressToken":1,"progressToken":2},"name":"a-x"}',
    '{"_meta":{"progressToken":1},"_meta":{"progressToken":2},"name":"a-x"}',
  ])('%s are refused: parsers disagree on which of two members counts', (params) => {
    expect(() => rewrite(params, { name: 'x', progressToken: 7 })).toThrow(DUPLICATE)
    expect(() => rewrite(params, { name: 'x', progressToken: 7 })).toThrow(/stands twice/)
  })

  test('may hold members twice that the hub does not look at', () => {
    expect(rewrite('{"name":"a-x","arguments":{},"arguments":{"b":1}}', { name: 'x' })).toBe(
      '{"name":"x","arguments":{},"arguments":{"b":1}}',
    )
  })

  test('are refused with a name that stands twice, also when it stays as it is', () => {
    expect(() => rewrite('{"name":"disabled","name":"allowed"}', { name: 'allowed' })).toThrow(DUPLICATE)
    expect(() => rewrite('{"uri":"a://1","uri":"a://2"}', { name: 'a://2' }, ['uri'])).toThrow(DUPLICATE)
  })

  test('have a name that was written with escapes written out', () => {
    expect(rewrite('{"name":"\\u0078"}', { name: 'x' })).toBe('{"name":"x"}')
    expect(rewrite('{"name":"é"}', { name: 'é' })).toBe('{"name":"é"}')
  })

  test('stay the same value but for the name and the token, whatever they are', () => {
    fc.assert(
      fc.property(objectText(['other']), fc.string({ unit: 'binary' }), fc.nat(), ({ text }, name, token) => {
        fc.pre(!/name|meta/i.test(text))
        // Line breaks become blanks where messages come in.
        const inner = text
          .replace(/[\r\n]/g, ' ')
          .trim()
          .slice(1, -1)
          .trim()
        const params = `{"_meta":{"progressToken":"t"},${inner === '' ? '' : `${inner},`}"name":"exposed"}`
        const rewritten = rewrite(params, { name, progressToken: token }) ?? ''
        expect(JSON.parse(rewritten)).toEqual({
          ...JSON.parse(params),
          name: JSON.parse(JSON.stringify(name)),
          _meta: { progressToken: token },
        })
        expect(rewritten).toContain(inner)
      }),
    )
  })
})

describe('where a value stands', () => {
  test('is found along a path', () => {
    const bytes = Buffer.from('{"a":{"b":[1]}}')
    const at = locate(bytes, ['a', 'b'])
    expect(bytes.toString('utf8', at?.start, at?.end)).toBe('[1]')
    expect(locate(bytes, ['a', 'c', 'd'])).toBeUndefined()
    expect(locate(bytes, [])).toEqual({ start: 0, end: bytes.length })
  })
})
