import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startApi } from '../../../tests/fakes/api.ts'
import { FakeCluster, SESSION } from '../../../tests/fakes/cluster.ts'
import { FakeClock } from '../../../tests/harness/fake-clock.ts'
import { until } from '../../../tests/harness/wait.ts'
import type { ClusterEvent } from '../../domain/cluster.ts'
import { runCli } from '../program.ts'
import { HubClient } from './hub-client.ts'
import { showEvents } from './status.ts'
import { clusterTextsFor } from './texts.ts'

const SETTINGS = { mcpServers: { fetch: { command: 'x' }, time: { command: 'x' } } }

interface Said {
  data: string
  talk: string
}

function listening() {
  const said: Said = { data: '', talk: '' }
  const output = {
    data: (text: string) => {
      said.data += `${text}\n`
    },
    talk: (text: string) => {
      said.talk += `${text}\n`
    },
  }
  return { said, output }
}

/** A hub with the fake cluster, and the command line that asks it. */
async function start(cluster = new FakeCluster()) {
  const api = await startApi({ settings: SETTINGS, services: { cluster } })
  const flotilla = async (args: string, environment: Record<string, string> = {}) => {
    const { said, output } = listening()
    const code = await runCli({
      argv: ['node', 'flotilla', ...args.split(' ')],
      environment: { FLOTILLA_URL: api.url, FLOTILLA_KEY: 'admin', ...environment },
      output,
      exitNow: () => undefined,
    })
    return { code, ...said }
  }
  return { api, cluster, flotilla, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() }
}

describe('flotilla status', () => {
  test('shows the cluster in one look', async () => {
    await using world = await start()
    const { code, data, talk } = await world.flotilla('status')
    expect(code).toBe(0)
    const lines = data.split('\n')
    expect(lines[0]).toBe('Cluster   coordinator (coordinator)')
    expect(lines).toContain('Nodes     2 of 3 online')
    expect(lines).toContain('Replicas  2 of 4 healthy')
    expect(lines.find((line) => line.startsWith('n1 '))).toMatch(
      /^n1 +name of n1 +worker +n1\.internal:3001 +online +2\/20 +12% +50% +1\.0\.0 +\d+d ago$/,
    )
    expect(talk).toContain('n2')
  })

  test('speaks Chinese', async () => {
    await using world = await start()
    const { data } = await world.flotilla('--lang zh-CN status')
    expect(data).toContain('协调器 (coordinator)')
    expect(data).toContain('2/3 在线')
  })

  test('is JSON for programs, wherever --json stands', async () => {
    await using world = await start()
    for (const args of ['status --json', '--json status']) {
      const { data } = await world.flotilla(args)
      expect(JSON.parse(data)).toMatchObject({ mode: 'coordinator', stats: { nodes: 3 } })
      expect(data.trimEnd()).not.toContain('\n')
    }
  })
})

describe('flotilla node', () => {
  test('lists nodes, or those that are online', async () => {
    await using world = await start()
    const all = await world.flotilla('node list')
    expect(all.data.trimEnd().split('\n')).toHaveLength(4)
    const active = await world.flotilla('node list --active --json')
    expect(JSON.parse(active.data)).toMatchObject([{ id: 'coordinator' }, { id: 'n1' }])
  })

  test('shows one with its replicas', async () => {
    await using world = await start()
    const { data } = await world.flotilla('node show n1')
    expect(data).toMatch(/^ID +n1$/m)
    expect(data).toMatch(/^System +linux 6\.1$/m)
    expect(data).toMatch(/^time-replica-1 +time +n1 +error +\d+d ago +2 +0 +It ends at once\.$/m)
  })

  test('cordons, drains and removes', async () => {
    await using world = await start()
    for (const args of ['cordon n1', 'uncordon n1', 'drain n1', 'remove n2']) {
      const { code, talk } = await world.flotilla(`node ${args}`)
      expect([args, code]).toEqual([args, 0])
      expect(talk).toContain(args.slice(-2))
    }
    expect(world.cluster.done).toEqual(['cordon n1', 'uncordon n1', 'drain n1', 'remove n2'])
    const { data } = await world.flotilla('node list')
    expect(data).toMatch(/^n1 .* online, draining /m)
  })

  test('says what cannot be done, why, and what to do', async () => {
    await using world = await start()
    expect(await world.flotilla('node drain n9')).toMatchObject({
      code: 1,
      data: '',
      talk: 'flotilla: There is no node "n9".\n  GET /api/cluster/nodes lists them.\n',
    })
    const { talk } = await world.flotilla('--json node remove n1')
    expect(JSON.parse(talk)).toEqual({
      error: { code: 'resource.in-use', message: 'The node is online.', cure: 'Drain it first.' },
    })
  })
})

describe('flotilla server', () => {
  test('lists servers with their replicas', async () => {
    await using world = await start()
    const { data, talk } = await world.flotilla('server list')
    expect(data).toMatch(/^fetch +1\/2 +- +n1, n2$/m)
    expect(data).toMatch(/^theirs +1\/1 \(pinned\) +- +n1$/m)
    expect(talk).toBe('No node can take a replica of "fetch": 1 cordoned.\n')
  })

  test('scales, and stores that in the settings', async () => {
    await using world = await start()
    const { code, talk } = await world.flotilla('server scale fetch 4')
    expect([code, talk]).toEqual([0, 'fetch is to have 4 replicas.\n'])
    expect(world.api.settings.document).toMatchObject({ mcpServers: { fetch: { replicas: 4 } } })
    const { data } = await world.flotilla('server scale fetch 5 --json')
    expect(JSON.parse(data)).toMatchObject({ revision: 3, serverName: 'fetch' })
  })

  test.each(['-1', '1001', '1.5', 'many', '1e2'])('does not scale to %s', async (count) => {
    await using world = await start()
    const { code, talk } = await world.flotilla(`server scale fetch -- ${count}`)
    expect([code, talk]).toEqual([1, expect.stringContaining('is no number of replicas')])
    expect(world.api.settings.revisions).toHaveLength(1)
  })

  test('shows and restarts replicas', async () => {
    await using world = await start()
    const { data, talk } = await world.flotilla('server replicas fetch')
    expect(data).toMatch(/^fetch-replica-2 +fetch +n2 +running /m)
    expect(talk).toBe('No node can take a replica of "fetch": 1 cordoned.\n')
    expect((await world.flotilla('server restart fetch')).code).toBe(0)
    expect(world.cluster.done).toEqual(['restart fetch'])
    expect((await world.flotilla('server replicas nope')).code).toBe(1)
  })
})

describe('flotilla session', () => {
  test('lists, shows and ends', async () => {
    await using world = await start()
    const { data, talk } = await world.flotilla('session list --limit 2')
    expect(data).toMatch(new RegExp(`^${SESSION} +fetch +fetch-replica-1 +n1 `, 'm'))
    expect(talk).toBe('2 of 3; the others with --limit.\n')
    const one = await world.flotilla(`session show ${SESSION} --json`)
    expect(JSON.parse(one.data)).toMatchObject({ serverName: 'time', routes: [{}, {}] })
    expect((await world.flotilla(`session end ${SESSION}`)).talk).toBe('The session was ended.\n')
    const gone = await world.flotilla(`session end ${SESSION}`)
    expect([gone.code, gone.talk]).toEqual([1, expect.stringContaining('There is no such session')])
  })
})

const event = (number: number, text: string): ClusterEvent => ({
  number,
  at: 1_700_000_000_000,
  kind: 'joined',
  node: 'n1',
  server: undefined,
  replica: undefined,
  text,
})

describe('flotilla events', () => {
  test('shows what has happened', async () => {
    const cluster = new FakeCluster()
    await using world = await start(cluster)
    expect((await world.flotilla('events')).talk).toBe('Nothing has happened yet.\n')
    cluster.eventList = [event(1, 'first'), event(2, 'second \u001b[31m')]
    const { data } = await world.flotilla('events --since 1')
    expect(data).toBe('2023-11-14T22:13:20.000Z  joined      second ?[31m\n')
    const json = await world.flotilla('events --json')
    expect(JSON.parse(json.data)).toMatchObject({ events: [{ number: 1 }, { number: 2 }], last: 2 })
    expect((await world.flotilla('events --limit 0')).code).toBe(1)
  })

  test('goes on with what happens next, also over a restart of the hub', async () => {
    const cluster = new FakeCluster()
    cluster.eventList = [event(1, 'one'), event(2, 'two')]
    await using world = await start(cluster)
    const { said, output } = listening()
    const clock = new FakeClock()
    const ending = new AbortController()
    const hub = new HubClient({ url: world.api.url, key: 'admin' })
    const context = { hub, output, texts: clusterTextsFor('en'), json: false, clock }
    const following = showEvents(context, { since: '0', limit: '10', follow: true }, ending.signal)
    const shows = async (text: string) => {
      await until(`it shows ${text}`, async () => {
        await clock.advance(1_000)
        return said.data.includes(text)
      })
    }
    await shows('two')
    cluster.eventList = [...cluster.eventList, event(3, 'three')]
    await shows('three')
    cluster.eventList = [event(1, 'anew')]
    await shows('anew')
    ending.abort()
    await following
    expect(said.data.match(/ (one|two|three|anew)$/gm)).toEqual([' one', ' two', ' three', ' anew'])
  })
})

describe('a hub that cannot be asked', () => {
  test('is named when nobody listens there', async () => {
    await using world = await start()
    const { code, talk } = await world.flotilla('status --url http://127.0.0.1:9')
    expect(code).toBe(1)
    expect(talk).toBe(
      'flotilla: The hub at http://127.0.0.1:9 cannot be reached: nobody listens there.\n' +
        '  Start it with "flotilla serve", or name another with --url or FLOTILLA_URL.\n',
    )
  })

  test('asks for a key, and never repeats it', async () => {
    await using world = await start()
    const { code, data, talk } = await world.flotilla('status', { FLOTILLA_KEY: 'flk_canary' })
    expect(code).toBe(1)
    expect(talk).toContain('FLOTILLA_KEY')
    expect(`${data}${talk}`).not.toContain('canary')
    const narrow = await world.flotilla('status', { FLOTILLA_KEY: 'narrow' })
    expect([narrow.code, narrow.talk]).toEqual([1, expect.stringContaining('cluster:read')])
  })

  test.each([
    ['a page', 200, '<html>'],
    ['another program', 200, '{"ok":true}'],
    ['a proxy', 502, 'Bad Gateway'],
    ['an older hub', 200, '{"success":true,"data":{"enabled":true}}'],
  ])('is not %s', async (_what, status, body) => {
    const server = createServer((_request, response) => response.writeHead(status).end(body))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await using world = await start()
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, talk } = await world.flotilla(`status --url ${url}`)
    server.close()
    server.closeAllConnections()
    expect(code).toBe(1)
    expect(talk).toContain(`What listens at ${url} answers`)
    expect(talk).toContain('Check that it is the address of a Flotilla hub')
  })
})
