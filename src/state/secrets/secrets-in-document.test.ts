import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSealed, SecretBox } from './secret-box.ts'
import { isReference, MASK } from './secret-places.ts'
import {
  type Document,
  knownSecrets,
  maskSecrets,
  openReadable,
  openSecrets,
  resealSecrets,
  restoreMasked,
  sealSecrets,
} from './secrets-in-document.ts'

const box = new SecretBox('a secret of the tests')
const copy = <T>(value: T): T => structuredClone(value)

/** One secret, which begins with "canary", at every place that may hold one. */
const EVERYWHERE = {
  mcpServers: {
    'a.b': {
      command: 'x',
      args: ['--url', 'postgres://user:canary@p/ss@host/db?sslmode=on'],
      url: 'https://h/mcp?api_key=canary-query&page=2',
      env: { KEY: 'canary-env', REF: '${FROM_ENV}', BARE: '$FROM_ENV', EMPTY: '', PORT: 8080, ON: true },
      headers: {
        Authorization: 'Bearer canary-header',
        'X-Ref': 'Bearer ${TOKEN}',
        'X-Bare': 'Bearer $TOKEN',
      },
      proxy: { host: 'p', password: 'canary-proxy' },
      oauth: {
        clientId: 'public',
        clientSecret: 'canary-oauth',
        accessToken: 'canary-access',
        refreshToken: 'canary-refresh',
        dynamicRegistration: { initialAccessToken: 'canary-initial' },
        pendingAuthorization: { codeVerifier: 'canary-verifier' },
      },
      openapi: { security: { type: 'apiKey', apiKey: { name: 'k', value: 'canary-openapi' } } },
    },
  },
  bearerKeys: [{ id: '1', name: 'one', token: 'canary-key' }],
  users: [{ username: 'admin', password: '$2b$10$canary-hash' }],
  oauthClients: [{ clientId: 'c', clientSecret: 'canary-client' }],
  oauthTokens: [{ accessToken: 'canary-token', refreshToken: 'canary-token-2' }],
  systemConfig: {
    routing: { bearerAuthKey: 'canary-legacy' },
    smartRouting: { llmProviderApiKey: 'canary-llm', dbUrl: 'postgres://u:canary@h/d' },
    mcpRouter: { apiKey: 'canary-router' },
    cluster: { security: { token: 'canary-cluster', oldTokens: ['canary-cluster-2'] } },
  },
  cluster: { security: { token: 'canary-cluster-3', oldTokens: 'canary-cluster-4,canary-cluster-5' } },
}

const secret = fc.oneof(
  fc.constantFrom('', 'plain', '${REF}', '$REF', 'Bearer $REF', 'pa$WORD', '$2b$10$x', MASK.slice(1)),
  fc.string({ maxLength: 20 }),
)
/** Documents in which secrets stand beside other things. */
const document: fc.Arbitrary<Document> = fc.record({
  mcpServers: fc.dictionary(
    fc.constantFrom('a', 'b', 'constructor'),
    fc.record({
      env: fc.dictionary(fc.constantFrom('K', 'L'), secret),
      url: fc.webUrl({ withQueryParameters: true }),
    }),
    { noNullPrototype: true },
  ),
  bearerKeys: fc.uniqueArray(fc.record({ id: fc.constantFrom('1', '2', '3', '4'), token: secret }), {
    selector: ({ id }) => id,
  }),
  other: fc.jsonValue(),
})

describe('sealing', () => {
  test('leaves no secret open, except in the URLs of places that hold no secret', () => {
    const text = JSON.stringify(sealSecrets(EVERYWHERE, box))
    expect(text.match(/canary[\w-]*/g)).toEqual(['canary', 'canary-query'])
  })

  test('and opening again gives the same document', () => {
    fc.assert(
      fc.property(document, (open) => {
        expect(openSecrets(sealSecrets(open, box), box)).toEqual(open)
      }),
    )
  })

  test('leaves references, empty values, numbers and switches as they are', () => {
    const { env, headers } = (sealSecrets(EVERYWHERE, box) as typeof EVERYWHERE).mcpServers['a.b']
    expect(env).toMatchObject({ REF: '${FROM_ENV}', BARE: '$FROM_ENV', EMPTY: '', PORT: 8080, ON: true })
    expect(headers).toMatchObject({ 'X-Ref': 'Bearer ${TOKEN}', 'X-Bare': 'Bearer $TOKEN' })
  })

  test('what is sealed changes nothing', () => {
    fc.assert(
      fc.property(document, (open) => {
        const sealed = sealSecrets(open, box)
        expect(sealSecrets(copy(sealed), box)).toEqual(sealed)
      }),
    )
  })

  test('keeps the sealed text of what did not change, also when items have moved', () => {
    fc.assert(
      fc.property(document, (open) => {
        const previous = sealSecrets(open, box)
        expect(JSON.stringify(sealSecrets(open, box, { previous }))).toBe(JSON.stringify(previous))
        const turned = { ...open, bearerKeys: (open['bearerKeys'] as unknown[]).toReversed() }
        const again = sealSecrets(turned, box, { previous })
        expect((again['bearerKeys'] as unknown[]).toReversed()).toEqual(previous['bearerKeys'])
      }),
    )
  })

  test('may leave open what its owner wrote so, and nothing else', () => {
    const previous = { bearerKeys: [{ id: '1', token: 'by-hand' }] }
    const next = {
      bearerKeys: [
        { id: '2', token: 'new-one' },
        { id: '1', token: 'by-hand' },
      ],
    }
    const { bearerKeys } = sealSecrets(next, box, { previous, keepOpen: true }) as typeof next
    expect(isSealed(bearerKeys[0]?.token)).toBe(true)
    expect(bearerKeys[1]?.token).toBe('by-hand')
  })
})

describe('a reference', () => {
  test('is told from a password with a dollar sign', () => {
    expect(['${A}', 'x${A}y', '$A', 'Bearer $A'].map((text) => isReference(text))).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(['a$A', '$a', '$2b$10$abc', '${', 'US$'].map((text) => isReference(text))).toEqual(
      Array(5).fill(false),
    )
    expect(isReference('http://$HOST/x', { HOST: 'h' })).toBe(true)
  })
})

describe('opening', () => {
  test('names the place of a secret that cannot be opened', () => {
    const sealed = sealSecrets({ mcpServers: { a: { env: { K: 'canary' } } } }, new SecretBox('another'))
    expect(() => openSecrets(sealed, box)).toThrow(
      expect.objectContaining({
        code: 'secret.unreadable',
        message: expect.stringMatching(/^mcpServers\.a\.env\.K: /),
      }),
    )
    expect(openReadable(sealed, box)).toEqual(sealed)
  })

  test('leaves sealed text alone that was put where people can see it', () => {
    const moved = { mcpServers: { a: { description: box.seal('canary') } } }
    expect(openSecrets(moved, box)).toEqual(moved)
    expect(JSON.stringify(maskSecrets(moved))).toContain(MASK)
  })
})

describe('masking', () => {
  test('leaves no secret, sealed or open', () => {
    const masked = maskSecrets(EVERYWHERE) as typeof EVERYWHERE
    expect(JSON.stringify(masked)).not.toContain('canary')
    expect(JSON.stringify(maskSecrets(sealSecrets(EVERYWHERE, box)))).not.toMatch(/canary|enc:v1/)
    expect(masked.mcpServers['a.b']).toMatchObject({
      env: { KEY: MASK, REF: '${FROM_ENV}', EMPTY: '', PORT: MASK, ON: true },
      url: `https://h/mcp?api_key=${MASK}&page=2`,
    })
  })

  test('is undone by restoring, whatever the document is', () => {
    fc.assert(
      fc.property(document, (stored) => {
        expect(restoreMasked(maskSecrets(stored), stored)).toEqual(stored)
      }),
    )
    expect(restoreMasked(maskSecrets(EVERYWHERE), EVERYWHERE)).toEqual(EVERYWHERE)
  })

  test('gives each key its own token back, in whatever order they come', () => {
    const stored = {
      bearerKeys: [
        { id: '1', token: 'one' },
        { id: '2', token: 'two' },
        { id: '3', token: 'three' },
      ],
    }
    const edited = {
      bearerKeys: [
        { id: '3', token: MASK },
        { id: '9', token: 'new' },
        { id: '1', token: MASK },
      ],
    }
    expect(restoreMasked(edited, stored)).toEqual({
      bearerKeys: [
        { id: '3', token: 'three' },
        { id: '9', token: 'new' },
        { id: '1', token: 'one' },
      ],
    })
  })

  test.each([
    ['at a place that is new', { mcpServers: { b: { env: { K: MASK } } } }, 'mcpServers.b.env.K'],
    ['in the place of a reference', { mcpServers: { a: { env: { R: MASK } } } }, 'mcpServers.a.env.R'],
    ['in a URL that is new', { mcpServers: { a: { url: `http://u:${MASK}@evil/` } } }, 'mcpServers.a.url'],
  ])('a mask %s stands for nothing: the error names the place', (_what, edited, place) => {
    const stored = { mcpServers: { a: { url: 'http://u:secret@good/', env: { K: 'k', R: '${R}' } } } }
    expect(() => restoreMasked(edited, stored)).toThrow(
      expect.objectContaining({ code: 'settings.invalid', message: expect.stringContaining(`${place}: `) }),
    )
  })

  test('leaves stars alone that are no mask', () => {
    const edited = { mcpServers: { a: { description: MASK, args: [`see http://h/${MASK}`] } } }
    expect(restoreMasked(edited, {})).toEqual(edited)
  })
})

test('the known secrets are all that a log must not show, without the short ones', () => {
  const known = knownSecrets(EVERYWHERE)
  expect(known).toContain('canary-header')
  expect(known).toContain('Bearer canary-header')
  expect(known).toContain('canary-query')
  expect([...known].filter((each) => each.length < 6 || each.includes('${'))).toEqual([])
  for (const found of JSON.stringify(EVERYWHERE).match(/canary-[\w-]+/g) ?? [])
    expect([...known].some((each) => each.includes(found))).toBe(true)
})

test('sealing anew brings every secret under the present key and changes none', () => {
  const later = new SecretBox('a newer one', ['a secret of the tests'])
  const resealed = resealSecrets(sealSecrets(EVERYWHERE, box), later)
  expect(openSecrets(resealed, new SecretBox('a newer one'))).toEqual(EVERYWHERE)
})

test('what somebody has put into the place of a secret by mistake is hidden whole', () => {
  const document = { mcpServers: { a: { env: { SECRET: { value: 'abc', more: ['def'] } } } } }
  expect(JSON.stringify(maskSecrets(document))).not.toMatch(/abc|def/)
  expect(JSON.stringify(sealSecrets(document, new SecretBox('a secret of the operator')))).not.toMatch(
    /abc"|"def/,
  )
})
