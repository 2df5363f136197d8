import { describe, expect, test } from 'vitest'
import { NodeGate } from './node-gate.ts'

const REMOTE = '10.0.0.7'
const WRONG = expect.objectContaining({ code: 'access.unauthenticated', cure: expect.any(String) })

describe('[R131] a cluster with a token', () => {
  const gate = new NodeGate('s3cret')

  test('lets in who shows it, in either header, from anywhere', () => {
    expect(gate.admits({ headers: { 'x-cluster-token': 's3cret' }, ip: REMOTE })).toBe(true)
    expect(gate.admits({ headers: { authorization: 'Bearer s3cret' }, ip: REMOTE })).toBe(true)
    expect(gate.admits({ headers: { authorization: 'bearer  s3cret' }, ip: REMOTE })).toBe(true)
  })

  test('lets in nobody without it, not even from this machine', () => {
    expect(gate.admits({ headers: {}, ip: '127.0.0.1' })).toBe(false)
    expect(gate.admits({ headers: { authorization: 'Bearer other' }, ip: '127.0.0.1' })).toBe(false)
    expect(gate.admits({ headers: { authorization: 'Basic s3cret' }, ip: '127.0.0.1' })).toBe(false)
  })

  test.each(['', 's3cre', 's3cret ', 's3crets', 'S3CRET'])('says that %j is wrong', (token) => {
    expect(() => gate.admits({ headers: { 'x-cluster-token': token }, ip: '127.0.0.1' })).toThrow(WRONG)
  })

  test('lets in no page of a browser, with the token or without', () => {
    const headers = { 'x-cluster-token': 's3cret' }
    expect(gate.admits({ headers: { ...headers, origin: 'http://localhost:3000' }, ip: REMOTE })).toBe(false)
    expect(gate.admits({ headers: { ...headers, 'sec-fetch-site': 'same-origin' }, ip: REMOTE })).toBe(false)
  })
})

describe('a cluster without a token', () => {
  const gates = [new NodeGate(undefined), new NodeGate('')]

  test.each(['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])('lets in %s', (ip) => {
    for (const gate of gates) expect(gate.admits({ headers: {}, ip })).toBe(true)
  })

  test.each([REMOTE, '::ffff:10.0.0.7', '127.0.0.1.example', undefined])('does not let in %s', (ip) => {
    for (const gate of gates) expect(gate.admits({ headers: {}, ip })).toBe(false)
  })

  test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])(
    'does not take %s for this machine',
    (name) => {
      for (const gate of gates) expect(gate.admits({ headers: { [name]: 'x' }, ip: '127.0.0.1' })).toBe(false)
    },
  )
})
