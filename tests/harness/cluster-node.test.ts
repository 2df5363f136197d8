import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { counter } from './cluster.ts'
import { ClusterNode, processesOf } from './cluster-node.ts'
import { LoadSession } from './load.ts'
import { isAlive, until } from './wait.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-node-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))

function start(settings: Record<string, unknown>): Promise<ClusterNode> {
  return ClusterNode.start({ name: 'node', folder: join(folder, 'node'), settings, env: {} })
}

describe('a node that a test has started', () => {
  test('has its log, its port after a restart, and leaves no process when it is killed', async () => {
    const node = await start({ mcpServers: { c: counter(join(folder, 'journals')) } })
    try {
      const session = new LoadSession('s', { url: `${node.url}/mcp/c`, tool: 'next' }, [])
      expect(await session.call()).toMatchObject({ outcome: { kind: 'answered', by: { ppid: node.pid } } })
      const found = (await processesOf(folder)).join('\n')
      for (const part of ['serve', 'flotilla-guardian', 'counter.ts']) expect(found).toContain(part)
      const first = node.pid
      await node.restart()
      expect(node.pid).not.toBe(first)
      expect(isAlive(first)).toBe(false)
      await until('only the new ones are left', async () => {
        const left = await processesOf(folder)
        return left.filter((line) => line.includes('counter.ts')).length === 1
      })
      expect(node.log.match(/Running in standalone mode/g)).toHaveLength(2)
    } finally {
      await node.kill()
    }
    expect(node.running).toBe(false)
    await until('all have ended', async () => (await processesOf(folder)).length === 0)
  })

  test('can be stopped for a while, and ends when it is killed meanwhile', async () => {
    const node = await start({ mcpServers: {} })
    node.signal('SIGSTOP')
    const answer = fetch(`${node.url}/livez`).then(({ status }) => status)
    const soon = new Promise((resolve) => setTimeout(resolve, 200, 'nothing yet'))
    expect(await Promise.race([answer, soon])).toBe('nothing yet')
    node.signal('SIGCONT')
    expect(await answer).toBe(200)
    node.signal('SIGSTOP')
    await node.kill()
    expect(await processesOf(folder)).toEqual([])
  })

  test('that ends by itself is an error with its log', async () => {
    await expect(start({ mcpServers: { c: { command: 1 } } })).rejects.toThrow(
      /node has ended with 78[\s\S]*mcpServers/,
    )
    expect(await processesOf(folder)).toEqual([])
  })

  test('ends with the process of its test, whatever ends that', async () => {
    const module = new URL('./cluster-node.ts', import.meta.url).href
    const setup = { name: 'node', folder: join(folder, 'node'), settings: { mcpServers: {} }, env: {} }
    const script = `
      const { ClusterNode } = await import(${JSON.stringify(module)})
      const node = await ClusterNode.start(${JSON.stringify(setup)})
      process.stdout.write(String(node.pid), () => process.kill(process.pid, 'SIGKILL'))
    `
    const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect(signal).toBe('SIGKILL')
    await until('the node has ended', () => !isAlive(Number(stdout.toString())))
  })

  test('ends well when it is told to', async () => {
    const node = await start({ mcpServers: {} })
    expect(await node.stop()).toBe(0)
    expect(await node.stop()).toBe('not running')
  })
})
