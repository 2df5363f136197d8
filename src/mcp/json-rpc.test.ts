import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrayText, objectText } from '../../tests/fakes/json-text.ts'
import { HubError } from '../domain/errors.ts'
import {
  encodeAnswer,
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
  isObject,
  isRequestId,
  parseBody,
  parseMessage,
} from './json-rpc.ts'

function parse(text: string) {
  return parseMessage(Buffer.from(text))
}

/** Line breaks stand between tokens only: each becomes a blank. */
function onOneLine(json: string): string {
  return json.replace(/[\r\n]/g, ' ')
}

/** The error that `act` throws, which must be one of the hub's own. */
function refusal(act: () => unknown): HubError {
  try {
    act()
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('Nothing was refused.')
}

describe('a message', () => {
  test('with a method and an id is a request', () => {
    const message = parse('{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}')
    expect(message).toEqual({
      kind: 'request',
      id: 'a',
      method: 'tools/call',
      params: { name: 'x' },
      body: Buffer.from('{"name":"x"}'),
    })
  })

  test('with a method and no id is a notification; params need not be there', () => {
    expect(parse('{"jsonrpc":"2.0","method":"notifications/initialized"}')).toEqual({
      kind: 'notification',
      method: 'notifications/initialized',
      params: undefined,
      body: undefined,
    })
  })

  test('with a result is an answer, whatever the result is', () => {
    expect(parse('{"jsonrpc":"2.0","id":0,"result": [1, null]}')).toEqual({
      kind: 'result',
      id: 0,
      result: [1, null],
      body: Buffer.from('[1, null]'),
    })
  })

  test('with an error is an answer too; its id is null where the sender could not read ours', () => {
    const body = '{"code":-32601,"message":"no","data":{"n":1.0}}'
    for (const id of ['', '"id":null,'])
      expect(parse(`{"jsonrpc":"2.0",${id}"error":${body}}`)).toEqual({
        kind: 'error',
        id: null,
        error: { code: -32_601, message: 'no', data: { n: 1 } },
        body: Buffer.from(body),
      })
    expect(parse(`{"jsonrpc":"2.0","id":4,"error":${body}}`)).toMatchObject({ kind: 'error', id: 4 })
  })

  test('keeps the bytes of what it carries: digits, order and space', () => {
    const body = '{ "z" : 12345678901234567890, "a":1.0,"e":1E5 ,"u":"\\u00e9é"}'
    const message = parse(` {"method":"m" , "params" :${body}, "jsonrpc":"2.0","id":1}\n`)
    expect(message.body?.toString()).toBe(body)
  })

  test('in bytes that are no UTF-8 is read with replacement characters, and passed on so', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","method":"m","params":{"a":"'),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('"}}'),
    ])
    const message = parseMessage(bytes)
    expect(message).toMatchObject({ kind: 'notification', params: { a: '\ufffd\ufffd' } })
    expect(message.body?.toString()).toBe('{"a":"\ufffd\ufffd"}')
  })

  test.each([
    ['', 'nothing'],
    ['{', 'half a message'],
    ['{"jsonrpc":"2.0",}', 'a comma too many'],
    ["{'jsonrpc':'2.0'}", 'single quotes'],
    ['{"jsonrpc":"2.0"} x', 'something behind it'],
    ['NaN', 'no JSON value'],
  ])('that is not JSON (%j: %s) is refused with request.invalid-json', (text) => {
    const error = refusal(() => parse(text))
    expect(error.code).toBe('request.invalid-json')
    expect(error.httpStatus).toBe(400)
    expect(error.toRpc().code).toBe(-32_700)
  })

  test.each([
    ['null', 'must be a JSON object'],
    ['7', 'must be a JSON object'],
    ['"hello"', 'must be a JSON object'],
    ['[]', 'must be a JSON object'],
    ['{}', '"jsonrpc" must be "2.0"'],
    ['{"jsonrpc":2.0,"method":"m"}', '"jsonrpc" must be "2.0"'],
    ['{"jsonrpc":"1.0","method":"m"}', '"jsonrpc" must be "2.0"'],
    ['{"jsonrpc":"2.0"}', 'needs "method", "result" or "error"'],
    ['{"jsonrpc":"2.0","id":1}', 'needs "method", "result" or "error"'],
    ['{"jsonrpc":"2.0","id":1,"method":null}', '"method" must be a string'],
    ['{"jsonrpc":"2.0","id":1,"method":["m"]}', '"method" must be a string'],
    ['{"jsonrpc":"2.0","id":null,"method":"m"}', '"id" must be a string or an integer'],
    ['{"jsonrpc":"2.0","id":1.5,"method":"m"}', '"id" must be a string or an integer'],
    ['{"jsonrpc":"2.0","id":1e999,"method":"m"}', '"id" must be a string or an integer'],
    ['{"jsonrpc":"2.0","id":{},"method":"m"}', '"id" must be a string or an integer'],
    ['{"jsonrpc":"2.0","id":true,"method":"m"}', '"id" must be a string or an integer'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}', '"params" must be an object'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}', '"params" must be an object'],
    ['{"jsonrpc":"2.0","result":{}}', 'needs the "id" of its request'],
    ['{"jsonrpc":"2.0","id":null,"result":{}}', 'needs the "id" of its request'],
    ['{"jsonrpc":"2.0","id":1,"error":"no"}', '"error" needs an integer "code"'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}', '"error" needs an integer "code"'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}', '"error" needs an integer "code"'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":1}}', '"error" needs an integer "code"'],
    ['{"jsonrpc":"2.0","id":[],"error":{"code":1,"message":"m"}}', '"id" must be a string or an integer'],
  ])('that is JSON and no message (%s) is refused with request.invalid: %s', (text, why) => {
    const error = refusal(() => parse(text))
    expect(error.code).toBe('request.invalid')
    expect(error.message).toContain(why)
    expect(error.toRpc().code).toBe(-32_600)
  })

  test.each([
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}', 'id'],
    ['{"jsonrpc":"2.0","method":"m","params":{},"\\u0070arams":{}}', 'params'],
    ['{"jsonrpc":"2.0","id":1,"result":1,"result":2}', 'result'],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"a"},"error":{"code":2,"message":"b"}}', 'error'],
  ])('%s is refused with request.duplicate-member: "%s" stands twice', (text, member) => {
    const error = refusal(() => parse(text))
    expect(error.code).toBe('request.duplicate-member')
    expect(error.message).toContain(`"${member}" stands twice`)
    expect(error.toRpc().code).toBe(-32_600)
  })

  test.each(['9007199254740992', '-9007199254740992', '12345678901234567890'])(
    'with the id %s is refused: a number of this size cannot be sent back as it came',
    (id) => {
      for (const rest of ['"method":"ping"', '"result":{}', '"error":{"code":1,"message":"m"}']) {
        const error = refusal(() => parse(`{"jsonrpc":"2.0","id":${id},${rest}}`))
        expect(error.code).toBe('request.invalid')
      }
    },
  )

  test.each([9_007_199_254_740_991, -9_007_199_254_740_991])('may have the id %i', (id) => {
    expect(parse(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`)).toMatchObject({ kind: 'request', id })
  })

  test('a byte order mark before it is skipped, as RFC 8259 allows (8.1)', () => {
    expect(parse('\ufeff{"jsonrpc":"2.0","method":"m"}').kind).toBe('notification')
  })

  test('has blanks in place of the line breaks between its tokens: on a pipe a break would end it', () => {
    const bytes = Buffer.from('{"jsonrpc":"2.0","method":"m",\r\n"params":\n{\r\n  "a": "x\\ny"\n}\n}\n')
    const before = bytes.toString()
    expect(parseMessage(bytes).body?.toString()).toBe('{    "a": "x\\ny" }')
    expect(bytes.toString()).toBe(before)
  })

  test('any object in params comes through byte for byte, but for its line breaks', () => {
    fc.assert(
      fc.property(objectText(['_meta', 'name']), ({ text }) => {
        const message = parse(`{"jsonrpc":"2.0","method":"m","params":${text}}`)
        expect(message.body?.toString()).toBe(onOneLine(text.trim()))
      }),
    )
  })
})

describe('a body', () => {
  test('with one message is that message', () => {
    expect(parseBody(Buffer.from('{"jsonrpc":"2.0","method":"m"}'))).toEqual({
      kind: 'single',
      message: { kind: 'notification', method: 'm', params: undefined, body: undefined },
    })
  })

  test('with a batch has each message with its own bytes, and an error for each that is none', () => {
    const body = parseBody(
      Buffer.from(
        '[ {"jsonrpc":"2.0","id":1,"method":"a","params":{"n":1.0}} , 7,' +
          '{"jsonrpc":"2.0","id":2,"result":{"n":2.0}}, {"jsonrpc":"2.0","id":1,"id":1,"method":"a"}]',
      ),
    )
    if (body.kind !== 'batch') throw new Error('It is no batch.')
    const [first, second, third, fourth] = body.items
    expect(first).toMatchObject({ kind: 'request', id: 1, body: Buffer.from('{"n":1.0}') })
    expect(second).toMatchObject({ code: 'request.invalid' })
    expect(third).toMatchObject({ kind: 'result', id: 2, body: Buffer.from('{"n":2.0}') })
    expect(fourth).toMatchObject({ code: 'request.duplicate-member' })
    expect(body.items).toHaveLength(4)
  })

  test('with an empty batch has no messages', () => {
    expect(parseBody(Buffer.from(' [ ] '))).toEqual({ kind: 'batch', items: [] })
  })

  test('that is not JSON is refused as a whole', () => {
    expect(refusal(() => parseBody(Buffer.from('[{]'))).code).toBe('request.invalid-json')
  })

  test('with any array has as many items as the array', () => {
    fc.assert(
      fc.property(arrayText, ({ text, items }) => {
        const body = parseBody(Buffer.from(text))
        expect(body.kind === 'batch' && body.items.length).toBe(items.length)
      }),
    )
  })

  test('in a batch keeps the bytes of each message, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.array(objectText(['a']), { maxLength: 5 }), (params) => {
        const text = params.map((each) => ` {"jsonrpc":"2.0","method":"m","params":${each.text}}\n`).join(',')
        const body = parseBody(Buffer.from(`[${text}]`))
        const bodies = body.kind === 'batch' ? body.items : []
        expect(bodies.map((item) => !(item instanceof HubError) && item.body?.toString())).toEqual(
          params.map((each) => onOneLine(each.text.trim())),
        )
      }),
    )
  })
})

describe('what is sent', () => {
  const params = Buffer.from('{"n": 1.0}')

  test.each([
    [
      encodeRequest(1, 'tools/call', params),
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n": 1.0}}',
    ],
    [encodeRequest('a"b', 'ping', undefined), '{"jsonrpc":"2.0","id":"a\\"b","method":"ping"}'],
    [encodeNotification('note', params), '{"jsonrpc":"2.0","method":"note","params":{"n": 1.0}}'],
    [encodeNotification('note', undefined), '{"jsonrpc":"2.0","method":"note"}'],
    [encodeResult(2, params), '{"jsonrpc":"2.0","id":2,"result":{"n": 1.0}}'],
    [
      encodeError(null, { code: -32_700, message: 'no "JSON"' }),
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no \\"JSON\\""}}',
    ],
    [encodeError(3, Buffer.from('{"code": 1}')), '{"jsonrpc":"2.0","id":3,"error":{"code": 1}}'],
  ])('is written as JSON-RPC 2.0 with its body byte for byte (%#)', (bytes, text) => {
    expect(bytes.toString()).toBe(text)
  })

  test('an answer is passed on under another id', () => {
    const result = parse('{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}')
    const error = parse('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","x":1.0}}')
    if (result.kind !== 'result' || error.kind !== 'error') throw new Error('These are no answers.')
    expect(encodeAnswer('z', result).toString()).toBe('{"jsonrpc":"2.0","id":"z","result":{"n":1.0}}')
    expect(encodeAnswer(9, error).toString()).toBe(
      '{"jsonrpc":"2.0","id":9,"error":{"code":1,"message":"m","x":1.0}}',
    )
  })

  test('is read back as the same message', () => {
    const id = fc.oneof(fc.string(), fc.maxSafeInteger())
    fc.assert(
      fc.property(id, fc.string(), objectText(['a']), (requestId, method, { text }) => {
        const body = Buffer.from(text)
        expect(parseMessage(encodeRequest(requestId, method, body))).toMatchObject({
          kind: 'request',
          id: Object.is(requestId, -0) ? 0 : requestId,
          method,
          body: Buffer.from(onOneLine(text.trim())),
        })
        expect(parseMessage(encodeNotification(method, undefined))).toMatchObject({
          kind: 'notification',
          method,
        })
        expect(parseMessage(encodeResult(requestId, body))).toMatchObject({ kind: 'result' })
      }),
    )
  })
})

describe('what counts as what', () => {
  test('an object is neither null nor an array', () => {
    expect([{}, Object.create(null)].every(isObject)).toBe(true)
    expect([null, [], 'a', 1, undefined].some(isObject)).toBe(false)
  })

  test('a request id is a string or an integer that a number holds exactly', () => {
    expect(['', 'a', 0, -1, 1, Number.MAX_SAFE_INTEGER].every(isRequestId)).toBe(true)
    expect([2 ** 53, 1.5, Number.NaN, Number.POSITIVE_INFINITY, null, true, {}].some(isRequestId)).toBe(false)
  })
})
