import { hashSync } from 'bcryptjs'
import { describe, expect, test } from 'vitest'
import { systemRandom } from '../kernel/random.ts'
import { Passwords } from './passwords.ts'
import { costOfBcrypt, isUsableHash, parsePhc, toPhc } from './phc.ts'

const passwords = new Passwords(systemRandom)

describe('a password', () => {
  test('is kept as an argon2id hash that says how it was made, another one each time', async () => {
    const [one, two] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(two).not.toBe(one)
  })

  test('matches its hash, and no other does', async () => {
    const hash = await passwords.hash('pässwörd 🐎')
    expect(await passwords.verify('pässwörd 🐎', hash)).toEqual({ matches: true, outdated: false })
    for (const wrong of ['pässwörd', '', 'PÄSSWÖRD 🐎', 'pässwörd 🐎 '])
      expect(await passwords.verify(wrong, hash)).toEqual({ matches: false, outdated: false })
  })

  test('of an imported user matches its bcrypt hash, which is to be replaced', async () => {
    const hash = hashSync('imported secret', 4)
    expect(await passwords.verify('imported secret', hash)).toEqual({ matches: true, outdated: true })
    expect((await passwords.verify('imported secres', hash)).matches).toBe(false)
  })

  test('is checked against what other programs have written (test vector of the argon2 reference, with p=1)', async () => {
    // phc-winner-argon2, test.c: argon2id, t=2, m=2^16, p=1, "password", "somesalt".
    const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    expect(await passwords.verify('password', hash)).toEqual({ matches: true, outdated: false })
  })

  test('with a cheaper hash than ours matches, and the hash is to be replaced', async () => {
    // From the same test, with m=2^8.
    const hash = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'
    expect(await passwords.verify('password', hash)).toEqual({ matches: true, outdated: true })
  })

  test.each([undefined, '', 'plain', '$2b$31$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.'])(
    'never matches the hash %j, which costs as much time as a real one',
    async (hash) => {
      const took = async (work: () => Promise<unknown>) => {
        const before = performance.now()
        await work()
        return performance.now() - before
      }
      const real = await passwords.hash('something else')
      let expected = Number.POSITIVE_INFINITY
      for (let run = 0; run < 5; run += 1)
        expected = Math.min(expected, await took(() => passwords.verify('x', real)))
      expect(await passwords.verify('', hash)).toEqual({ matches: false, outdated: false })
      expect(await took(() => passwords.verify('x', hash))).toBeGreaterThan(expected / 4)
    },
  )

  test('that is longer than any may be matches nothing', async () => {
    expect((await passwords.verify('x'.repeat(1_000_000), await passwords.hash('x'))).matches).toBe(false)
  })

  test('is not hashed for more people at once than can be served: the others are asked to wait', async () => {
    const busy = new Passwords(systemRandom)
    const outcomes = await Promise.allSettled(Array.from({ length: 70 }, () => busy.verify('x', undefined)))
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(refusals).toHaveLength(4)
    for (const refusal of refusals)
      expect(refusal).toMatchObject({ code: 'access.rate-limited', retryAfter: expect.any(Number) })
    expect((await busy.verify('x', undefined)).matches).toBe(false)
  })
})

describe('a hash', () => {
  test('is read as it was written', () => {
    const hash = {
      memory: 19_456,
      passes: 2,
      parallelism: 1,
      salt: Buffer.alloc(16, 7),
      tag: Buffer.alloc(32, 9),
    }
    expect(parsePhc(toPhc(hash))).toEqual(hash)
  })

  test.each([
    '$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=2,p=200$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=1,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=2,p=1$c29t$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh',
    '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$2b$15$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.',
    '$2b$03$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.',
    '$2b$10$short',
    'password',
  ])('%s is none that we would compute', (text) => {
    expect(isUsableHash(text)).toBe(false)
  })

  test.each([
    ['$2a$', 10],
    ['$2b$', 10],
    ['$2y$', 10],
  ])('of bcrypt may begin with %s', (prefix, cost) => {
    expect(costOfBcrypt(`${prefix}10$Vt7krIvjNgyN67LXqly0uOcTpN0LI55cYRbcKC71pUDAP0nJ7RPa.`)).toBe(cost)
  })
})
