import { fileURLToPath } from 'node:url'

/** Settings of a fixture server over stdio. */
export function fixture(
  name: 'minimal' | 'honest' | 'broken' | 'scripted',
  ...args: string[]
): { command: string; args: string[] } {
  const path = fileURLToPath(new URL(`../fixtures/servers/${name}.ts`, import.meta.url))
  return { command: process.execPath, args: [path, ...args] }
}

/** Settings of one of the official servers that the project installs. */
export function official(
  name: 'everything' | 'filesystem' | 'memory',
  ...args: string[]
): { command: string; args: string[] } {
  const path = fileURLToPath(import.meta.resolve(`@modelcontextprotocol/server-${name}/dist/index.js`))
  return { command: process.execPath, args: [path, ...args] }
}
