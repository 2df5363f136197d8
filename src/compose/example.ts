import { access, copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Settings for a first look: three official servers that come with the hub, started by the Node that runs it, so that
 * nothing has to be fetched.
 */
export async function exampleSettings(dataDir: string): Promise<Record<string, unknown>> {
  const files = join(dataDir, 'example-files')
  await mkdir(files, { recursive: true })
  const welcome = join(files, 'welcome.txt')
  const exists = await access(welcome).then(
    () => true,
    () => false,
  )
  if (!exists) await copyFile(new URL('../../examples/welcome.txt', import.meta.url), welcome)
  const server = (name: string, args: string[] = [], env: Record<string, string> = {}) => ({
    type: 'stdio',
    command: process.execPath,
    args: [entryOf(name), ...args],
    env,
  })
  return {
    mcpServers: {
      everything: { ...server('everything'), description: 'Shows everything that MCP can do.' },
      filesystem: { ...server('filesystem', [files]), description: `Reads and writes files in ${files}.` },
      memory: {
        ...server('memory', [], { MEMORY_FILE_PATH: join(dataDir, 'example-memory.jsonl') }),
        description: 'Remembers facts as a graph.',
      },
    },
  }
}

function entryOf(name: string): string {
  return fileURLToPath(import.meta.resolve(`@modelcontextprotocol/server-${name}/dist/index.js`))
}
