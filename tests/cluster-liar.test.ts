import { expect, test } from 'vitest'
import { HubError } from '../src/domain/errors.ts'
import { encodeControl, readToWorker } from '../src/fleet/link/control.ts'
import { dial, newInstance } from '../src/fleet/link/dial.ts'
import { CONTROL_LANE, type Link } from '../src/fleet/link/link.ts'
import {
  encodePacket,
  readFromCoordinator,
  upstreamLane,
  type WorkerPacket,
} from '../src/fleet/link/packets.ts'
import { toWire } from '../src/fleet/link/spec-wire.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { VERSION } from '../src/kernel/version.ts'
import { serverSpec } from './fakes/domain.ts'
import { Cluster, counter, TOKEN } from './harness/cluster.ts'
import { checkHistory, failureLines } from './harness/history.ts'
import { nodeFacts } from './harness/links.ts'
import { LoadGenerator } from './harness/load.ts'
import { seededRandom } from './harness/seeded-random.ts'

/** A node that has the token of the cluster, and says whatever the test says. */
class Liar {
  readonly #url: string
  readonly #instance = newInstance(systemRandom)
  #attempt = 0
  #seq = 0
  /** Upstreams that the coordinator has asked for on the last link. */
  opened: number[] = []

  constructor(url: string) {
    this.#url = url
  }

  link(): Promise<Link> {
    this.opened = []
    this.#attempt += 1
    return dial(
      this.#url,
      {
        token: TOKEN,
        self: nodeFacts('liar', { version: VERSION, maxServers: 0 }),
        instance: this.#instance,
        attempt: this.#attempt,
        onLink: () => ({ packet: (packet) => this.#hear(packet) }),
        clock: systemClock,
        random: systemRandom,
      },
      AbortSignal.timeout(10_000),
    )
  }

  #hear(packet: Buffer): void {
    if (packet[0] === 1) return void readToWorker(packet)
    const { kind, ...asked } = readFromCoordinator(packet)
    if (kind === 'open' && 'upstream' in asked) this.opened.push(asked.upstream)
  }

  /** As it would be encoded, but checked by nobody. */
  say(link: Link, message: object): void {
    link.send(CONTROL_LANE, Buffer.concat([Buffer.of(1), Buffer.from(JSON.stringify(message))]))
  }

  beat(link: Link, ...replicas: object[]): void {
    this.#seq += 1
    const load = { cpuPercent: 0, memoryPercent: 0, activeCalls: 0 }
    this.say(link, { type: 'beat', seq: this.#seq, term: 0, revision: 0, load, replicas })
  }

  pinned(link: Link, ...names: string[]): void {
    link.send(
      CONTROL_LANE,
      encodeControl({ type: 'pinned', specs: names.map((name) => toWire(serverSpec(name))) }),
    )
  }
}

function replica(id: string, parts: object = {}): object {
  const origin = 'pinned'
  const phase = 'running'
  return {
    id,
    epoch: 0,
    server: 'd',
    origin,
    phase,
    createdAt: 1,
    specHash: 'x',
    calls: 0,
    sessions: 0,
    ...parts,
  }
}

test('a worker that lies ends neither the coordinator nor a call of a server that is not its own', async () => {
  await using cluster = await Cluster.start({
    coordinator: (journals) => ({ mcpServers: { c: counter(journals, { replicas: 2 }) } }),
    workers: 2,
  })
  await cluster.untilRunning('c', 2)
  const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 8 })
  const liar = new Liar(`http://127.0.0.1:${cluster.coordinator.port}`)
  const random = seededRandom(3)
  const lies: ((link: Link) => void)[] = [
    (link) => liar.beat(link),
    (link) => liar.beat(link, replica('c-replica-1', { server: 'c', origin: 'managed', epoch: 2 ** 40 })),
    (link) => liar.beat(link, replica('c-replica-1', { server: 'c' })),
    (link) => liar.beat(link, replica('c-replica-2', { server: 'c', origin: 'managed', phase: 'error' })),
    (link) => liar.beat(link, replica('d@liar'), replica('d@liar', { specHash: 'y', phase: 'error' })),
    (link) => liar.beat(link, replica('d@liar', { epoch: 2 ** 52 })),
    (link) => liar.beat(link, replica('e@liar', { createdAt: 1e300 })),
    (link) => liar.beat(link, replica('__proto__', { server: '__proto__' }), replica('constructor')),
    (link) =>
      liar.pinned(link, 'd', 'd', '__proto__', 'constructor', 'a/../b', '<script>', 'x'.repeat(1_000)),
    (link) => liar.pinned(link),
    (link) => liar.say(link, { type: 'leaving' }),
    (link) => liar.say(link, { type: 'pinned', specs: [{ name: 'd' }] }),
    (link) => link.close(new HubError('link.lost', 'A lie.')),
    (link) =>
      link.send(CONTROL_LANE, Buffer.from(Array.from({ length: 50 }, () => Math.floor(random() * 256)))),
    (link) => {
      const body = Buffer.from('{"no json')
      for (const upstream of [...liar.opened, 7]) {
        const packets: WorkerPacket[] = [
          { kind: 'result', upstream, call: 1, isError: true, body },
          { kind: 'opened', upstream, body: Buffer.from('{}') },
          { kind: 'closed', upstream, body },
        ]
        const packet = packets[Math.floor(random() * packets.length)]
        if (packet) link.send(upstreamLane(upstream), encodePacket(packet))
      }
    },
  ]
  let link: Link | undefined
  for (let round = 0; round < 600; round += 1) {
    if (!link || link.ended) {
      link = await liar.link()
      if (random() < 0.7) liar.pinned(link, 'd')
    }
    lies[Math.floor(random() * lies.length)]?.(link)
    if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 10))
  }
  link?.close(new HubError('link.lost', 'It is over.'))
  for (const worker of cluster.workers) await cluster.untilOnline(worker)
  expect(await cluster.api.replicas('c')).toHaveLength(2)
  const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'never' })
  expect(verdict.violations).toEqual([])
  expect(failureLines(verdict)).toEqual([])
}, 60_000)
