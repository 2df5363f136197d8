import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSealed, SecretBox } from './secret-box.ts'

const box = new SecretBox('the first secret of the tests')

function unreadable(sealed: string, by = box): unknown {
  try {
    by.open(sealed)
  } catch (error) {
    return error
  }
  return undefined
}

describe('a sealed secret', () => {
  test('opens to what it was, whatever that is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        expect(box.open(box.seal(text))).toBe(text)
      }),
    )
  })

  test('says which key it needs, and nothing of what is in it', () => {
    const sealed = box.seal('canary')
    expect(sealed).toMatch(new RegExp(`^enc:v1:${box.keyId}:[A-Za-z0-9_-]+$`))
    expect(Buffer.from(sealed.split(':')[3] ?? '', 'base64url').toString('latin1')).not.toContain('canary')
    expect(isSealed(sealed)).toBe(true)
    expect(box.seal('canary')).not.toBe(sealed)
  })

  test('[R181] opens on every node that has the same secret', () => {
    expect(new SecretBox('the first secret of the tests').open(box.seal('x'))).toBe('x')
  })

  test('of another secret is unreadable, and the cure says what to do', () => {
    expect(unreadable(new SecretBox('another').seal('canary'))).toMatchObject({
      code: 'secret.unreadable',
      cure: expect.stringContaining('CRYPTO_SECRET_OLD'),
    })
  })

  test('of an old secret opens as long as that is known, and is told from those of the present one', () => {
    const sealed = box.seal('x')
    const later = new SecretBox('the second', ['something else', 'the first secret of the tests'])
    expect(later.open(sealed)).toBe('x')
    expect(later.isCurrent(sealed)).toBe(false)
    expect(later.isCurrent(later.seal('x'))).toBe(true)
  })

  test('that was changed anywhere is unreadable', () => {
    const sealed = box.seal('some secret')
    fc.assert(
      fc.property(fc.nat(sealed.length - 8), fc.constantFrom(...'abcXYZ019_-'), (at, letter) => {
        const place = 7 + at
        fc.pre(sealed[place] !== letter)
        const damaged = sealed.slice(0, place) + letter + sealed.slice(place + 1)
        // The last letter carries bits that mean nothing.
        fc.pre(
          !Buffer.from(damaged.slice(16), 'base64url').equals(Buffer.from(sealed.slice(16), 'base64url')),
        )
        expect(unreadable(damaged)).toMatchObject({ code: 'secret.unreadable' })
      }),
    )
  })

  test.each([
    'enc:v1:',
    'enc:v1:0000',
    'enc:v1:00000000:',
    'enc:v1:00000000:AAAA',
    'enc:v1:00000000:***',
    'plain',
  ])('%s is none', (text) => expect(unreadable(text)).toMatchObject({ code: 'secret.unreadable' }))
})
