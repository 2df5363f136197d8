import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { FakeResponse } from '../../../tests/fakes/response.ts'
import { makeSession } from '../../../tests/fakes/sessions.ts'
import type { AffinityStrategy } from '../../domain/cluster.ts'
import { STANDALONE } from '../../domain/cluster-settings.ts'
import { NodePreference } from './node-preference.ts'

function make(strategy: AffinityStrategy, enabled = true) {
  return new NodePreference({ ...STANDALONE.sticky, strategy, enabled })
}

function request(headers: Record<string, string>): IncomingMessage {
  return { headers } as unknown as IncomingMessage
}

describe('[R17] [R18] the node that a request asks for', () => {
  test.each([
    ['MCPHUB_NODE=n1', 'n1'],
    ['a=b; MCPHUB_NODE=n-1.x_2 ; c=d', 'n-1.x_2'],
    ['mcphub_node=n1', undefined],
    ['XMCPHUB_NODE=n1', undefined],
    ['MCPHUB_NODE', undefined],
    ['MCPHUB_NODE=', undefined],
    ['MCPHUB_NODE=a b', undefined],
    ['MCPHUB_NODE="n1"', undefined],
    ['MCPHUB_NODE=n1\r\nX: y', undefined],
    [`MCPHUB_NODE=${'n'.repeat(129)}`, undefined],
    ['', undefined],
  ])('by the cookie %j: %s', (cookie, node) => {
    expect(make('cookie').of(request({ cookie }))).toBe(node)
  })

  test.each([
    ['n1', 'n1'],
    ['n1, n2', undefined],
    ['<script>', undefined],
    ['', undefined],
  ])('by the header %j: %s', (value, node) => {
    expect(make('header').of(request({ 'x-mcphub-node': value }))).toBe(node)
  })

  test.each([
    ['consistent-hash', true],
    ['none', true],
    ['cookie', false],
    ['header', false],
  ] as const)('counts for nothing under %s (enabled: %s)', (strategy, enabled) => {
    const headers = { 'x-mcphub-node': 'n1', cookie: 'MCPHUB_NODE=n1' }
    expect(make(strategy, enabled).of(request(headers))).toBeUndefined()
    expect(new NodePreference(undefined).of(request(headers))).toBeUndefined()
  })

  test('is noted in the session, and one that is not named changes nothing', () => {
    const session = makeSession('s')
    make('header').note(request({ 'x-mcphub-node': 'n1' }), session)
    make('header').note(request({}), session)
    expect(session.preferredNode).toBe('n1')
  })
})

describe('[R20] the cookie', () => {
  const answer = (
    preference: NodePreference,
    headers: Record<string, string>,
    session = makeSession('s'),
  ) => {
    const response = new FakeResponse()
    preference.beforeHead(request(headers), response.asResponse, session)?.()
    return response.headers['Set-Cookie']
  }

  test('is set when the session has a node, once', () => {
    const preference = make('cookie')
    const session = makeSession('s')
    expect(answer(preference, {}, session)).toBeUndefined()
    session.preferredNode = 'n1'
    expect(answer(preference, {}, session)).toBe('MCPHUB_NODE=n1; Path=/; HttpOnly; SameSite=Lax')
    expect(answer(preference, {}, session)).toBeUndefined()
    session.preferredNode = 'n2'
    expect(answer(preference, { cookie: 'MCPHUB_NODE=n1' }, session)).toContain('MCPHUB_NODE=n2;')
  })

  test('is not set for a client that has it, nor under another strategy', () => {
    const session = makeSession('s')
    session.preferredNode = 'n1'
    expect(answer(make('cookie'), { cookie: 'MCPHUB_NODE=n1' }, session)).toBeUndefined()
    expect(make('header').beforeHead(request({}), new FakeResponse().asResponse, session)).toBeUndefined()
  })

  test('holds nothing that could end it', () => {
    const session = makeSession('s')
    session.preferredNode = 'n1; Domain=example.com'
    expect(answer(make('cookie'), {}, session)).toBeUndefined()
  })
})
