import { describe, expect, test } from 'vitest'
import { overrides, serverSpec } from '../../../tests/fakes/domain.ts'
import { FakeReply } from '../../../tests/fakes/sessions.ts'
import { encodeError, encodeResult } from '../../mcp/json-rpc.ts'
import { wholeServer } from '../catalog/scope.ts'
import { relayedList } from './relayed-list.ts'

const member = wholeServer(
  serverSpec('a', {
    overrides: overrides({
      tools: { x: { enabled: false }, y: { description: 'Mine.' } },
      resources: { 't:{n}': { enabled: false } },
    }),
  }),
)

describe('a list that comes straight from a server', () => {
  test('has the overrides of the operator applied; all else stays', () => {
    const reply = new FakeReply()
    const result = '{"tools":[{"name":"x"},{"name":"y","z":1},{"name":7}],"nextCursor":"c","_meta":{"m":1}}'
    relayedList(reply, 'tools', member).answer(encodeResult('id', Buffer.from(result)))
    expect(reply.parsed).toEqual({
      jsonrpc: '2.0',
      id: 'id',
      result: { tools: [{ name: 'y', z: 1, description: 'Mine.' }], nextCursor: 'c', _meta: { m: 1 } },
    })
  })

  test('of templates has the overrides of resources applied', () => {
    const reply = new FakeReply()
    const result = '{"resourceTemplates":[{"uriTemplate":"t:{n}"},{"uriTemplate":"u:{n}"}]}'
    relayedList(reply, 'templates', member).answer(encodeResult(1, Buffer.from(result)))
    expect(reply.parsed).toMatchObject({ result: { resourceTemplates: [{ uriTemplate: 'u:{n}' }] } })
  })

  test.each([
    ['an error', encodeError(1, { code: -1, message: 'no' })],
    ['a result without the list', encodeResult(1, Buffer.from('{"prompts": []}'))],
    ['a result that is no object', encodeResult(1, Buffer.from('7'))],
  ])('passes as it came when it is %s', (_what, bytes) => {
    const reply = new FakeReply()
    relayedList(reply, 'tools', member).answer(bytes)
    expect(reply.answers).toEqual([bytes.toString()])
  })

  test('has only the tools that a key names, and none at all when it is no list', () => {
    const spec = serverSpec('b')
    const narrow = { ...wholeServer(spec), tools: new Set(['x']), prompts: new Set<string>() }
    const answered = (kind: 'tools' | 'prompts', result: string) => {
      const reply = new FakeReply()
      relayedList(reply, kind, narrow).answer(encodeResult(1, Buffer.from(result)))
      return reply.parsed
    }
    expect(answered('tools', '{"tools":[{"name":"x"},{"name":"y"}]}')).toMatchObject({
      result: { tools: [{ name: 'x' }] },
    })
    expect(answered('prompts', '{"prompts":[{"name":"x"}]}')).toMatchObject({ result: { prompts: [] } })
    expect(answered('tools', '{"secret":1}')).toMatchObject({ id: 1, result: { tools: [] } })
  })

  test('goes through untouched when there are no overrides for it', () => {
    const reply = new FakeReply()
    expect(relayedList(reply, 'prompts', member)).toBe(reply)
  })

  test('is still a reply like any other', () => {
    const reply = new FakeReply()
    const relayed = relayedList(reply, 'tools', member)
    relayed.message(Buffer.from('progress'))
    expect([reply.messages, relayed.reachable]).toEqual([['progress'], true])
    reply.reachable = false
    relayed.abandon()
    expect([reply.abandoned, relayed.reachable]).toEqual([true, false])
  })
})
