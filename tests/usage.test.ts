import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exportNdjson } from '../src/observability/activity/export.ts'
import { usageEntry } from './fakes/activity-entries.ts'
import { openActivity } from './harness/activity.ts'
import { connectV1 } from './harness/clients.ts'
import { startHub } from './harness/hub.ts'
import { fixture } from './harness/servers.ts'
import { until } from './harness/wait.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-usage-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Names of the tools in the database, sorted by their number. */
async function toolsIn(path: string): Promise<string[]> {
  const { storage, close } = await openActivity(path)
  try {
    const tools: string[] = []
    const read = (cursor: string | undefined) =>
      storage.activity.usage({}, { limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    for await (const lines of exportNdjson(read))
      for (const line of lines.trimEnd().split('\n')) tools.push(JSON.parse(line).tool)
    return tools.toSorted((a, b) => numberOf(a) - numberOf(b))
  } finally {
    await close()
  }
}

function numberOf(tool: string): number {
  return Number(tool.replace('tool-', ''))
}

function tools(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `tool-${n}`)
}

/** A process that notes 2,000 calls a second, and how many it says it has noted. */
function startWriter(path: string): { child: ChildProcess; noted: () => number; ended: () => boolean } {
  const file = fileURLToPath(new URL('fixtures/usage-writer.ts', import.meta.url))
  const child = spawn(process.execPath, [file, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  const ended = () => child.exitCode !== null || child.signalCode !== null
  return { child, noted: () => Number(/(\d+)\n$/.exec(out)?.[1] ?? 0), ended }
}

describe('records in a real database', () => {
  test('[R222] are there after a restart, each as it was noted', async () => {
    const { activity, storage, close } = await openActivity(folder)
    const entry = usageEntry('now', { success: false, error: 'Too late.', username: undefined })
    activity.recorder.usage(entry)
    await activity.recorder.flush()
    const { argumentsBytes: _, ...noted } = entry
    const { items } = await storage.activity.usage({}, { limit: 10 })
    expect(items).toEqual([{ ...noted, id: expect.any(String), node: 'node-1' }])
    await close()
    expect(await toolsIn(folder)).toEqual(['now'])
  })

  test('[R222] tell of each call that a client makes, and whether it went well', async () => {
    const { activity, storage, close } = await openActivity(folder)
    {
      await using hub = await startHub({ mcpServers: { m: fixture('minimal') } }, { callLog: activity.calls })
      const client = await connectV1(`${hub.url}/mcp`)
      await client.callTool({ name: 'm-echo', arguments: { text: 'hello' } })
      await client
        .callTool({ name: 'm-slow', arguments: { ms: 30_000 } }, undefined, { timeout: 100 })
        .catch(() => undefined)
      await client.callTool({ name: 'nobody', arguments: {} }).catch(() => undefined)
      await until('the call is cancelled', () => activity.recorder.status().queued === 2)
      await client.close()
    }
    await activity.recorder.flush()
    const { items } = await storage.activity.usage({}, { limit: 10 })
    const common = { server: 'm', ip: '127.0.0.1', username: undefined, arguments: undefined, node: 'node-1' }
    const sessionId = expect.stringMatching(/^[\w-]{20,}$/)
    expect(items.toSorted((a, b) => a.tool.localeCompare(b.tool))).toMatchObject([
      { ...common, tool: 'echo', success: true, error: undefined, userAgent: 'node', sessionId },
      { ...common, tool: 'slow', success: false, error: 'The client cancelled the call.', sessionId },
    ])
    await close()
  })

  test('are all there after SIGTERM', async () => {
    const { child, noted, ended } = startWriter(folder)
    await until('it has noted some', () => noted() > 2_000)
    child.kill('SIGTERM')
    await until('it has ended', ended)
    expect(child.exitCode).toBe(0)
    expect(noted()).toBeGreaterThan(2_000)
    expect(await toolsIn(folder)).toEqual(tools(noted()))
  })

  test('are there after SIGKILL, but for those of one interval', async () => {
    for (let round = 0; round < 3; round += 1) {
      const path = join(folder, String(round))
      const { child, noted, ended } = startWriter(path)
      await until('it has noted some', () => noted() > 1_000 + round * 317)
      const before = noted()
      await until('an interval and the time to write have passed', () => noted() > before + 1_600)
      child.kill('SIGKILL')
      await until('it has ended', ended)
      const kept = await toolsIn(path)
      expect(kept.length).toBeGreaterThanOrEqual(before)
      expect(kept).toEqual(tools(kept.length))
    }
  })
})
