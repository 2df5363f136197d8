/** A coordinator with workers, each a process of its own, ready when the promise is fulfilled. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../tests/harness/ports.ts'
import { type Contestant, stdioServer, untilReady, type Workplace } from './contestants.ts'
import type { Processes, Running } from './processes.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const token = 'a-token-for-the-bench-0123456789abcdef'
const startTimeoutMs = 60_000
const server = 'minimal'

export type ClusterPlan = { name: string; workers: number; replicas: number }

export async function startCluster(
  processes: Processes,
  workplace: Workplace,
  { name, workers, replicas }: ClusterPlan,
): Promise<Contestant> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const settings = join(workplace.directory, 'mcp_settings.json')
  const document = {
    mcpServers: { [server]: { ...stdioServer(server), replicas } },
    cluster: { runServers: false },
  }
  await writeFile(settings, JSON.stringify(document))
  const running = await startNode(processes, workplace, `${name}: coordinator`, {
    CLUSTER_ROLE: 'coordinator',
    CLUSTER_NODE_ID: 'coordinator-1',
    MCPHUB_SETTING_PATH: settings,
    PORT: String(port),
  })
  const ids = Array.from({ length: workers }, (_, n) => `worker-${n + 1}`)
  const helpers = await Promise.all(
    ids.map(async (id) =>
      startNode(processes, workplace, `${name}: ${id}`, {
        CLUSTER_ROLE: 'worker',
        CLUSTER_NODE_ID: id,
        CLUSTER_MASTER_URL: origin,
        PORT: String(await freePort()),
      }),
    ),
  )
  await untilReady(running, origin, [server])
  await untilRunning([running, ...helpers], origin, replicas)
  return { name, url: `${origin}/mcp/${server}`, toolPrefix: '', running, helpers }
}

async function startNode(
  processes: Processes,
  workplace: Workplace,
  name: string,
  env: Record<string, string>,
): Promise<Running> {
  const folder = join(workplace.directory, env['CLUSTER_NODE_ID'] ?? 'node')
  await mkdir(folder)
  const common = {
    CLUSTER_ENABLED: 'true',
    CLUSTER_TOKEN: token,
    DATA_DIR: join(folder, 'data'),
    LOG_LEVEL: 'warn',
  }
  // A settings file that lies where the bench is started is none of theirs.
  return processes.start(name, [main, 'serve'], { ...common, ...env }, folder)
}

async function untilRunning(nodes: Running[], origin: string, replicas: number): Promise<void> {
  const until = performance.now() + startTimeoutMs
  for (;;) {
    for (const node of nodes) node.assertAlive()
    const answer = await fetch(`${origin}/api/cluster/replicas/${server}`)
    const text = await answer.text()
    const running = text.match(/"phase":"running"/g)?.length ?? 0
    if (answer.status === 200 && running === replicas) return
    if (performance.now() > until) throw new Error(`Of ${replicas} replicas ${running} run: ${text}`)
    await sleep(100)
  }
}
