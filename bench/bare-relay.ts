/** The yardstick: the least that can stand between an HTTP client and a stdio server, written straight.
 *  `node bench/bare-relay.ts <port>` relays `POST /mcp` to one minimal server. */

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'

type Params = { _meta?: { progressToken?: unknown }; progressToken?: unknown }
type Message = { id?: number | string; method?: string; params?: Params }
type Waiting = { id: number | string; token: unknown; response: ServerResponse }

const fixture = fileURLToPath(new URL('../tests/fixtures/servers/minimal.ts', import.meta.url))
const child = spawn(process.execPath, [fixture], { stdio: ['pipe', 'pipe', 'inherit'] })
const waiting = new Map<unknown, Waiting>()
let lastId = 0
let partialLine = ''

function ask(message: Message, response: ServerResponse): void {
  if (message.id === undefined) {
    response.writeHead(202).end()
  } else {
    const meta = message.params?._meta
    waiting.set(++lastId, { id: message.id, token: meta?.progressToken, response })
    if (meta?.progressToken !== undefined) meta.progressToken = lastId
    message.id = lastId
    if (message.method === 'initialize') response.setHeader('Mcp-Session-Id', randomUUID())
  }
  child.stdin.write(`${JSON.stringify(message)}\n`)
}

function answer(message: Message): void {
  const ours = message.id ?? message.params?.progressToken
  const call = waiting.get(ours)
  if (!call) return
  const { id, token, response } = call
  if (message.id !== undefined) {
    waiting.delete(ours)
    message.id = id
  } else if (message.params) {
    message.params.progressToken = token
  }
  const body = JSON.stringify(message)
  if (token === undefined) {
    const length = Buffer.byteLength(body)
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': length }).end(body)
    return
  }
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  const event = `event: message\ndata: ${body}\n\n`
  if (message.id === undefined) response.write(event)
  else response.end(event)
}

child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = chunk.split('\n')
  lines[0] = partialLine + lines[0]
  partialLine = lines.pop() ?? ''
  for (const line of lines) answer(JSON.parse(line))
})

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk
  })
  request.on('end', () => (body === '' ? response.end() : ask(JSON.parse(body), response)))
})
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  process.stdout.write(`listening http://127.0.0.1:${port}/mcp\n`)
})
child.on('exit', () => process.exit(1))
process.on('SIGTERM', () => {
  child.kill()
  process.exit(0)
})
