/** The minimal server's tools as a streamable-HTTP server that answers JSON: `node bench/http-server.ts <port>`. */

import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'

type Message = {
  id?: number | string
  method: string
  params?: { name?: string; arguments?: { text?: string } }
}

const inputSchema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }
const tools = [{ name: 'echo', description: 'Gives the text back.', inputSchema }]

function resultOf({ method, params }: Message): unknown {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'http-minimal', version: '1.0.0' },
      }
    case 'tools/list':
      return { tools }
    case 'tools/call':
      return { content: [{ type: 'text', text: params?.arguments?.text }] }
    case 'ping':
      return {}
    default:
      return undefined
  }
}

function answer(message: Message, response: ServerResponse): void {
  if (message.id === undefined) {
    response.writeHead(202).end()
    return
  }
  const result = resultOf(message)
  const error = { code: -32601, message: `Method not found: ${message.method}` }
  const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result ? { result } : { error }) })
  if (message.method === 'initialize') response.setHeader('Mcp-Session-Id', randomUUID())
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
  response.writeHead(200, headers).end(body)
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    // No stream of its own, and sessions are nothing to keep: 405 says so in the words of the specification.
    response.writeHead(request.method === 'DELETE' ? 200 : 405).end()
    return
  }
  let body = ''
  request.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk
  })
  request.on('end', () => answer(JSON.parse(body), response))
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  process.stdout.write(`listening http://127.0.0.1:${port}/mcp\n`)
})
process.on('SIGTERM', () => process.exit(0))
