import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { EventDecoder, type ServerSentEvent } from '../../src/mcp/event-stream.ts'

export interface OpenEvents {
  readonly status: number
  /** What has come so far. */
  readonly events: readonly ServerSentEvent[]
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>
  /** Breaks the connection off, as a lost network would. */
  cut(): void
}

/** Opens a text/event-stream and reads it in the background. */
export async function openEvents(
  url: string,
  { method, headers, body }: { method: string; headers: Record<string, string>; body?: string },
): Promise<OpenEvents> {
  let request: ClientRequest | undefined
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request = httpRequest(url, { method, headers, agent: false }, resolve)
    request.on('error', reject)
    request.end(body)
  })
  const events: ServerSentEvent[] = []
  const decoder = new EventDecoder({
    limit: 10_000_000,
    onEvent: (event) => events.push(event),
    onRetry: () => undefined,
    onTooLong: () => undefined,
  })
  response.on('data', (chunk: Buffer) => decoder.push(chunk))
  const ended = new Promise<void>((resolve) => {
    response.on('close', () => resolve())
    response.on('error', () => resolve())
  })
  return { status: response.statusCode ?? 0, events, ended, cut: () => void request?.destroy() }
}

/** What the events of a whole stream say, those left out that say nothing. */
export function dataOf(stream: string): string[] {
  return stream.split(/\r?\n/).flatMap((line) => {
    const data = line.startsWith('data:') ? line.slice('data:'.length).trim() : ''
    return data === '' ? [] : [data]
  })
}
