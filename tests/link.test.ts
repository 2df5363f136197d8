import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { HubError } from '../src/domain/errors.ts'
import { Dialer } from '../src/fleet/link/dialer.ts'
import { encodeFrames, FRAME, words } from '../src/fleet/link/frames.ts'
import { LINK_PATH } from '../src/fleet/link/socket-limits.ts'
import { sleep, systemClock } from '../src/kernel/clock.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { Authority } from './harness/certificates.ts'
import { FakeClock } from './harness/fake-clock.ts'
import { bareNode, dialLink, LINK_TOKEN, linkSite, nodeFacts, stranger } from './harness/links.ts'
import { recordingLogger } from './harness/recording-logger.ts'
import { seededRandom } from './harness/seeded-random.ts'
import { until } from './harness/wait.ts'

function closing(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.CLOSED) resolve()
    else socket.once('close', () => resolve())
  })
}

describe('a link', () => {
  test('carries packets both ways and knows who is there', async () => {
    await using site = await linkSite({ received: (packet, link) => link.send(1, packet) })
    const { link, packets } = await site.dial('w1')
    expect(link.peer.id).toBe('c1')
    expect(site.ends[0]?.link.peer).toEqual(nodeFacts('w1'))
    for (const length of [0, 1, 65_536, 65_537, 3_000_000]) link.send(1, Buffer.alloc(length, 7))
    await until('all came back', () => packets.length === 5)
    expect(packets.map(({ length }) => length)).toEqual([0, 1, 65_536, 65_537, 3_000_000])
    expect(packets.every((packet) => packet.every((byte) => byte === 7))).toBe(true)
  })

  test('tells the other side why it ends, after what was sent before', async () => {
    await using site = await linkSite()
    const { link } = await site.dial('w1')
    link.send(0, Buffer.from('a last word'))
    link.close(new HubError('hub.stopping', 'Bye.'))
    link.close(new HubError('internal', 'A second reason does not count.'))
    const [end] = site.ends
    const reason = await end?.link.closed
    expect(reason).toMatchObject({ code: 'hub.stopping', message: expect.stringContaining('Bye.') })
    expect(end?.packets.map(String)).toEqual(['a last word'])
    expect((await link.closed).message).toBe('Bye.')
    expect(site.acceptor.links).toEqual([])
  })

  test('ends when its handler throws, and others go on', async () => {
    await using site = await linkSite({
      received: (packet, link) => {
        if (packet.length === 1) throw new HubError('link.violation', 'Not this.')
        link.send(1, packet)
      },
    })
    const bad = await site.dial('w1')
    const good = await site.dial('w2')
    bad.link.send(1, Buffer.alloc(1))
    expect(await bad.link.closed).toMatchObject({ code: 'link.violation' })
    good.link.send(1, Buffer.alloc(2))
    await until('the other link lives', () => good.packets.length === 1)
  })

  test('lets small packets pass while 100 MB are on their way', async () => {
    await using site = await linkSite({
      received: (packet, link) => link.send(packet.length > 100 ? 9 : 1, packet),
    })
    const waits: number[] = []
    let sentAt = 0
    let big = 0
    const { link } = await site.dial('w1', {
      onLink: (made) => ({
        packet: (packet) => {
          if (packet.length > 100) big = packet.length
          else waits.push(performance.now() - sentAt)
          sentAt = performance.now()
          if (big === 0) made.send(1, Buffer.from('small'))
        },
      }),
    })
    const startedAt = performance.now()
    link.send(9, Buffer.alloc(100_000_000))
    sentAt = performance.now()
    link.send(1, Buffer.from('small'))
    await until('the big one came back', () => big === 100_000_000, 30_000)
    const tookMs = performance.now() - startedAt
    waits.sort((a, b) => a - b)
    expect(waits.length).toBeGreaterThan(50)
    // On a busy machine one may be late; that all wait behind the big one is what must not be.
    expect(waits[Math.floor(waits.length * 0.95)]).toBeLessThan(tookMs / 10)
  })
})

describe('refused is', () => {
  test('who has a wrong token, or none', async () => {
    await using site = await linkSite()
    for (const token of ['wrong', undefined])
      await expect(site.dial('w1', { token })).rejects.toMatchObject({ code: 'link.refused' })
    expect(site.lines.filter(({ message }) => message.startsWith('a link was refused'))).toHaveLength(2)
    expect(JSON.stringify(site.lines)).not.toContain(LINK_TOKEN)
    expect(site.ends).toEqual([])
  })

  test('nobody without a token on loopback, unless a proxy or a page may stand between', async () => {
    await using site = await linkSite({ tokens: () => [] })
    expect((await site.dial('w1', { token: undefined })).link.peer.id).toBe('c1')
    await expect(stranger(site.url, { Origin: 'https://evil.example' })).rejects.toThrow('403')
    for (const headers of [{ 'X-Forwarded-For': '10.0.0.1' }, { Host: 'rebound.example' }]) {
      const socket = await stranger(site.url, headers)
      const hello = { flotilla: '0.1.0', protocol: 1, oldest: 1, nonce: 'n'.repeat(22), id: 'w2' }
      socket.send(
        Buffer.from(JSON.stringify({ ...hello, instance: 'i'.repeat(22), attempt: 1, hasToken: false })),
      )
      const answer = await new Promise<string>((resolve) => {
        socket.once('message', (data) => resolve(String(data)))
      })
      expect(answer).toContain('link.refused')
      socket.terminate()
    }
  })

  test('another process with the id of a node that lives; one whose process is gone may come again', async () => {
    await using site = await linkSite()
    const first = await site.dial('w1')
    const self = nodeFacts('w1', { hostname: 'other.example' })
    await expect(site.dial('w1', { self })).rejects.toMatchObject({
      code: 'node.duplicate',
      message: expect.stringMatching(/w1\.example.*other\.example/),
    })
    expect(first.link.ended).toBeUndefined()
    first.link.close(new HubError('hub.stopping', 'Bye.'))
    await until('it is gone', () => site.acceptor.links.length === 0)
    expect((await site.dial('w1', { self })).link.ended).toBeUndefined()
  })

  test('an older link of a process: the newer one counts', async () => {
    await using site = await linkSite()
    const instance = 'i'.repeat(22)
    const first = await site.dial('w1', { instance, attempt: 1 })
    const second = await site.dial('w1', { instance, attempt: 2 })
    expect(await first.link.closed).toMatchObject({ code: 'link.replaced' })
    await expect(site.dial('w1', { instance, attempt: 1 })).rejects.toMatchObject({ code: 'link.replaced' })
    expect(second.link.ended).toBeUndefined()
    expect(site.acceptor.links).toHaveLength(1)
  })
})

describe('what comes from strangers', () => {
  test('of any kind ends their socket and nothing else', async () => {
    await using site = await linkSite({ received: (packet, link) => link.send(1, packet) })
    const { link, packets } = await site.dial('w1')
    const random = seededRandom(4)
    for (let round = 0; round < 400; round += 1) {
      const socket = await stranger(site.url)
      const closed = closing(socket)
      const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 300) + 1 }, () => random() * 256))
      if (round % 3 === 0) socket.send(bytes.toString('latin1'))
      else if (round % 3 === 1) socket.send(bytes)
      else
        socket.send(Buffer.from(JSON.stringify({ flotilla: '0.1.0', protocol: random(), id: String(bytes) })))
      await closed
    }
    expect(site.acceptor.strangers).toBe(0)
    link.send(1, Buffer.from('still here'))
    await until('the link lives', () => packets.length === 1)
    // Anybody can do that: the log says it a few times, and not each time.
    expect(site.lines.filter(({ level }) => level === 'warn').length).toBeLessThan(20)
  })

  test('as raw bytes instead of WebSocket frames ends their socket and nothing else', async () => {
    await using site = await linkSite()
    const random = seededRandom(5)
    for (let round = 0; round < 200; round += 1) {
      const socket = connect(site.port, '127.0.0.1')
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.on('error', () => undefined)
      socket.resume()
      socket.write(
        `GET ${LINK_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      )
      socket.end(Buffer.from(Array.from({ length: 200 }, () => random() * 256)))
      await ended
    }
    await until('all are gone', () => site.acceptor.strangers === 0)
    expect((await site.dial('w1')).link.ended).toBeUndefined()
  })

  test('that say nothing are let go when others come, and honest nodes get in', async () => {
    await using site = await linkSite()
    const silent = await Promise.all(Array.from({ length: 100 }, () => stranger(site.url)))
    expect(site.acceptor.strangers).toBeLessThanOrEqual(64)
    expect((await site.dial('w1')).link.ended).toBeUndefined()
    for (const socket of silent) socket.terminate()
    await until('all are gone', () => site.acceptor.strangers === 0)
  })
})

test('a node that breaks the rules after its greeting loses its link, and others go on', async () => {
  await using site = await linkSite()
  const good = await site.dial('good')
  const random = seededRandom(6)
  const bad: Buffer[] = [
    encodeFrames([{ type: FRAME.begin, number: 1, payload: words(1, 4_000_000_000) }]),
    encodeFrames([{ type: FRAME.part, number: 1, payload: Buffer.alloc(10) }]),
    encodeFrames([{ type: FRAME.credit, number: 1, payload: words(10) }]),
    Buffer.alloc(300_000),
    ...Array.from({ length: 100 }, () => Buffer.from(Array.from({ length: 60 }, () => 128 + random() * 127))),
  ]
  for (const [index, message] of bad.entries()) {
    const socket = await bareNode(site.url, `bad-${index}`)
    const closed = closing(socket)
    const reason = site.ends.at(-1)?.link.closed
    socket.send(message)
    await closed
    expect(await reason).toMatchObject({ code: 'link.violation' })
  }
  await until('they are gone', () => site.acceptor.links.length === 1)
  expect(good.link.ended).toBeUndefined()
})

describe('a node that has fallen silent', () => {
  test('loses its link, and one that answers does not', async () => {
    const clock = new FakeClock()
    await using site = await linkSite({ clock })
    const alive = await site.dial('alive')
    const silent = await bareNode(site.url, 'silent')
    const [, end] = site.ends
    for (let look = 0; look < 4; look += 1) {
      const answered = alive.packets.length
      await clock.advance(5_000)
      site.ends[0]?.link.send(1, Buffer.from('x'))
      await until('the other is there', () => alive.packets.length > answered)
      alive.link.send(1, Buffer.from('x'))
      await until('it has answered', () => site.ends[0]?.packets.length === look + 1)
    }
    expect(end?.link.ended).toMatchObject({
      code: 'link.lost',
      message: expect.stringContaining('nothing has come'),
    })
    expect(alive.link.ended).toBeUndefined()
    silent.terminate()
  })

  test('gives its id to another process that has it', async () => {
    const clock = new FakeClock()
    await using site = await linkSite({ clock })
    const silent = await bareNode(site.url, 'w1')
    const pending = site.dial('w1')
    // The old one is asked whether it lives.
    await new Promise((resolve) => silent.once('message', resolve))
    await clock.advance(2_000)
    const { link } = await pending
    expect(link.ended).toBeUndefined()
    expect(site.ends[0]?.link.ended).toMatchObject({ code: 'link.replaced' })
  })

  test('in its greeting is let go after ten seconds', async () => {
    const clock = new FakeClock()
    await using site = await linkSite({ clock })
    const socket = await stranger(site.url)
    await until('it is being greeted', () => site.acceptor.strangers === 1)
    await clock.advance(9_999)
    expect(site.acceptor.strangers).toBe(1)
    await clock.advance(1)
    await closing(socket)
    expect(site.acceptor.strangers).toBe(0)
  })
})

describe('over TLS', () => {
  let ca: string
  let cert: string
  let key: string
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flotilla-tls-'))
    const authority = await Authority.make(folder, 'authority')
    const signed = await authority.sign('node')
    const read = (path: string) => readFile(path, 'utf8')
    ;[ca, cert, key] = await Promise.all([read(authority.ca), read(signed.cert), read(signed.key)])
    await rm(folder, { recursive: true })
  })

  test('a coordinator must show a certificate that the node trusts', async () => {
    await using site = await linkSite({ server: createTlsServer({ cert, key }) })
    const url = site.url.replace('http', 'https')
    expect((await dialLink(url, 'w1', { tls: { ca } })).link.ended).toBeUndefined()
    await expect(dialLink(url, 'w2')).rejects.toMatchObject({
      cure: expect.stringContaining('CLUSTER_TLS_CA'),
    })
    await expect(dialLink(site.url, 'w3')).rejects.toMatchObject({
      cure: expect.stringContaining('https://'),
    })
  })

  test('a node must show one where the coordinator wants it', async () => {
    const server = createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false })
    await using site = await linkSite({ server, clientCertificates: true, tokens: () => [] })
    const url = site.url.replace('http', 'https')
    const open = await dialLink(url, 'w1', { tls: { ca, cert, key }, token: undefined })
    expect(open.link.peer.id).toBe('c1')
    await expect(dialLink(url, 'w2', { tls: { ca }, token: undefined })).rejects.toMatchObject({
      code: 'link.refused',
    })
  })
})

describe('a coordinator that cannot be reached', () => {
  test('is said to be, with what to do', async () => {
    const web = createServer((_, response) => response.writeHead(404).end())
    web.on('upgrade', (_, socket) => socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n'))
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    const other = createTcpServer((socket) => socket.end('SSH-2.0-nothing\r\n'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const portOf = (server: { address(): unknown }) => (server.address() as { port: number }).port
    const [webPort, otherPort] = [portOf(web), portOf(other)]
    const failure = (url: string) =>
      dialLink(url, 'w1').then(
        () => undefined,
        (error: HubError) => error,
      )
    expect((await failure(`http://127.0.0.1:${webPort}`))?.message).toContain('no coordinator')
    expect((await failure(`http://127.0.0.1:${otherPort}`))?.message).toContain('does not speak HTTP')
    expect((await failure(`https://127.0.0.1:${webPort}`))?.cure).toContain('http://')
    web.close()
    other.close()
    await until('the port is free', () => !web.listening && !other.listening)
    const refused = await failure(`http://user:secret@127.0.0.1:${webPort}/prefix/`)
    expect(refused?.message).toContain('nothing listens there')
    expect(`${refused?.message} ${refused?.cure}`).not.toContain('secret')
    expect(await failure('ftp://x')).toMatchObject({ code: 'settings.invalid' })
  })

  test('is dialed again until it is there, and again when the link is lost', async () => {
    await using site = await linkSite()
    const { logger, lines } = recordingLogger()
    let token = 'wrong'
    const dialer = new Dialer({
      token: () => token,
      self: () => nodeFacts('w1'),
      clock: systemClock,
      random: systemRandom,
      log: logger,
      backoff: { initialMs: 10, maxMs: 20, factor: 2, healthyAfterMs: 10_000 },
    })
    let ups = 0
    const downs: string[] = []
    dialer.keep(site.url, {
      onLink: () => ({ packet: () => undefined }),
      onUp: () => {
        ups += 1
      },
      onDown: ({ code }) => downs.push(code),
    })
    await until('it was refused a few times', () => downs.length > 3)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    token = LINK_TOKEN
    await until('it is linked', () => ups === 1)
    expect(dialer.states.get(site.url)?.kind).toBe('linked')
    site.ends[0]?.link.close(new HubError('link.lost', 'Try again.'))
    await until('it is linked again', () => ups === 2)
    await dialer.close()
    await until('it is gone', () => site.acceptor.links.length === 0)
    expect(ups).toBe(2)
  })

  test('is dialed under two names without end of either link', async () => {
    await using site = await linkSite()
    const dialer = new Dialer({
      token: () => LINK_TOKEN,
      self: () => nodeFacts('w1'),
      clock: systemClock,
      random: systemRandom,
      log: recordingLogger().logger,
      backoff: { initialMs: 10, maxMs: 20, factor: 2, healthyAfterMs: 10_000 },
    })
    let ups = 0
    const user = {
      onLink: () => ({ packet: () => undefined }),
      onUp: () => {
        ups += 1
      },
    }
    dialer.keep(site.url, user)
    dialer.keep(`${site.url}/`, user)
    await until('both were tried', () => ups >= 2)
    await sleep(systemClock, 300)
    const before = ups
    await sleep(systemClock, 300)
    expect([ups - before, site.acceptor.links.length]).toEqual([0, 1])
    site.acceptor.links[0]?.close(new HubError('link.lost', 'Try again.'))
    await until('it is linked again', () => ups > before)
    await dialer.close()
  })
})
