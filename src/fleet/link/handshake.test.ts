import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodeFacts } from '../../domain/cluster.ts'
import { HubError } from '../../domain/errors.ts'
import { AcceptorHandshake, DialerHandshake, encodeRefusal } from './handshake.ts'

function facts(id: string, more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    id,
    name: `Node ${id}`,
    role: 'worker',
    version: '1.4.2',
    host: undefined,
    port: undefined,
    hostname: `${id}.example`,
    os: 'linux 6.1',
    labels: { zone: 'a' },
    weight: 1,
    maxServers: undefined,
    runtimes: ['npx'],
    ...more,
  }
}

interface Ends {
  readonly dialerToken?: string | undefined
  readonly tokens?: readonly string[]
  readonly dialer?: Partial<NodeFacts>
  readonly acceptor?: Partial<NodeFacts>
  readonly tokenless?: HubError
  readonly acceptorNonce?: string
}

function ends({ dialerToken, tokens = [], tokenless, ...more }: Ends) {
  const acceptor = new AcceptorHandshake({
    self: facts('c1', { role: 'coordinator', ...more.acceptor }),
    tokens,
    tokenless,
    nonce: more.acceptorNonce ?? 'a'.repeat(22),
  })
  const dialer = new DialerHandshake({
    self: facts('w1', more.dialer),
    token: dialerToken,
    tokenless,
    nonce: 'd'.repeat(22),
    instance: 'i'.repeat(22),
    attempt: 3,
  })
  return { acceptor, dialer }
}

function shake(given: Ends) {
  const { acceptor, dialer } = ends(given)
  const said: string[] = [dialer.hello()]
  said.push(acceptor.challenge(dialer.hello()))
  said.push(dialer.prove(said[1] ?? ''))
  const newcomer = acceptor.verify(said[2] ?? '')
  said.push(acceptor.welcome())
  return { newcomer, peer: dialer.confirm(said[3] ?? ''), said }
}

const token = 'a-token-that-nobody-else-has'

describe('two nodes with the same token', () => {
  test('learn who the other is', () => {
    const { newcomer, peer } = shake({ dialerToken: token, tokens: [token] })
    expect(newcomer).toEqual({ facts: facts('w1'), instance: 'i'.repeat(22), attempt: 3 })
    expect(peer).toEqual(facts('c1', { role: 'coordinator' }))
  })

  test('never say it', () => {
    const { said } = shake({ dialerToken: token, tokens: [token] })
    expect(said.join('')).not.toContain(token)
  })

  test('link also while the token is exchanged', () => {
    expect(shake({ dialerToken: 'old', tokens: ['new', 'old'] }).peer.id).toBe('c1')
    expect(shake({ dialerToken: 'new', tokens: ['new', 'old'] }).peer.id).toBe('c1')
  })
})

describe('refused, with what to do, is', () => {
  test.each<[string, Ends]>([
    ['a wrong token', { dialerToken: 'x', tokens: [token] }],
    ['a token that no longer counts', { dialerToken: 'old', tokens: ['new'] }],
    ['a node without a token, by a coordinator with one', { tokens: [token] }],
    ['a node with a token, by a coordinator without one', { dialerToken: token }],
  ])('%s', (_, given) => {
    expect(() => shake(given)).toThrow(
      expect.objectContaining({ code: 'link.refused', cure: expect.stringContaining('CLUSTER_TOKEN') }),
    )
  })

  test('a node without a token where one is needed', () => {
    const tokenless = new HubError('link.refused', 'Not here.')
    expect(() => shake({ tokenless })).toThrow(tokenless)
    expect(shake({}).peer.id).toBe('c1')
  })

  test('a version too far away, and the error names both', () => {
    const refused = expect.objectContaining({ code: 'link.version' })
    expect(() => shake({ dialer: { version: '1.2.0' } })).toThrow(refused)
    expect(() => shake({ dialer: { version: '1.2.0' } })).toThrow(/1\.4\.2.*1\.2\.0/)
    expect(() => shake({ dialer: { version: '2.4.0' } })).toThrow(refused)
    expect(shake({ dialer: { version: '1.3.9' } }).peer.version).toBe('1.4.2')
    expect(shake({ dialer: { version: '1.5.0-rc.1' } }).peer.version).toBe('1.4.2')
  })

  test('another protocol', () => {
    const { acceptor, dialer } = ends({})
    const newer = dialer.hello().replace('"protocol":1,"oldest":1', '"protocol":3,"oldest":2')
    expect(() => acceptor.challenge(newer)).toThrow(expect.objectContaining({ code: 'link.version' }))
  })

  test('a node with the id of the coordinator', () => {
    expect(() => shake({ dialer: { id: 'c1' } })).toThrow(expect.objectContaining({ code: 'node.duplicate' }))
  })
})

test('what was recorded of a handshake proves nothing in the next', () => {
  const { said } = shake({ dialerToken: token, tokens: [token] })
  const [hello = '', , proof = ''] = said
  const { acceptor } = ends({ tokens: [token], acceptorNonce: 'b'.repeat(22) })
  acceptor.challenge(hello)
  expect(() => acceptor.verify(proof)).toThrow(expect.objectContaining({ code: 'link.refused' }))
})

test('a proof cannot be sent back as the proof of the other side', () => {
  const { dialer, acceptor } = ends({ dialerToken: token, tokens: [token] })
  const proof = dialer.prove(acceptor.challenge(dialer.hello()))
  // An impostor that has no token answers with what it was sent, as a node of the id it has claimed.
  const mirrored = JSON.parse(proof)
  const echoed = JSON.stringify({ ...mirrored, facts: mirrored.facts.replace('"w1"', '"c1"') })
  expect(() => dialer.confirm(echoed)).toThrow(expect.objectContaining({ code: 'link.refused' }))
})

test('facts that were changed on the way are not believed', () => {
  const { acceptor, dialer } = ends({ dialerToken: token, tokens: [token] })
  const proof = dialer.prove(acceptor.challenge(dialer.hello()))
  expect(() => acceptor.verify(proof.replace('w1.example', 'w2.example'))).toThrow(
    expect.objectContaining({ code: 'link.refused' }),
  )
})

test('a refusal reaches the other side with its code and its cure', () => {
  const { dialer } = ends({ dialerToken: token })
  const word = encodeRefusal(new HubError('node.duplicate', 'Two are one.', { cure: 'Rename one.' }))
  expect(() => dialer.prove(word)).toThrow(
    expect.objectContaining({
      code: 'node.duplicate',
      cure: 'Rename one.',
      message: expect.stringContaining('Two are one.'),
    }),
  )
})

test('labels that do not fit are told to the operator', () => {
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`l${i}`, 'ü'.repeat(255)]))
  const { acceptor, dialer } = ends({
    dialer: { labels: { ...labels, ...labels } },
    dialerToken: token,
    tokens: [token],
  })
  expect(() => dialer.prove(acceptor.challenge(dialer.hello()))).toThrow(
    expect.objectContaining({ code: 'settings.invalid' }),
  )
})

describe('anything else that is said', () => {
  const violation = expect.objectContaining({ code: 'link.violation' })

  test('is a violation: text that is no JSON, too long, out of order', () => {
    const { acceptor, dialer } = ends({ dialerToken: token, tokens: [token] })
    expect(() => acceptor.challenge('hello')).toThrow(violation)
    expect(() => acceptor.challenge(JSON.stringify('x'.repeat(20_000)))).toThrow(violation)
    expect(() => acceptor.verify(dialer.hello())).toThrow(violation)
    expect(() => acceptor.welcome()).toThrow(violation)
    expect(() => dialer.confirm(dialer.hello())).toThrow(violation)
  })

  test('never does anything but a clear refusal', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        const { acceptor, dialer } = ends({ dialerToken: token, tokens: [token] })
        for (const say of [
          () => acceptor.challenge(text),
          () => acceptor.verify(text),
          () => dialer.prove(text),
          () => dialer.confirm(text),
        ])
          expect(say).toThrow(HubError)
      }),
      { numRuns: 500 },
    )
  })
})
