/** Whom the bench measures, each started here and ready when the promise is fulfilled. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../tests/harness/ports.ts'
import { Connection, Session } from './mcp-client.ts'
import { GarbageProbe } from './memory.ts'
import type { Processes, Running } from './processes.ts'

export type Contestant = {
  name: string
  url: string
  toolPrefix: string
  /** The process whose own time counts. */
  running: Running
  /** Others that it needs, whose time is counted apart. */
  helpers?: Running[]
}
type ServerConfig = Record<string, unknown>

const startTimeoutMs = 120_000
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const minimal = here('../tests/fixtures/servers/minimal.ts')

export function stdioServer(name: string, extraTools = 0): ServerConfig {
  return {
    type: 'stdio',
    command: process.execPath,
    args: [minimal, '--name', name, '--tools', String(extraTools)],
  }
}

/** A temporary directory with its probe, for one process. */
export class Workplace implements AsyncDisposable {
  readonly directory: string
  readonly probe: GarbageProbe

  private constructor(directory: string) {
    this.directory = directory
    this.probe = new GarbageProbe(directory)
  }

  static async create(): Promise<Workplace> {
    return new Workplace(await mkdtemp(join(tmpdir(), 'bench-')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Starts one of the two small servers of this folder, which say where they listen. */
async function startSmall(
  processes: Processes,
  name: string,
  file: string,
  workplace?: Workplace,
): Promise<Contestant> {
  const probing = workplace ? GarbageProbe.nodeArguments : []
  const running = processes.start(name, [...probing, here(file), '0'], workplace?.probe.env)
  const url = (await running.nextLine(startTimeoutMs)).replace('listening ', '')
  return { name, url, toolPrefix: '', running }
}

export function startRelay(processes: Processes, workplace?: Workplace): Promise<Contestant> {
  return startSmall(processes, 'bare relay', 'bare-relay.ts', workplace)
}

export function startHttpServer(processes: Processes): Promise<Contestant> {
  return startSmall(processes, 'direct', 'http-server.ts')
}

export type Hub = { running: Running; origin: string; readyAfterMs: number }

/** A hub is ready when it is healthy and shows the tools of all its servers. */
export async function startHub(
  processes: Processes,
  workplace: Workplace,
  mcpServers: Record<string, ServerConfig>,
  probed = false,
): Promise<Hub> {
  const port = await freePort()
  const settings = join(workplace.directory, 'mcp_settings.json')
  await writeFile(settings, JSON.stringify({ mcpServers }))
  const env = {
    PORT: String(port),
    DATA_DIR: join(workplace.directory, 'data'),
    MCPHUB_SETTING_PATH: settings,
    LOG_LEVEL: 'warn',
    ...(probed && workplace.probe.env),
  }
  const started = performance.now()
  const probing = probed ? GarbageProbe.nodeArguments : []
  const running = processes.start('hub', [...probing, here('../src/main.ts'), 'serve'], env)
  const origin = `http://127.0.0.1:${port}`
  await untilReady(running, origin, Object.keys(mcpServers))
  return { running, origin, readyAfterMs: Math.round(performance.now() - started) }
}

export async function untilReady(running: Running, origin: string, servers: string[]): Promise<void> {
  const until = performance.now() + startTimeoutMs
  let reason = 'it was never asked'
  while (performance.now() < until) {
    running.assertAlive()
    reason = await missing(origin, servers).catch((error) => String(error))
    if (reason === '') return
    await sleep(100)
  }
  throw new Error(`The hub was not ready after ${startTimeoutMs} ms: ${reason}`)
}

async function missing(origin: string, servers: string[]): Promise<string> {
  const health = await fetch(`${origin}/health`)
  await health.body?.cancel()
  if (health.status !== 200) return `/health answered ${health.status}`
  const everything = await toolNames(`${origin}/mcp`)
  const absent = servers.filter((server) => !everything.includes(`${server}-echo`))
  if (absent.length > 0) return `/mcp does not show the tool echo of ${absent.join(', ')}`
  await toolNames(`${origin}/mcp/${servers[0]}`)
  return ''
}

async function toolNames(url: string): Promise<string[]> {
  const connection = new Connection(url)
  try {
    const session = await Session.open(connection)
    const names: string[] = []
    let cursor = ''
    do {
      const reply = await session.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{${cursor}}}`)
      const result = reply.messages().find(({ id }) => id === 1)?.result
      if (!result) throw new Error(`tools/list failed: ${reply.text()}`)
      for (const { name } of result['tools'] as { name: string }[]) names.push(name)
      cursor = result['nextCursor'] === undefined ? '' : `"cursor":${JSON.stringify(result['nextCursor'])}`
    } while (cursor !== '')
    await session.end()
    return names
  } finally {
    await connection.close()
  }
}

/** One server of a hub on its own endpoint, where tools keep their names. */
export function onServer(hub: Hub, server: string, name: string): Contestant {
  return { name, url: `${hub.origin}/mcp/${server}`, toolPrefix: '', running: hub.running }
}

/** The same server on the endpoint of all servers. */
export function onAll(hub: Hub, server: string, name: string): Contestant {
  return { name, url: `${hub.origin}/mcp`, toolPrefix: `${server}-`, running: hub.running }
}
