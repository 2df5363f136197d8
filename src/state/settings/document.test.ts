import { describe, expect, test } from 'vitest'
import { HubError } from '../../domain/errors.ts'
import { type EmptyText, parseDocument } from './document.ts'

function value(text: string): unknown {
  return parseDocument(text, 'f.json').value
}

function refusal(text: string, empty?: EmptyText): HubError {
  try {
    parseDocument(text, '/etc/f.json', empty)
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('The text was not refused.')
}

describe('settings text', () => {
  test('[R8] may hold comments of both kinds, as the sample of the first seed does', () => {
    const text = `{
      "mcpServers": {
        // 可选：协调器也可以运行 MCP 服务器
        "example": { "command": "npx", "args": ["-y", "example-mcp-server"] } /* one
        server */
      }
    }`
    expect(value(text)).toEqual({
      mcpServers: { example: { command: 'npx', args: ['-y', 'example-mcp-server'] } },
    })
  })

  test('[R8] what looks like a comment within a string is none', () => {
    expect(value('{"url": "http://x/*y*/"}')).toEqual({ url: 'http://x/*y*/' })
  })

  test('may have commas behind the last member and element', () => {
    expect(value('{"a": [1, 2,], "b": {},}')).toEqual({ a: [1, 2], b: {} })
  })

  test('may begin with a byte order mark', () => {
    expect(value('\ufeff{"a": 1}')).toEqual({ a: 1 })
  })

  test.each(['', '  \n\t', '\ufeff', '\ufeff\n'])('that is empty (%j) means no settings', (text) => {
    expect(value(text)).toEqual({})
  })

  test('keeps every JSON value as it is', () => {
    expect(value('{"a": null, "b": [true, -1.5e3, "\\u00e9"], "constructor": 1}')).toEqual(
      expect.objectContaining({ a: null, b: [true, -1_500, 'é'], constructor: 1 }),
    )
  })

  test.each([
    ['{"mcpServers": {"a": {},\n "__proto__": {"command": "x"}}}', 2, 2],
    ['{"bearerKeys": [{"__proto__": 1}]}', 1, 18],
    ['{"\\u005f_proto__": 1}', 1, 2],
  ])('%j is refused: what has that name would vanish without a word', (text, line, column) => {
    const error = refusal(text)
    expect(error.message).toContain(`/etc/f.json:${line}:${column}: nothing may be named "__proto__"`)
    expect(error.data).toEqual({ source: '/etc/f.json', line, column })
  })
})

describe('text that is not JSON', () => {
  test.each(['', '  \n\t', '\ufeff'])(
    'is what empty text (%j) counts as where settings are in force already',
    (text) => {
      expect(refusal(text, 'refused').message).toMatch(
        /^\/etc\/f\.json:1:1: it is not JSON: the file is empty/,
      )
      expect(parseDocument('{}', 'f', 'refused').value).toEqual({})
    },
  )

  test.each([
    ['{"a": 1 "b": 2}', 1, 9],
    ['{\n  "a": tru\n}', 2, 8],
    ['{\n  "a": 1,\n  b: 2\n}', 3, 3],
    ['{\r\n  "a": 1\r\n  "b": 2\r\n}', 3, 3],
    ['{"a": [1, 2}', 1, 12],
    ['{"a": "x', 1, 7],
    ["{'a': 1}", 1, 2],
    ['{} {}', 1, 4],
    ['// nothing here', 1, 16],
    ['\ufeff{"a" 1}', 1, 6],
    ['{"é😀": 1 2}', 1, 11],
  ])('%j is refused at line %i, column %i', (text, line, column) => {
    const error = refusal(text)
    expect(error.code).toBe('settings.invalid')
    expect(error.message).toMatch(new RegExp(`^/etc/f\\.json:${line}:${column}: it is not JSON: [a-z ]+\\.$`))
    expect(error.data).toEqual({ source: '/etc/f.json', line, column })
  })

  test('is refused with a cure', () => {
    expect(refusal('{').cure).toContain('flotilla config validate')
  })
})

describe('where a value stands', () => {
  const text = '{\n  "mcpServers": {\n    // first\n    "a": { "command": "x", "args": ["1", "2"] }\n  }\n}'
  const document = parseDocument(text, 'f.json')

  test.each([
    [['mcpServers', 'a', 'command'], 4, 23],
    [['mcpServers', 'a', 'args', 1], 4, 42],
    [['mcpServers', 'a'], 4, 10],
    [['mcpServers'], 2, 17],
    [[], 1, 1],
  ])('%j is found by line and column', (path, line, column) => {
    expect(document.locate(path)).toEqual({ line, column })
  })

  test('what does not exist is found at the nearest thing around it', () => {
    expect(document.locate(['mcpServers', 'a', 'url'])).toEqual({ line: 4, column: 10 })
    expect(document.locate(['mcpServers', 'b', 'url'])).toEqual({ line: 2, column: 17 })
    expect(document.locate(['groups', 0, 'name'])).toEqual({ line: 1, column: 1 })
  })

  test('a byte order mark does not move it', () => {
    expect(parseDocument('\ufeff{"a": 1}', 'f').locate(['a'])).toEqual({ line: 1, column: 7 })
  })

  test('of two members with one name it is the one that counts', () => {
    const twice = parseDocument('{\n"a": 1,\n"a": 2\n}', 'f')
    expect([twice.value, twice.locate(['a'])]).toEqual([{ a: 2 }, { line: 3, column: 6 }])
  })
})
