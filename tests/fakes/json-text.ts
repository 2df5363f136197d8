import fc from 'fast-check'

const space = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 })

const scalar = fc.constantFrom(
  'null',
  'true',
  'false',
  '0',
  '-0',
  '1.0',
  '-12.5e+3',
  '1E400',
  '12345678901234567890',
  '0.1000',
)

/** One character as JSON text may write it: as itself where that is allowed, or by one of its escapes. */
const written = fc
  .tuple(
    fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      fc.constantFrom('"', '\\', '/', '\n', '\u2028', 'é', '😀', ' ', '{', '}', '[', ']', ',', ':'),
    ),
    fc.boolean(),
  )
  .map(([character, escaped]) => writeCharacter(character, escaped))

const SHORT: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\b': '\\b' }

function writeCharacter(character: string, escaped: boolean): string {
  const must = character < ' ' || character === '"' || character === '\\'
  if (!must && !escaped) return character
  const short = SHORT[character]
  if (short && !escaped) return short
  return [...Array(character.length).keys()]
    .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
    .join('')
}

const stringBody = fc.oneof(
  { weight: 4, arbitrary: fc.array(written, { maxLength: 8 }) },
  // Beyond 64 bytes the scanner works in another way.
  { weight: 1, arbitrary: fc.array(written, { minLength: 50, maxLength: 150 }) },
)

const stringText = stringBody.map((parts) => `"${parts.join('')}"`)

/** The text of one member's name: one of `names` in one of the ways to write it, or any other. */
export function keyText(names: readonly string[]): fc.Arbitrary<string> {
  const known = fc
    .tuple(fc.constantFrom(...names), fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }))
    .map(([name, flags]) => `"${[...name].map((c, i) => writeCharacter(c, flags[i] ?? false)).join('')}"`)
  return fc.oneof(known, stringText)
}

function list(open: string, close: string, items: readonly string[], spaces: readonly string[]): string {
  const at = (index: number) => spaces[index % Math.max(spaces.length, 1)] ?? ''
  const inner = items.map((item, index) => `${at(index)}${item}${at(index + 1)}`).join(',')
  return `${open}${items.length === 0 ? at(0) : inner}${close}`
}

const spaces = fc.array(space, { maxLength: 6 })

/** Text of any JSON value: any whitespace, escapes, nesting; names in one object may stand twice. */
export const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    stringText,
    fc
      .tuple(fc.array(tie('value'), { maxLength: 5 }), spaces)
      .map(([items, between]) => list('[', ']', items, between)),
    fc
      .tuple(fc.array(fc.tuple(stringText, space, space, tie('value')), { maxLength: 5 }), spaces)
      .map(([members, between]) =>
        list(
          '{',
          '}',
          members.map(([key, a, b, value]) => `${key}${a}:${b}${value}`),
          between,
        ),
      ),
  ),
})).value

export interface ObjectText {
  readonly text: string
  /** The names of its members, in their order. */
  readonly keys: readonly string[]
}

/** Text of an object whose members are named by `names` often, and maybe twice. */
export function objectText(names: readonly string[]): fc.Arbitrary<ObjectText> {
  const member = fc.tuple(keyText(names), space, space, jsonText)
  return fc.tuple(fc.array(member, { maxLength: 8 }), spaces, space).map(([members, between, around]) => ({
    text: `${around}${list(
      '{',
      '}',
      members.map(([key, a, b, value]) => `${key}${a}:${b}${value}`),
      between,
    )}${around}`,
    keys: members.map(([key]) => String(JSON.parse(key))),
  }))
}

/** Text of an array, and its elements' texts. */
export const arrayText: fc.Arbitrary<{ text: string; items: readonly string[] }> = fc
  .tuple(fc.array(jsonText, { maxLength: 6 }), spaces)
  .map(([items, between]) => ({ text: list('[', ']', items, between), items }))

/** Cuts `bytes` into pieces of any sizes, empty ones too. */
export function chunked(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }).map((cuts) => {
    const sorted = [0, ...cuts.sort((a, b) => a - b), bytes.length]
    return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index] ?? 0, end))
  })
}
