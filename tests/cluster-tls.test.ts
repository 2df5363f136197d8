import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Authority, type Certificate } from './harness/certificates.ts'
import { connectV1, textOf } from './harness/clients.ts'
import { Cluster, counter, type Document, TOKEN } from './harness/cluster.ts'
import { checkHistory, failureLines } from './harness/history.ts'
import { runFlotilla } from './harness/hub-process.ts'
import { LoadGenerator } from './harness/load.ts'

let folder: string
let ours: Authority
let others: Authority
let hub: Certificate
let node: Certificate
let expired: Certificate
let foreign: Certificate

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-certificates-'))
  ours = await Authority.make(folder, 'ours')
  others = await Authority.make(folder, 'others')
  hub = await ours.sign('hub')
  node = await ours.sign('node')
  expired = await ours.sign('expired', -1)
  foreign = await others.sign('foreign')
  // The clients of this process, as clients whose operator has told them of the authority.
  setDefaultCACertificates([...getCACertificates('default'), await readFile(ours.ca, 'utf8')])
})
afterAll(() => rm(folder, { recursive: true }))

/** Two replicas for workers, behind a port that speaks TLS. */
function overTls(security: Record<string, unknown> = {}): Document {
  const { cert: tlsCert, key: tlsKey } = hub
  return (journals) => ({
    cluster: { runServers: false, security: { tlsEnabled: true, tlsCert, tlsKey, ...security } },
    mcpServers: { c: counter(journals, { replicas: 2 }) },
  })
}

function shows({ cert, key }: Certificate): Record<string, string> {
  return { CLUSTER_TLS_CERT: cert, CLUSTER_TLS_KEY: key, CLUSTER_TLS_CA: ours.ca }
}

/** A worker that must be refused, and what its log must say: why, and what to do. */
interface Rogue {
  readonly id: string
  readonly env: Readonly<Record<string, string>>
  readonly why: string
  readonly cure: string
}

/** Starts workers beside a cluster that works, and expects all of them to be refused while it goes on. */
async function expectRefusals(cluster: Cluster, rogues: readonly Rogue[]): Promise<void> {
  await cluster.untilRunning('c', 2)
  const load = await LoadGenerator.start({ url: cluster.endpoint('c'), tool: 'next', sessions: 8 })
  for (const { id, env, why, cure } of rogues) {
    const rogue = await cluster.launchWorker({ id, env })
    const lines = () => rogue.log.split('\n').filter((line) => line.includes(why))
    await cluster.until(`${id} says "${why}"`, () => lines().length > 0)
    expect(JSON.parse(lines()[0] ?? '{}')).toMatchObject({ cure: expect.stringContaining(cure) })
  }
  await cluster.untilOnlyOnline('worker-1', 'worker-2')
  const verdict = checkHistory(await load.stop(), await cluster.executed(), { moves: 'never' })
  expect(verdict.violations).toEqual([])
  expect(failureLines(verdict)).toEqual([])
  expect(verdict.answered).toBeGreaterThan(5 * load.sessions.length)
  expect([cluster.coordinator, ...cluster.workers].some(({ log }) => log.includes(TOKEN))).toBe(false)
}

describe('a coordinator with a certificate', () => {
  test('[R92] serves clients and workers over TLS; who does not trust it, or speaks no TLS, is told why', async () => {
    const env = { CLUSTER_TLS_CA: ours.ca }
    await using cluster = await Cluster.start({
      scheme: 'https',
      coordinator: overTls(),
      workers: [{ env }, { env }],
    })
    await cluster.untilRunning('c', 2)
    expect(cluster.coordinator.log).toContain(`Endpoint:  ${cluster.url}/mcp`)
    const client = await connectV1(cluster.endpoint('c'))
    expect(textOf(await client.callTool({ name: 'next', arguments: {} }))).not.toBe('')
    await client.close()
    const outdated = createServer({
      cert: await readFile(expired.cert),
      key: await readFile(expired.key),
    })
    await new Promise<void>((resolve) => outdated.listen(0, '127.0.0.1', resolve))
    const { port } = outdated.address() as AddressInfo
    const untrusted = 'is not signed by an authority that this node trusts'
    await expectRefusals(cluster, [
      { id: 'wrong-ca', env: { CLUSTER_TLS_CA: others.ca }, why: untrusted, cure: 'CLUSTER_TLS_CA' },
      { id: 'no-ca', env: {}, why: untrusted, cure: 'CLUSTER_TLS_CA' },
      {
        id: 'plain',
        env: { CLUSTER_MASTER_URL: cluster.url.replace('https', 'http') },
        why: 'it hung up at once',
        cure: 'write https://',
      },
      {
        id: 'outdated',
        env: { ...env, CLUSTER_MASTER_URL: `https://127.0.0.1:${port}` },
        why: 'its certificate has expired',
        cure: 'Renew the certificate of the coordinator',
      },
    ])
    outdated.close()
  }, 90_000)

  test('wants theirs from workers under "mutual", and none from clients', async () => {
    const env = shows(node)
    await using cluster = await Cluster.start({
      scheme: 'https',
      coordinator: overTls({ tlsCa: ours.ca, mutual: true }),
      workers: [{ env }, { env }],
    })
    await expectRefusals(cluster, [
      {
        id: 'without',
        env: { CLUSTER_TLS_CA: ours.ca },
        why: 'This coordinator wants a certificate of each node, and saw none.',
        cure: 'CLUSTER_TLS_CERT',
      },
      {
        id: 'foreign',
        env: shows(foreign),
        why: 'The certificate of the node that connects is not trusted here',
        cure: 'CLUSTER_TLS_CA of the coordinator',
      },
      {
        id: 'expired',
        env: shows(expired),
        why: 'The certificate of the node that connects has expired.',
        cure: 'Renew it',
      },
    ])
    expect(cluster.worker('expired').log).toContain('The TLS certificate of this node has expired on')
  }, 90_000)
})

describe('a command that asks such a coordinator', () => {
  test('needs to know its authority, and is told how', async () => {
    await using cluster = await Cluster.start({ scheme: 'https', coordinator: overTls(), workers: 0 })
    const status = ['status', '--url', cluster.url]
    const stranger = await runFlotilla(status)
    expect(stranger).toMatchObject({ code: 1, stderr: expect.stringContaining('NODE_EXTRA_CA_CERTS') })
    const known = await runFlotilla(status, { env: { NODE_EXTRA_CA_CERTS: ours.ca } })
    expect(known).toMatchObject({ code: 0, stdout: expect.stringContaining('coordinator-1') })
    const plain = await runFlotilla(['status', '--url', cluster.url.replace('https', 'http')])
    expect(plain.stderr).toContain('begins with https://')
  }, 60_000)
})

describe('a node whose files are of no use', () => {
  test.each([
    ['a key of another certificate', () => ({ cert: hub.cert, key: node.key }), 'cannot be used with'],
    ['no certificate', () => ({ cert: hub.key, key: hub.key }), 'holds no certificate'],
    ['a path where nothing is', () => ({ cert: hub.cert, key: '/nowhere.pem' }), 'cannot be read'],
  ])('does not start: %s', async (_, files, why) => {
    const { cert, key } = files()
    const own = join(folder, 'a-node')
    const env = {
      CLUSTER_TOKEN: TOKEN,
      CLUSTER_TLS_CERT: cert,
      CLUSTER_TLS_KEY: key,
      DATA_DIR: own,
      PORT: '0',
    }
    const { code, stderr } = await runFlotilla(['serve', '--role', 'coordinator'], { cwd: folder, env })
    expect(code).toBe(78)
    expect(stderr).toContain(why)
  })
})
