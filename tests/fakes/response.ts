import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'

/** The part of a ServerResponse that the hub uses, kept in memory. */
export class FakeResponse extends EventEmitter {
  status: number | undefined
  readonly headers: Record<string, string | number> = {}
  readonly writes: string[] = []
  headersSent = false
  destroyed = false
  writableEnded = false
  writableFinished = false
  /** Bytes that the client has not read; set by tests. */
  writableLength = 0

  setHeader(name: string, value: string): void {
    this.headers[name] = value
  }

  writeHead(status: number, headers: Record<string, string | number> = {}): this {
    this.status = status
    Object.assign(this.headers, headers)
    this.headersSent = true
    return this
  }

  flushHeaders(): void {
    this.headersSent = true
  }

  write(bytes: Buffer | string): boolean {
    this.writes.push(bytes.toString())
    return true
  }

  end(bytes?: Buffer | string, encoding?: BufferEncoding): this {
    if (bytes !== undefined && bytes.length > 0)
      this.writes.push((typeof bytes === 'string' ? Buffer.from(bytes, encoding) : bytes).toString())
    this.writableEnded = true
    this.writableFinished = true
    this.emit('close')
    return this
  }

  destroy(): this {
    this.destroyed = true
    this.emit('close')
    return this
  }

  /** All that was written. */
  get body(): string {
    return this.writes.join('')
  }

  /** As the hub's code takes it. */
  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse
  }
}

/** A request whose body the test writes. */
export function fakeRequest(headers: Record<string, string> = {}): {
  request: IncomingMessage
  body: PassThrough
} {
  const body = Object.assign(new PassThrough(), { headers })
  return { request: body as unknown as IncomingMessage, body }
}

/** The events in the text of a stream: their ids and data; comments are left out. */
export function eventsIn(text: string): { id: string | undefined; data: string }[] {
  return text
    .split('\n\n')
    .filter((block) => /^data:/m.test(block))
    .map((block) => ({
      id: /^id: (.*)$/m.exec(block)?.[1],
      data: /^data: (.*)$/m.exec(block)?.[1] ?? '',
    }))
}
