import { describe, expect, test } from 'vitest'
import { listing } from '../../../tests/fakes/domain.ts'
import { HubError, type HubErrorCode } from '../../domain/errors.ts'
import { eventOf, isRepeatable } from './repeatable.ts'

const LISTED = listing({
  tools: [
    { name: 'plain' },
    { name: 'reads', annotations: { readOnlyHint: true } },
    { name: 'sets', annotations: { readOnlyHint: false, idempotentHint: true } },
    { name: 'writes', annotations: { readOnlyHint: false, idempotentHint: false } },
    { name: 'odd', annotations: { readOnlyHint: 'true', idempotentHint: 1 } },
    { name: 'odder', annotations: 'readOnlyHint' },
  ],
})

describe('what may be carried out twice', () => {
  test.each([
    ['reads', true],
    ['sets', true],
    ['plain', false],
    ['writes', false],
    ['odd', false],
    ['odder', false],
    ['unlisted', false],
  ])('the tool %s: %s', (tool, may) => {
    expect(isRepeatable('tools/call', tool, LISTED)).toBe(may)
  })

  test.each([
    ['resources/read', true],
    ['prompts/get', true],
    ['completion/complete', true],
    ['tools/list', true],
    ['resources/templates/list', true],
    ['resources/subscribe', false],
    ['logging/setLevel', false],
    ['tasks/cancel', false],
    ['vendor/thing', false],
  ])('%s: %s', (method, may) => {
    expect(isRepeatable(method, '', LISTED)).toBe(may)
  })

  test('no tool of a server whose list nobody has seen', () => {
    expect(isRepeatable('tools/call', 'reads', undefined)).toBe(false)
  })
})

test.each([
  ['upstream.lost', 'lost'],
  ['upstream.timeout', 'timeout'],
  ['upstream.invalid', 'invalid'],
  ['upstream.rejected', 'invalid'],
  ['request.cancelled', 'abandoned'],
  ['internal', 'abandoned'],
] as const satisfies readonly (readonly [HubErrorCode, string])[])(
  '%s says of a server: %s',
  (code, event) => {
    expect(eventOf(new HubError(code, 'No.'))).toBe(event)
  },
)
