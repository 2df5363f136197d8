import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { nodeFacts } from '../../../tests/fakes/links.ts'
import { recordingLogger } from '../../../tests/harness/recording-logger.ts'
import { PlayedWorker } from '../../../tests/harness/remote-replica.ts'
import { HubError } from '../../domain/errors.ts'
import { systemClock } from '../../kernel/clock.ts'
import { systemRandom } from '../../kernel/random.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { LinkAcceptor } from './accept.ts'
import { dial, newInstance } from './dial.ts'
import type { Link } from './link.ts'
import { RemoteUpstreams } from './remote-upstreams.ts'

const LIMITS = { timeoutMs: 60_000, resetTimeoutOnProgress: true, maxTotalTimeoutMs: 0 }

/** A played worker that has dialled a coordinator over loopback, and the shared upstream of its replica. */
async function linkedOverSocket(): Promise<{ worker: PlayedWorker; upstream: Upstream; link: Link }> {
  const worker = await new PlayedWorker().start()
  const deps = { clock: systemClock, random: systemRandom, log: recordingLogger().logger }
  const linked = Promise.withResolvers<RemoteUpstreams>()
  const acceptor = new LinkAcceptor({
    ...deps,
    tokens: () => ['token of the cluster'],
    self: () => nodeFacts('c1', { role: 'coordinator' }),
    clientCertificates: false,
    onLink: (link) => {
      const upstreams = new RemoteUpstreams({ ...deps, clock: worker.clock, link })
      linked.resolve(upstreams)
      return upstreams
    },
  })
  const server = createServer()
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = server.address() as AddressInfo
  const link = await dial(
    `http://127.0.0.1:${port}`,
    {
      ...deps,
      token: 'token of the cluster',
      self: nodeFacts('w1'),
      instance: newInstance(systemRandom),
      attempt: 1,
      onLink: (each) => worker.service.serve(each),
    },
    new AbortController().signal,
  )
  onTestFinished(() => link.close(new HubError('link.lost', 'The test is over.')))
  const upstreams = await linked.promise
  const upstream = await upstreams.open({
    server: 'time',
    replica: { id: 'r1', epoch: 1 },
    holder: undefined,
    inbound: { opened: () => undefined, request: () => undefined, notification: () => undefined },
    wake: false,
  })
  return { worker, upstream, link }
}

function request(upstream: Upstream) {
  return upstream.request({ method: 'tools/call', params: undefined, limits: LIMITS })
}

test('a result of 100 MB passes byte for byte, and other calls go on meanwhile', async () => {
  const { worker, upstream } = await linkedOverSocket()
  const process = worker.process()
  let held: number | undefined
  process.channel.onSend = (message) => {
    if (message.kind !== 'request') return
    if (held === undefined) held = Number(message.id)
    else process.say({ id: message.id, result: { content: [] } })
  }
  const text = `{"n": 1.00, "big": 12345678901234567890, "text": "${'x'.repeat(100_000_000)}"}`
  const long = request(upstream)
  await request(upstream).answer
  process.say(`{"jsonrpc":"2.0","id":${held},"result":${text}}`)
  let isHere = false
  const arrived = long.answer.then((answer) => {
    isHere = true
    return answer
  })
  let others = 0
  while (!isHere) {
    await request(upstream).answer
    if (!isHere) others += 1
  }
  expect(others).toBeGreaterThan(10)
  const { body } = await arrived
  expect(body.equals(Buffer.from(text))).toBe(true)
})

test('calls by the thousand each get their own answer, and a lost link fails those in flight', async () => {
  const { worker, upstream, link } = await linkedOverSocket()
  const process = worker.process()
  process.channel.onSend = (message) => {
    if (message.kind === 'request' && message.method === 'echo')
      process.say({ id: message.id, result: message.id })
  }
  const echoes = Array.from({ length: 2_000 }, () =>
    upstream.request({ method: 'echo', params: undefined, limits: LIMITS }),
  )
  const answers = await Promise.all(echoes.map(({ answer }) => answer))
  expect(answers.map((answer) => Number(answer.body.toString()))).toEqual(
    answers.map((_, index) => index + 1),
  )
  const lost = request(upstream)
  link.close(new HubError('link.lost', 'cut'))
  await expect(lost.answer).rejects.toMatchObject({ code: 'upstream.lost' })
  expect(upstream.load).toBe(0)
})
