import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectComplete } from './conformance/complete.ts'
import { startNameMappingProxy } from './conformance/name-mapping-proxy.ts'
import { runServerScenarios } from './conformance/suite.ts'
import {
  type RunningReferenceServer,
  referenceStdioCommand,
  startReferenceServer,
} from './fixtures/reference-server/start.ts'
import { connectV1, textOf } from './harness/clients.ts'
import { Cluster, type ClusterSetup } from './harness/cluster.ts'
import { person } from './harness/people.ts'
import { fixture } from './harness/servers.ts'

/** Some tools of the reference server take a second, and the suite runs them one after the other. */
const TIMEOUT_MS = 150_000

let http: RunningReferenceServer
beforeAll(async () => {
  http = await startReferenceServer()
})
afterAll(() => http.close())

/** The suite's URL must say `localhost`. */
function suiteUrl(endpoint: string): string {
  return endpoint.replace('127.0.0.1', 'localhost')
}

function overHttp() {
  return { type: 'streamable-http', url: http.url }
}

describe('the official suite through a coordinator and a worker', () => {
  test.each([
    ['stdio, placed by the coordinator', () => managed(referenceStdioCommand)],
    ['streamable HTTP, placed by the coordinator', () => managed(overHttp())],
    ["stdio, in the worker's own settings", () => pinned(referenceStdioCommand)],
    ["streamable HTTP, in the worker's own settings", () => pinned(overHttp())],
  ])('passes 2025-11-25 with a server over %s', { timeout: TIMEOUT_MS }, async (_how, setup) => {
    await using cluster = await Cluster.start(setup())
    await cluster.untilRunning('reference', 1)
    const url = suiteUrl(cluster.endpoint('reference'))
    expectComplete(await runServerScenarios({ url, requirements: '2025-11-25' }))
    const proxy = await startNameMappingProxy({ target: suiteUrl(cluster.endpoint()), prefix: 'reference-' })
    try {
      expectComplete(await runServerScenarios({ url: proxy.url, requirements: '2025-11-25' }))
    } finally {
      await proxy.close()
    }
  })
})

function managed(reference: Record<string, unknown>): ClusterSetup {
  return { coordinator: { mcpServers: { honest: fixture('honest'), reference } }, workers: 1 }
}

function pinned(reference: Record<string, unknown>): ClusterSetup {
  return {
    coordinator: { mcpServers: { honest: fixture('honest') } },
    workers: [{ settings: { mcpServers: { reference } } }],
  }
}

describe('two clients at once on two replicas', () => {
  async function pair(cluster: Cluster) {
    await cluster.untilRunning('s', 2)
    // A session that came before the lists were read would hear that they have changed.
    await cluster.until('its tools are shown', async () => {
      const client = await connectV1(cluster.endpoint())
      const { tools } = await client.listTools()
      await client.close()
      return tools.some(({ name }) => name === 's-ask')
    })
    return [await person('ann', cluster.endpoint()), await person('bob', cluster.endpoint())] as const
  }

  function start(): Promise<Cluster> {
    return Cluster.start({
      coordinator: { mcpServers: { s: { ...fixture('honest'), replicas: 2 } } },
      workers: 2,
    })
  }

  test('each is asked its own questions, and only these', async () => {
    await using cluster = await start()
    const [ann, bob] = await pair(cluster)
    const results = await Promise.all([
      ann.callTool({ name: 's-ask', arguments: { message: 'for ann' } }),
      bob.callTool({ name: 's-ask', arguments: { message: 'for bob' } }),
      ann.callTool({ name: 's-sample', arguments: { prompt: 'from ann' } }),
      bob.callTool({ name: 's-sample', arguments: { prompt: 'from bob' } }),
      ann.callTool({ name: 's-roots' }),
      bob.callTool({ name: 's-roots' }),
    ])
    const texts = results.map(textOf)
    expect(texts[0]).toContain('"name":"ann"')
    expect(texts[1]).toContain('"name":"bob"')
    expect(texts.slice(2, 4)).toEqual(['sampled by ann', 'sampled by bob'])
    expect(texts[4]).toContain('file:///ann')
    expect(texts[5]).toContain('file:///bob')
    expect(ann.heard.join()).not.toContain('bob')
    expect(bob.heard.join()).not.toContain('ann')
  }, 60_000)

  test('progress comes in order, log messages to whom they belong, and a cancelled call ends in its server', async () => {
    await using cluster = await start()
    const [ann, bob] = await pair(cluster)
    const progress: number[] = []
    const onprogress = (step: { progress: number }) => progress.push(step.progress)
    const steps = { name: 's-progress', arguments: { steps: 100, delayMs: 1 } }
    expect(textOf(await ann.callTool(steps, undefined, { onprogress }))).toBe('100 steps')
    expect(progress).toEqual(Array.from({ length: 100 }, (_, step) => step + 1))

    await ann.setLoggingLevel('debug')
    await bob.setLoggingLevel('debug')
    await ann.callTool({ name: 's-log', arguments: { level: 'info', message: 'by ann' } })
    await bob.callTool({ name: 's-log', arguments: { level: 'info', message: 'by bob' } })
    await cluster.until('both have their line', () => ann.heard.length > 0 && bob.heard.length > 0)
    expect(ann.heard).toEqual(['log by ann'])
    expect(bob.heard).toEqual(['log by bob'])

    const abort = new AbortController()
    const wait = { name: 's-wait', arguments: { ms: 20_000 } }
    const cancelled = ann.callTool(wait, undefined, { signal: abort.signal })
    const kept = bob.callTool({ name: 's-wait', arguments: { ms: 400 } })
    setTimeout(() => abort.abort('enough'), 100)
    await expect(cancelled).rejects.toThrow('enough')
    expect(textOf(await kept)).toBe('waited 400 ms')
    const list = await cluster.until('the server has heard of it', async () => {
      const text = textOf(await ann.callTool({ name: 's-cancelled' }))
      return text === '[]' ? undefined : text
    })
    expect(JSON.parse(list)).toHaveLength(1)
  }, 60_000)

  test('an update goes to the subscriber, and a changed list to all', async () => {
    await using cluster = await Cluster.start({
      coordinator: { mcpServers: { s: fixture('honest') } },
      workers: 1,
    })
    await cluster.untilRunning('s', 1)
    const [ann, bob] = [await person('ann', cluster.endpoint()), await person('bob', cluster.endpoint())]
    const uri = 'honest://static/one'
    await ann.subscribeResource({ uri })
    await bob.callTool({ name: 's-touch', arguments: { uri } })
    await cluster.until('ann hears of it', () => ann.heard.includes(`updated ${uri}`))
    await bob.callTool({ name: 's-grow', arguments: { name: 'fresh' } })
    await cluster.until(
      'both hear of the new tool',
      () => ann.heard.includes('tools changed') && bob.heard.includes('tools changed'),
    )
    expect((await bob.listTools()).tools.map((tool) => tool.name)).toContain('s-fresh')
    expect(bob.heard).not.toContain(`updated ${uri}`)
  }, 60_000)
})
