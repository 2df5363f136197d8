import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../json/canonical.ts'
import { parseDocument } from './document.ts'
import { applyEdits, editsBetween, rewriteText } from './edit.ts'

type Document = Record<string, unknown>

/** Names that have caused trouble in other programs are among them. */
const name = fc.oneof(
  fc.constantFrom('a', 'b', 'constructor', 'toString', 'x.y', 'a/b', '0', 'é😀', ''),
  fc.string({ maxLength: 5 }).filter((text) => text !== '__proto__'),
)
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.record({ id: fc.constantFrom('1', '2', '3'), v: tie('json') }), { maxLength: 3 }),
    fc.dictionary(name, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))
const document = fc.dictionary(name, json, { maxKeys: 5, noNullPrototype: true })

const parsed = (text: string) => parseDocument(text, 'f').value
const pretty = (value: unknown) => JSON.stringify(value, undefined, 2)

describe('an edit of a document', () => {
  const before = { mcpServers: { a: { command: 'x' }, b: { url: 'y' } }, groups: [{ name: 'g' }], other: 1 }

  test('puts a value in its place and leaves the rest, the order included', () => {
    const after = applyEdits(before, [{ path: ['mcpServers', 'a', 'command'], value: 'z' }])
    expect(pretty(after)).toBe(pretty(before).replace('"x"', '"z"'))
    expect(before.mcpServers.a.command).toBe('x')
  })

  test('makes what is missing on the way, also in the place of null', () => {
    expect(applyEdits({ e: null }, [{ path: ['e', 'k'], value: 1 }])).toEqual({ e: { k: 1 } })
    expect(applyEdits({}, [{ path: ['groups', 0, 'name'], value: 'g' }])).toEqual({ groups: [{ name: 'g' }] })
  })

  test('removes members and items; what is not there needs no removing', () => {
    const edits = [
      { path: ['mcpServers', 'a'], value: undefined },
      { path: ['groups', 0], value: undefined },
      { path: ['none', 'at', 'all'], value: undefined },
    ]
    expect(applyEdits(before, edits)).toEqual({ mcpServers: { b: { url: 'y' } }, groups: [], other: 1 })
  })

  test('may add an item behind the last', () => {
    expect(applyEdits({ l: [1] }, [{ path: ['l', 1], value: 2 }])).toEqual({ l: [1, 2] })
  })

  test.each([
    [['l', 2], 'the list has 1 items'],
    [['l', -1], 'the list has 1 items'],
    [['l', 0.5], 'the list has 1 items'],
    [['l', 'name'], 'there is no object to put "name" into'],
    [['n', 'x', 'y'], 'there is no object to put "x" into'],
    [['n', 0], 'there is no list at this place'],
    [[], 'the document itself must be an object'],
  ])('at %j is refused: %s', (path, why) => {
    expect(() => applyEdits({ l: [1], n: 5 }, [{ path, value: 1 }])).toThrow(why)
  })

  test.each([
    [['__proto__', 'polluted'], true],
    [['a', '__proto__'], {}],
    [['a'], JSON.parse('{"__proto__": {"polluted": true}}')],
    [['a', 'deep', '__proto__'], undefined],
  ])('at %j with %j is refused: nothing may be named "__proto__"', (path, value) => {
    expect(() => applyEdits({ a: { deep: {} } }, [{ path, value }])).toThrow(
      'nothing may be named "__proto__"',
    )
    expect(({} as Document)['polluted']).toBeUndefined()
  })

  test('takes names that every object inherits for data', () => {
    const after = applyEdits({}, [{ path: ['constructor', 'prototype', 'x'], value: 1 }])
    expect(JSON.stringify(after)).toBe('{"constructor":{"prototype":{"x":1}}}')
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false)
  })
})

describe('the edits between two documents', () => {
  test('turn the one into the other, whatever they are', () => {
    fc.assert(
      fc.property(document, document, (before, after) => {
        expect(applyEdits(before, editsBetween(before, after))).toEqual(after)
      }),
    )
  })

  test('are none when nothing differs', () => {
    fc.assert(
      fc.property(document, (same) => {
        expect(editsBetween(same, structuredClone(same))).toEqual([])
      }),
    )
  })

  test('are as small as the difference', () => {
    const before = { s: { a: { x: 1, y: 2 } }, g: [{ id: '1', n: 1 }] }
    const after = { s: { a: { x: 1, y: 3 } }, g: [{ id: '1', n: 1 }, { id: '2' }] }
    expect(editsBetween(before, after)).toEqual([
      { path: ['s', 'a', 'y'], value: 3 },
      { path: ['g', 1], value: { id: '2' } },
    ])
  })

  test('stay few when everything differs', () => {
    const make = (value: number) => ({
      s: Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`s${index}`, { value }])),
    })
    expect(editsBetween(make(1), make(2))).toEqual([{ path: ['s'], value: make(2).s }])
  })
})

describe('a rewritten text', () => {
  test('[R215] says what it should, whatever the documents are', () => {
    fc.assert(
      fc.property(document, document, fc.constantFrom(undefined, 2, '\t'), (before, after, indent) => {
        const text = JSON.stringify(before, undefined, indent)
        expect(canonicalJson(parsed(rewriteText(text, after, 'f')))).toBe(canonicalJson(after))
      }),
      { numRuns: 300 },
    )
  })

  test('keeps comments and order, and the layout of all lines but those beside the change', () => {
    const text = `// Ours.
{
  "mcpServers": {
    // The clock.
    "time": { "command": "npx", "args": ["-y", "time"] }, /* runs always */
    "old": { "url": "http://x" }
  },
  "unknownKey": [1,  2, {"deep": null}], // of another program
}
`
    const target = parsed(text) as { mcpServers: Document }
    const after = { ...target, mcpServers: { ...target.mcpServers, new: { url: 'http://n' } } }
    expect(rewriteText(text, after, 'f')).toBe(`// Ours.
{
  "mcpServers": {
    // The clock.
    "time": { "command": "npx", "args": ["-y", "time"] }, /* runs always */
    "old": {
      "url": "http://x"
    },
    "new": {
      "url": "http://n"
    }
  },
  "unknownKey": [1,  2, {"deep": null}], // of another program
}
`)
  })

  test('is the same text when nothing changes', () => {
    const text = '{ "a" : 1, // one\n "n": 12345678901234567890 }'
    expect(rewriteText(text, parsed(text) as Document, 'f')).toBe(text)
  })

  test.each([
    ['a name that stands twice', '{"a": {"x": 1, "x": 2}, "b": 1}', { a: { x: 3 }, b: 1 }],
    ['a stray comma behind the only member', '{"a": {"x": 1,}, "b": 1}', { a: {}, b: 1 }],
    ['a stray comma behind the only item', '{"a": [1,], "b": 1}', { a: [], b: 1 }],
    ['a comment within what goes', '{"a": [1, /* , */ 2], "b": 1}', { a: [1], b: 1 }],
    ['nothing', '', { a: 1 }],
    ['a comment alone', '{} // nothing', { a: 1 }],
  ])('is right where the old one has %s', (_what, text, target) => {
    expect(parsed(rewriteText(text, target, 'f'))).toEqual(target)
  })

  test('keeps a byte order mark and line ends of another system', () => {
    const text = '\uFEFF{\r\n  "a": 1\r\n}\r\n'
    expect(rewriteText(text, { a: 1, b: 2 }, 'f')).toBe('\uFEFF{\r\n  "a": 1,\r\n  "b": 2\r\n}\r\n')
  })

  test('is refused where the old one is no settings document', () => {
    expect(() => rewriteText('{"a": ', { a: 1 }, 'f.json')).toThrow(/f\.json:1:/)
  })
})
