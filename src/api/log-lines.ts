import type { LogLine } from '../observability/log-lines.ts'
import type { Streamed } from './route.ts'

/** Lines as the contract has them. */
export function linesOf(lines: readonly LogLine[]): Record<string, unknown>[] {
  return lines.map(({ server, ...line }) => (server === undefined ? line : { ...line, server }))
}

/** Lines as server-sent events: first those that are there, then those to come. */
export function eventsOf(recent: readonly LogLine[], coming: AsyncIterable<LogLine>): Streamed {
  return { stream: encode(recent, coming), contentType: 'text/event-stream' }
}

async function* encode(recent: readonly LogLine[], coming: AsyncIterable<LogLine>): AsyncGenerator<string> {
  // Says at once that the stream is open, also where nothing has been logged yet.
  yield ': open\n\n'
  for (const line of recent) yield eventOf(line)
  for await (const line of coming) yield eventOf(line)
}

function eventOf(line: LogLine): string {
  return `data: ${JSON.stringify(line)}\n\n`
}
