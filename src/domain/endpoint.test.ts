import { expect, test } from 'vitest'
import { ALL, endpointPath } from './endpoint.ts'

test('the path of an endpoint is /mcp, or /mcp/ and its name as a URL segment', () => {
  expect(endpointPath(ALL)).toBe('/mcp')
  expect(endpointPath({ kind: 'named', name: 'time' })).toBe('/mcp/time')
  expect(endpointPath({ kind: 'named', name: 'a/b c?é' })).toBe('/mcp/a%2Fb%20c%3F%C3%A9')
})
