import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quickestOfThree } from '../../tests/harness/quickest.ts'
import { MASK, Redactor } from './redaction.ts'

function redactor(...secrets: string[]): Redactor {
  const made = new Redactor()
  made.setSecrets(secrets)
  return made
}

/** Arguments as they are kept. */
function kept(value: unknown, ...secrets: string[]): unknown {
  return JSON.parse(redactor(...secrets).redactArguments(value, 8192))
}

describe('known secrets', () => {
  test('are found line by line, for logs are written so, and in JSON within JSON', () => {
    const pem = '-----BEGIN KEY-----\nfirst-line-of-the-key\nsecond-line-of-the-key\n-----END KEY-----'
    expect(redactor(pem).redactText('it says second-line-of-the-key')).toBe(`it says ${MASK}`)
    const odd = 'p"a\\ss'
    const nested = JSON.stringify({ line: JSON.stringify({ x: odd }) })
    expect(redactor(odd).redactLine(nested)).toBe(JSON.stringify({ line: `{"x":"${MASK}"}` }))
  })

  test("are also the hub's own keys, which it knows by their looks alone", () => {
    const key = `flk_${'aZ0-_'.repeat(9)}`
    expect(redactor().hideKnown(`with ${key}.`)).toBe(`with ${MASK}.`)
    for (const before of ['', 'u:', 'user:'])
      expect(redactor().redactText(Buffer.from(before + key).toString('base64'))).toMatch(
        /^.{0,7}\[redacted\]=*$/,
      )
    expect(redactor().redactText('the prefix flk_aZ0-_a alone')).toBe('the prefix flk_aZ0-_a alone')
  })

  test.each([
    ['as they are', (s: string) => s],
    ['in JSON', (s: string) => JSON.stringify({ s })],
    ['in JSON within JSON', (s: string) => JSON.stringify({ s: `x ${s}` })],
    ['in a URL', (s: string) => `https://h/?q=${encodeURIComponent(s)}`],
    ['in a form', (s: string) => new URLSearchParams({ q: s }).toString()],
    ['in base64', (s: string) => Buffer.from(s).toString('base64')],
    ['in base64 for URLs', (s: string) => Buffer.from(s).toString('base64url')],
    ['behind one byte in base64', (s: string) => Buffer.from(`:${s}`).toString('base64')],
    ['within HTTP Basic', (s: string) => Buffer.from(`me:${s}:x`).toString('base64')],
  ])('are hidden %s', (_how, write) => {
    const secret = 'p"ä/ss w+rd?~ÿ'
    const written = write(secret)
    const shown = redactor('other-secret', secret).redactText(`before ${written} after`)
    expect(shown).toMatch(/^before .*\[redacted\].* after$/)
    for (const piece of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      expect(shown).not.toContain(piece)
    // In base64 up to three characters at either end belong to the neighbours too.
    expect(shown.replace(MASK, '').length).toBeLessThan('before  after'.length + 20)
  })

  test('that overlap leave nothing of either', () => {
    expect(redactor('abcdef', 'defghi', 'bcdefg').redactText('xabcdefghix')).toBe(`x${MASK}x`)
    expect(redactor('secret', 'secret-longer').redactText('secret-longer secret')).toBe(`${MASK} ${MASK}`)
  })

  test('that stand side by side are two', () => {
    expect(redactor('abcdef', 'ghijkl').redactText('abcdefghijkl')).toBe(MASK + MASK)
  })

  test('of less than six characters are left alone', () => {
    expect(redactor('abc').redactText('abc alphabet')).toBe('abc alphabet')
  })

  test('are replaced by the next set', () => {
    const one = redactor('first-secret')
    one.setSecrets(['second-secret'])
    expect(one.redactText('first-secret second-secret')).toBe(`first-secret ${MASK}`)
  })

  test('never remain in a text, wherever they stand', () => {
    const secret = fc.string({ minLength: 6, maxLength: 12, unit: fc.constantFrom('a', 'b', '"', 'é') })
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 5 }),
        fc.array(fc.string()),
        (secrets, words) => {
          const text = words.flatMap((word, n) => [word, secrets[n % secrets.length] ?? '']).join('')
          const shown = redactor(...secrets).redactText(text)
          for (const one of secrets) expect(shown.replaceAll(MASK, '\n')).not.toContain(one)
        },
      ),
    )
  })

  test('are found quickly among thousands', () => {
    const secrets = Array.from({ length: 5000 }, (_, n) => `secret-value-number-${n}-${n * 7919}`)
    const many = redactor(...secrets)
    const text = `${'an ordinary sentence about nothing. '.repeat(3000)}${secrets[4321]}`
    expect(many.redactText(text).endsWith(MASK)).toBe(true)
    expect(quickestOfThree(() => many.redactText(text))).toBeLessThan(500)
  })
})

describe('text', () => {
  test.each([
    ['GET https://h/x?api_key=abc123&page=2 failed', `GET https://h/x?api_key=${MASK}&page=2 failed`],
    ['https://h/?q=1&Access-Token=abc#top', `https://h/?q=1&Access-Token=${MASK}#top`],
    ['{"user":"me","Password": "a b\\nc"}', `{"user":"me","Password": "${MASK}"}`],
    ['body: "{\\"client_secret\\":\\"abc\\"}"', `body: "{\\"client_secret\\":\\"${MASK}\\"}"`],
    ['{"password":"a\\"b","x":"y"}', `{"password":"${MASK}","x":"y"}`],
    ['"{\\"password\\":\\"a\\\\\\"b\\",\\"x\\":1}"', `"{\\"password\\":\\"${MASK}\\",\\"x\\":1}"`],
    ['sent Authorization: Bearer abcdef.ghi-jkl', `sent Authorization: Bearer ${MASK}`],
    ['postgres://me:hunter2@db:5432/x is away', `postgres://me:${MASK}@db:5432/x is away`],
  ])('hides what a name gives away: %s', (text, shown) => {
    expect(redactor().redactText(text)).toBe(shown)
  })

  test.each([
    'Unexpected token < in JSON',
    'the password is wrong',
    'a basic mistake.',
    'bearer of news',
    'http://host:80/@scope/x',
  ])('that only speaks of secrets stays: %s', (text) => {
    expect(redactor().redactText(text)).toBe(text)
  })

  test('of hostile shape takes no longer than its length', () => {
    for (const piece of ['"token', '?token', 'token', '\\', '\\"token\\":\\"', '//a:', '//', 'basic ', 'a']) {
      const text = `?"//:${piece.repeat(100_000)}`
      const hide = () => void redactor('some-secret').redactText(text)
      expect(quickestOfThree(hide), piece).toBeLessThan(1_000)
    }
  })
})

describe('the start of a text', () => {
  test('ends before a secret that was cut', () => {
    const secret = 'canary-0123456789-abcdefghijkl'
    for (let offset = 60; offset < 140; offset += 1) {
      const text = 'x'.repeat(offset) + secret.repeat(40)
      const start = redactor(secret).redactStart(text, 100)
      expect(start.replaceAll(MASK, '')).not.toContain('can')
      expect(start.length).toBeLessThanOrEqual(100)
    }
    expect(redactor(secret).redactStart('short', 100)).toBe('short')
  })
})

describe('arguments', () => {
  test('keep their shape; values under telling names are hidden, however deep', () => {
    expect(
      kept({
        path: '/tmp',
        limit: 3,
        headers: { Authorization: 'Bearer x', 'X-Api-Key': ['a', 'b'], Accept: '*/*' },
        login: [{ user: 'me', userPassword: 12345678 }],
        url: 'https://h/?token=abc',
      }),
    ).toEqual({
      path: '/tmp',
      limit: 3,
      headers: { Authorization: MASK, 'X-Api-Key': MASK, Accept: '*/*' },
      login: [{ user: 'me', userPassword: MASK }],
      url: `https://h/?token=${MASK}`,
    })
  })

  test('keep counts of tokens, and switches', () => {
    const harmless = { max_tokens: 500, progressToken: 7, author: 'me', useCookies: true, keyboard: 'x' }
    expect(kept(harmless)).toEqual(harmless)
  })

  test('lose known secrets in values, names and numbers', () => {
    expect(kept({ text: 'is it s3cr3t-1?', 's3cr3t-1': 1, n: 1234567 }, 's3cr3t-1', '1234567')).toEqual({
      text: `is it ${MASK}?`,
      [MASK]: 1,
      n: MASK,
    })
  })

  test('may come as JSON text', () => {
    expect(kept('{"password":"x","a":1}')).toEqual({ password: MASK, a: 1 })
    expect(kept('not JSON ?token=x')).toBe(`not JSON ?token=${MASK}`)
  })

  test('that are too long are cut, stay JSON and say so', () => {
    const text = redactor().redactArguments({ text: 'é"\n'.repeat(10_000) }, 500)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(500)
    const cut = JSON.parse(text) as { cut: boolean; start: string }
    expect(cut.cut).toBe(true)
    expect(cut.start).toMatch(/^\{"text":"é/)
    expect(Buffer.byteLength(text)).toBeGreaterThan(400)
  })

  test('never hold a piece of a secret at the place where they are cut', () => {
    const secret = 'canary-0123456789-abcdefghijkl'
    for (let offset = 420; offset < 520; offset += 1) {
      const text = redactor(secret).redactArguments({ a: 'x'.repeat(offset) + secret.repeat(3) }, 500)
      expect(text).not.toContain('canary')
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(500)
    }
  })

  test('that are cut say so even when they are short after their secrets were hidden', () => {
    const secret = 'canary-0123456789-abcdefghijkl'
    for (let offset = 0; offset < 40; offset += 1) {
      const text = redactor(secret).redactArguments({ a: 'x'.repeat(offset) + secret.repeat(100) }, 500)
      expect(text).not.toContain('canary')
      expect(JSON.parse(text)).toMatchObject({ cut: true })
    }
  })

  test.each([
    ['a long list', Array.from({ length: 200_000 }, (_, n) => n)],
    ['a long text', { a: 'x'.repeat(4_000_000) }],
    ['many members', Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`k${n}`, n]))],
  ])('that are huge are cut: %s', (_what, value) => {
    const text = redactor('some-secret').redactArguments(value, 8192)
    expect(JSON.parse(text)).toMatchObject({ cut: true })
  })

  test('that are nested without end do no harm', () => {
    const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect(redactor().redactArguments(deep, 8192)).toContain('[too deep]')
  })

  test('cannot reach a prototype', () => {
    const text = redactor().redactArguments(JSON.parse('{"__proto__":{"polluted":"yes"}}'), 8192)
    expect(text).toBe('{"__proto__":{"polluted":"yes"}}')
  })

  test.each([undefined, null, 0, true, ''])('can be %s', (value) => {
    expect(() => JSON.parse(redactor().redactArguments(value, 8192))).not.toThrow()
  })
})

describe('a line of a log', () => {
  test('without a secret passes as it came', () => {
    const line = '{"level":"info","n":1.0,"msg":"?token=x"}\n'
    expect(redactor('a-secret').redactLine(line)).toBe(line)
  })

  test('stays JSON, even where a secret looks like a number', () => {
    const line = `${JSON.stringify({ msg: 'key "q\\uote" and 1234567', port: 1234567 })}\n`
    const shown = redactor('1234567', '"q\\uote"').redactLine(line)
    expect(JSON.parse(shown)).toEqual({ msg: `key ${MASK} and ${MASK}`, port: MASK })
    expect(shown.endsWith('\n')).toBe(true)
  })

  test('that is not JSON loses its secrets all the same', () => {
    expect(redactor('a-secret').redactLine('plain a-secret')).toBe(`plain ${MASK}`)
  })
})
