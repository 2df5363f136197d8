import { describe, expect, test } from 'vitest'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { HubError } from '../../domain/errors.ts'
import { ANONYMOUS } from '../../domain/principal.ts'
import { parseMessage, type RpcRequest } from '../../mcp/json-rpc.ts'
import { UnreadResult } from '../../mcp/unread.ts'
import type { UsageEntry } from '../../observability/activity/record-maker.ts'
import type { Outcome } from '../sessions/session.ts'
import { watchCall } from './call-log.ts'

const PARAMS = { name: 'a-x', arguments: { city: 'Berlin' } }

function request(): RpcRequest {
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: PARAMS })
  const message = parseMessage(Buffer.from(text))
  if (message.kind !== 'request') throw new Error('It is no request.')
  return message
}

/** What is noted of a call that takes 250 ms and ends so. */
async function noted(outcome: Outcome, keeps = false): Promise<UsageEntry | undefined> {
  const clock = new FakeClock()
  const finished: UsageEntry[] = []
  const calls = { keepsArguments: () => keeps, finished: (call: UsageEntry) => finished.push(call) }
  const principal = { ...ANONYMOUS, id: 'key:1', keyId: 'k1', username: 'alice' }
  const session = makeSession('s1', { principal })
  const end = watchCall({ calls, clock }, session, request(), { server: 'a', tool: 'x' })
  await clock.advance(250)
  end(outcome)
  return finished[0]
}

function result(value: unknown): Outcome {
  return { kind: 'result', id: 1, result: value, body: Buffer.from(JSON.stringify(value)) }
}

describe('[R222] what is noted of a tool call', () => {
  test('says who, what, when, from where and how long', async () => {
    expect(await noted(result({ content: [] }))).toEqual({
      timestamp: new FakeClock().now(),
      username: 'alice',
      keyId: 'k1',
      server: 'a',
      tool: 'x',
      success: true,
      durationMs: 250,
      error: undefined,
      arguments: undefined,
      argumentsBytes: 0,
      ip: '127.0.0.1',
      userAgent: 'test/1.0',
      sessionId: 's1',
    })
  })

  test('has the arguments only where the settings allow it', async () => {
    expect(await noted(result({}), true)).toMatchObject({
      arguments: PARAMS.arguments,
      argumentsBytes: JSON.stringify(PARAMS).length,
    })
  })

  test.each<[string, Outcome, boolean, string | undefined]>([
    ['a result', result({ content: [{ type: 'text', text: 'fine' }] }), true, undefined],
    ['a result that is not one', result(null), true, undefined],
    ['a result that says false', result({ isError: false }), true, undefined],
    [
      "the tool's own error",
      result({ isError: true, content: [{ type: 'image' }, { type: 'text', text: 'No such city.' }] }),
      false,
      'No such city.',
    ],
    [
      "the tool's error without words",
      result({ isError: true }),
      false,
      'The tool reported an error without saying which.',
    ],
    [
      'an error of the server',
      { kind: 'error', id: 1, error: { code: -32602, message: 'Bad arguments.' }, body: Buffer.from('{}') },
      false,
      'Bad arguments.',
    ],
    ['no answer', new HubError('upstream.timeout', 'Too late.'), false, 'Too late.'],
  ])('knows whether it went well: %s', async (_what, outcome, success, error) => {
    expect(await noted(outcome)).toMatchObject({ success, error })
  })

  test('does not parse a result that a worker has found to be no error', async () => {
    const unreadable = Buffer.from('this would throw')
    expect(await noted(new UnreadResult(1, unreadable, false))).toMatchObject({ success: true })
    expect(await noted(new UnreadResult(1, unreadable, true))).toMatchObject({ success: false })
    const failed = Buffer.from('{"isError":true,"content":[{"type":"text","text":"No such city."}]}')
    expect(await noted(new UnreadResult(1, failed, true))).toMatchObject({ error: 'No such city.' })
  })

  test('is bounded however much the tool has to say', async () => {
    const text = 'x'.repeat(1_000_000)
    const call = await noted(result({ isError: true, content: [{ type: 'text', text }] }))
    expect(call?.error).toBe(text.slice(0, 16 * 1024))
  })
})
