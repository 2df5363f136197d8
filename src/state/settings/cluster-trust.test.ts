import { describe, expect, test } from 'vitest'
import { type ClusterSettings, STANDALONE } from '../../domain/cluster-settings.ts'
import { HubError } from '../../domain/errors.ts'
import { requireTrust } from './cluster-trust.ts'

const COORDINATOR: ClusterSettings = { ...STANDALONE, role: 'coordinator' }
const WORKER: ClusterSettings = { ...STANDALONE, role: 'worker' }

function refused(work: () => unknown): HubError {
  try {
    work()
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('It was not refused.')
}

describe('a cluster without a token', () => {
  test.each(['127.0.0.1', '127.0.0.53', '::1', 'localhost'])(
    'is taken, with a warning, when its coordinator listens on %s',
    (host) => {
      expect(requireTrust({ settings: COORDINATOR, host })).toContain('Set CLUSTER_TOKEN')
    },
  )

  test.each([
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'hub.example.com',
    '127.0.0.1.example.com',
    'localhost.example.com',
  ])('is refused when its coordinator listens on %s', (host) => {
    const error = refused(() => requireTrust({ settings: COORDINATOR, host }))
    expect(error).toMatchObject({ code: 'settings.invalid', cure: expect.stringContaining('CLUSTER_TOKEN') })
    expect(error.message).toContain(host)
  })

  test('is taken by a worker that dials this machine only, whatever it listens on', () => {
    const coordinators = ['http://127.0.0.1:3000', 'http://[::1]:3000', 'http://LOCALHOST:1/x']
    expect(requireTrust({ settings: { ...WORKER, coordinators }, host: '0.0.0.0' })).toContain('no token')
  })

  test('is refused by a worker that dials any other machine', () => {
    const coordinators = ['http://127.0.0.1:3000', 'https://hub.example.com']
    const error = refused(() => requireTrust({ settings: WORKER, host: '127.0.0.1', coordinators }))
    expect(error.message).toContain('The coordinator at hub.example.com')
  })
})

test('with a token a cluster may be anywhere, and a node that is alone needs none', () => {
  const token = 'k3Zr9vQ2mW8xLp5T'
  expect(requireTrust({ settings: { ...COORDINATOR, token }, host: '0.0.0.0' })).toBeUndefined()
  const coordinators = ['http://hub.example.com']
  expect(requireTrust({ settings: { ...WORKER, token, coordinators }, host: '0.0.0.0' })).toBeUndefined()
  expect(requireTrust({ settings: STANDALONE, host: '0.0.0.0' })).toBeUndefined()
})

describe('a cluster whose nodes show each other certificates', () => {
  const files = { certFile: '/c.pem', keyFile: '/k.pem', caFile: '/ca.pem' }

  test('needs no token', () => {
    const tls = { ...files, mutual: true }
    expect(requireTrust({ settings: { ...COORDINATOR, tls }, host: '0.0.0.0' })).toBeUndefined()
    const coordinators = ['https://hub.example.com']
    expect(requireTrust({ settings: { ...WORKER, tls, coordinators }, host: '0.0.0.0' })).toBeUndefined()
  })

  test('needs one where only one side shows its own', () => {
    const tls = { ...files, mutual: false }
    refused(() => requireTrust({ settings: { ...COORDINATOR, tls }, host: '0.0.0.0' }))
    const open = {
      ...WORKER,
      tls: { ...tls, certFile: undefined },
      coordinators: ['https://hub.example.com'],
    }
    refused(() => requireTrust({ settings: open, host: '0.0.0.0' }))
    const mixed = { ...WORKER, tls, coordinators: ['https://a.example.com', 'http://b.example.com'] }
    refused(() => requireTrust({ settings: mixed, host: '0.0.0.0' }))
  })
})
