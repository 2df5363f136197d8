import { expect, test } from 'vitest'
import { overrides, serverSpec } from '../../../tests/fakes/domain.ts'
import type { ServerSpec } from '../../domain/server-spec.ts'
import { specHash } from './spec-hash.ts'

const stdio = { kind: 'stdio', command: 'npx', args: ['-y', 'a'], env: { A: '1', B: '2' }, cwd: '/' } as const
const http = { kind: 'auto', url: 'http://h/mcp', headers: { X: '1' } } as const
const base = serverSpec('a', { transport: stdio })

test.each<[string, Partial<ServerSpec>]>([
  ['arguments', { transport: { ...stdio, args: ['-y', 'b'] } }],
  ['variables', { transport: { ...stdio, env: { A: '1' } } }],
  ['the working folder', { transport: { ...stdio, cwd: undefined } }],
  ['the kind of transport', { transport: http }],
  ['isolation', { isolation: 'session' }],
  ['start on demand', { startOnDemand: true }],
  ['idle time', { idleTimeoutMs: 5 }],
])('the hash changes with %s', (_what, parts) => {
  expect(specHash({ ...base, ...parts })).not.toBe(specHash(base))
})

test('the hash is short and does not change with what does not concern the process', () => {
  expect(specHash(base)).toMatch(/^[\w-]{16}$/)
  const described = { description: 'other', overrides: overrides({ tools: { a: { enabled: false } } }) }
  expect(specHash({ ...base, ...described })).toBe(specHash(base))
  const turned = serverSpec('a', { transport: { ...stdio, env: { B: '2', A: '1' } } })
  expect(specHash(turned)).toBe(specHash(base))
})

test('headers count, in any order', () => {
  const withHeaders = (headers: Record<string, string>) =>
    specHash(serverSpec('a', { transport: { ...http, headers } }))
  expect(withHeaders({ A: '1', B: '2' })).toBe(withHeaders({ B: '2', A: '1' }))
  expect(withHeaders({ A: '1' })).not.toBe(withHeaders({ A: '2' }))
})
