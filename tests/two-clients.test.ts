import { describe, expect, test } from 'vitest'
import { startReferenceServer } from './fixtures/reference-server/start.ts'
import { connectV1, textOf } from './harness/clients.ts'
import { startHub, type TestHub } from './harness/hub.ts'
import { person } from './harness/people.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

async function pair(hub: TestHub, path: string) {
  return [await person('ann', `${hub.url}${path}`), await person('bob', `${hub.url}${path}`)] as const
}

describe('two clients at once on a shared stdio server', () => {
  test('each is asked its own questions, and only these', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const [ann, bob] = await pair(hub, '/mcp')
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
    expect(texts[2]).toBe('sampled by ann')
    expect(texts[3]).toBe('sampled by bob')
    expect(texts[4]).toContain('file:///ann')
    expect(texts[5]).toContain('file:///bob')
    expect(ann.heard.join()).not.toContain('bob')
    expect(bob.heard.join()).not.toContain('ann')
  })

  test('forty questions at a time reach the right client each', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const people = await Promise.all(['p0', 'p1', 'p2', 'p3'].map((name) => person(name, `${hub.url}/mcp/s`)))
    const calls = people.flatMap((client, index) =>
      Array.from({ length: 10 }, async () => {
        const result = await client.callTool({ name: 'ask', arguments: { message: `for p${index}` } })
        return { index, text: textOf(result) }
      }),
    )
    for (const { index, text } of await Promise.all(calls)) expect(text).toContain(`"name":"p${index}"`)
    for (const [index, client] of people.entries())
      expect(new Set(client.heard)).toEqual(new Set([`elicitation for p${index}`]))
  })

  test('a question that cannot be told whose it is, is refused and names the cure', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const [ann, bob] = await pair(hub, '/mcp/s')
    // Both tools are known to finish without asking, so that their calls may overlap.
    await Promise.all([
      ann.callTool({ name: 'wait', arguments: { ms: 1 } }),
      bob.callTool({ name: 'wait', arguments: { ms: 1 } }),
    ])
    const waiting = bob.callTool({ name: 'wait', arguments: { ms: 1_500 } })
    const asked = ann.callTool({ name: 'ask', arguments: { message: 'for ann' } })
    // Bob's call ends without having asked: the question is Ann's.
    expect(textOf(await asked)).toContain('"name":"ann"')
    expect(textOf(await waiting)).toBe('waited 1500 ms')
    expect(bob.heard).toEqual([])
  })

  test('progress comes with the token of the call, in order, before the result', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const clients = await pair(hub, '/mcp')
    const seen = await Promise.all(
      clients.map(async (client, index) => {
        const progress: number[] = []
        const steps = 20 + index
        const result = await client.callTool(
          { name: 's-progress', arguments: { steps, delayMs: 1 } },
          undefined,
          {
            onprogress: (step) => progress.push(step.progress),
          },
        )
        return { progress, steps, text: textOf(result) }
      }),
    )
    for (const { progress, steps, text } of seen) {
      expect(text).toBe(`${steps} steps`)
      expect(progress).toEqual(Array.from({ length: steps }, (_, step) => step + 1))
    }
  })

  test('a log message goes to the client whose call wrote it', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const [ann, bob] = await pair(hub, '/mcp')
    await ann.setLoggingLevel('debug')
    await bob.setLoggingLevel('warning')
    await ann.callTool({ name: 's-log', arguments: { level: 'info', message: 'by ann' } })
    await bob.callTool({ name: 's-log', arguments: { level: 'error', message: 'by bob' } })
    await bob.callTool({ name: 's-log', arguments: { level: 'info', message: 'too quiet for bob' } })
    await until('both have their line', () => ann.heard.length > 0 && bob.heard.length > 0)
    expect(ann.heard).toEqual(['log by ann'])
    expect(bob.heard).toEqual(['log by bob'])
  })

  test('cancelling one call leaves the call of the other, though both use the same request id', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const [ann, bob] = await pair(hub, '/mcp')
    await Promise.all([ann.listTools(), bob.listTools()])
    const abort = new AbortController()
    const cancelled = ann.callTool({ name: 's-wait', arguments: { ms: 20_000 } }, undefined, {
      signal: abort.signal,
    })
    const kept = bob.callTool({ name: 's-wait', arguments: { ms: 400 } })
    setTimeout(() => abort.abort('enough'), 100)
    await expect(cancelled).rejects.toThrow('enough')
    expect(textOf(await kept)).toBe('waited 400 ms')
    const list = await until('the server has heard of it', async () => {
      const text = textOf(await bob.callTool({ name: 's-cancelled' }))
      return text === '[]' ? undefined : text
    })
    expect(JSON.parse(list)).toHaveLength(1)
  })

  test('an update goes to the subscriber, and a changed list to all whose endpoint shows it', async () => {
    await using hub = await startHub({
      mcpServers: { s: fixture('honest'), other: fixture('minimal') },
      groups: [{ id: 'g1', name: 'without', servers: ['other'] }],
    })
    const [ann, bob] = await pair(hub, '/mcp')
    const outsider = await person('outsider', `${hub.url}/mcp/without`)
    const uri = 'honest://static/one'
    await ann.subscribeResource({ uri })
    await bob.callTool({ name: 's-touch', arguments: { uri } })
    await until('ann hears of it', () => ann.heard.includes(`updated ${uri}`))
    await bob.callTool({ name: 's-grow', arguments: { name: 'fresh' } })
    await until(
      'both hear of the new tool',
      () => ann.heard.includes('tools changed') && bob.heard.includes('tools changed'),
    )
    expect((await bob.listTools()).tools.map((tool) => tool.name)).toContain('s-fresh')
    expect(bob.heard).not.toContain(`updated ${uri}`)
    expect(outsider.heard).toEqual([])
    await ann.unsubscribeResource({ uri })
    expect(textOf(await bob.callTool({ name: 's-touch', arguments: { uri } }))).toBe('not subscribed')
  })

  test('a client that cannot be asked gets an error that says so', async () => {
    await using hub = await startHub({ mcpServers: { s: fixture('honest') } })
    const mute = await connectV1(`${hub.url}/mcp`)
    const answer = textOf(await mute.callTool({ name: 's-ask', arguments: { message: 'anyone?' } }))
    expect(answer).toContain('does not support elicitation')
  })
})

describe('two clients at once on a shared HTTP server', () => {
  test('questions of calls that overlap go to the right client, because each has a stream of its own', async () => {
    await using reference = await disposable()
    await using hub = await startHub({ mcpServers: { r: { type: 'streamable-http', url: reference.url } } })
    const [ann, bob] = await pair(hub, '/mcp')
    const calls = Array.from({ length: 5 }, (_, round) => [
      ann.callTool({ name: 'r-test_elicitation', arguments: { message: `ann ${round}` } }),
      bob.callTool({ name: 'r-test_elicitation', arguments: { message: `bob ${round}` } }),
      ann.callTool({ name: 'r-test_sampling', arguments: { prompt: `ann ${round}` } }),
      bob.callTool({ name: 'r-test_sampling', arguments: { prompt: `bob ${round}` } }),
    ]).flat()
    const texts = (await Promise.all(calls)).map(textOf)
    for (const [index, text] of texts.entries()) expect(text).toContain(index % 2 === 0 ? 'ann' : 'bob')
    expect(ann.heard.filter((line) => line.includes('bob'))).toEqual([])
    expect(bob.heard.filter((line) => line.includes('ann'))).toEqual([])
    expect(ann.heard).toHaveLength(10)
  })
})

async function disposable() {
  const reference = await startReferenceServer()
  return Object.assign(reference, { [Symbol.asyncDispose]: () => reference.close() })
}
