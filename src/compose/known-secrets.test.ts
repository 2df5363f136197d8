import { expect, test } from 'vitest'
import { MASK, Redactor } from '../observability/redaction.ts'
import { KnownSecrets } from './known-secrets.ts'

test('a secret stays known after it has left the settings, the newest ten thousand of them', () => {
  const redactor = new Redactor()
  const known = new KnownSecrets(redactor, ['secret-of-the-hub'])
  known.add(['first-secret', 'kept-secret'])
  known.add(['second-secret'])
  expect(redactor.hideKnown('first-secret second-secret')).toBe(`${MASK} ${MASK}`)
  known.add(Array.from({ length: 9_998 }, (_, n) => `other-secret-${n}`).concat('kept-secret'))
  expect(redactor.hideKnown('first-secret kept-secret secret-of-the-hub')).toBe(
    `first-secret ${MASK} ${MASK}`,
  )
})
