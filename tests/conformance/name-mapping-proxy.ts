import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { type Mapping, mapEvent, mapJson, withoutPrefix, withPrefix } from './name-mapping.ts'

export interface NameMappingProxy {
  url: string
  close(): Promise<void>
}

/** Where the conformance suite talks to an endpoint that prefixes names, using the names it knows. */
export interface NameMappingOptions {
  /** The MCP endpoint behind the proxy, over plain HTTP. */
  target: string
  /** For example `ref-`. */
  prefix: string
}

/**
 * Not passed on: what belongs to one connection only, the length of a body that may change,
 * and the client's wish for compression, since a compressed body could not be mapped.
 */
const DROPPED = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'accept-encoding',
])

export async function startNameMappingProxy(options: NameMappingOptions): Promise<NameMappingProxy> {
  const target = new URL(options.target)
  const toTarget: Mapping = (message) => withPrefix(message, options.prefix)
  const toClient: Mapping = (message) => withoutPrefix(message, options.prefix)

  const server = createServer((req, res) => {
    relay(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy()
      else res.writeHead(502, { 'content-type': 'text/plain' }).end(`name-mapping proxy: ${error}`)
    })
  })

  async function relay(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = mapJson(await buffer(req), toTarget)
    const gone = new AbortController()
    res.once('close', () => gone.abort())
    const headers = endToEnd(req.rawHeaders)
    if (body.length > 0) headers.push('Content-Length', String(body.length))
    const outgoing = request(new URL(req.url ?? '/', target), {
      method: req.method,
      headers,
      // The client's own Host goes on, so that the target's check of it is what gets measured.
      setHost: false,
      agent: false,
      signal: gone.signal,
    })
    outgoing.end(body)
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    outgoing.on('error', (error) => incoming.destroy(error))
    await answer(incoming, res, toClient)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port')
  return {
    url: `http://localhost:${address.port}${target.pathname}${target.search}`,
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(incoming: IncomingMessage, res: ServerResponse, map: Mapping): Promise<void> {
  const type = incoming.headers['content-type'] ?? ''
  const headers = endToEnd(incoming.rawHeaders)
  if (type.includes('text/event-stream')) {
    res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, headers)
    res.flushHeaders()
    await pipeline(incoming, eventMapper(map), res)
    return
  }
  const body = await buffer(incoming)
  const mapped = type.includes('application/json') ? mapJson(body, map) : body
  // A 204 must not have a length.
  if (incoming.statusCode !== 204) headers.push('Content-Length', String(mapped.length))
  res.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, headers).end(mapped)
}

function endToEnd(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, i) => !DROPPED.has(rawHeaders[i - (i % 2)]?.toLowerCase() ?? ''))
}

/** Hands each event on as soon as its blank line has arrived. */
function eventMapper(map: Mapping): Transform {
  let pending = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        const blank = /\r\n\r\n|\n\n|\r\r/.exec(pending.toString('latin1'))
        if (!blank) break
        const end = blank.index + blank[0].length
        this.push(mapEvent(pending.subarray(0, end), map))
        pending = pending.subarray(end)
      }
      done()
    },
    flush(done) {
      done(null, pending)
    },
  })
}
