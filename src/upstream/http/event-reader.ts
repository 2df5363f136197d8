import { HubError, messageOf } from '../../domain/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { EventDecoder, type ServerSentEvent } from '../../mcp/event-stream.ts'
import { brokenOff, type HttpResponse, mediaType } from './http-request.ts'

export interface EventReaderOptions {
  readonly server: string
  readonly log: Logger
  readonly maxEventBytes: number
  readonly onEvent: (event: ServerSentEvent) => void
  readonly onRetry: (ms: number) => void
  /** Asked after each piece: whether what the reader waits for has come. */
  readonly done: () => boolean
}

export function isEventStream(response: HttpResponse): boolean {
  return response.status === 200 && mediaType(response.headers) === 'text/event-stream'
}

/**
 * Reads a response to its end, or until `done`.
 * @returns what broke the stream off; undefined when it ended as it should
 * @throws HubError `upstream.invalid` for an event that is too long
 */
export async function readEvents(
  response: HttpResponse,
  options: EventReaderOptions,
): Promise<HubError | undefined> {
  let tooLong = false
  let broken: HubError | undefined
  const decoder = new EventDecoder({
    limit: options.maxEventBytes,
    onEvent: options.onEvent,
    onRetry: options.onRetry,
    onTooLong: () => {
      tooLong = true
    },
  })
  try {
    for await (const chunk of response.body) {
      decoder.push(chunk as Buffer)
      if (tooLong || options.done()) break
    }
  } catch (error) {
    options.log.debug({ reason: messageOf(error) }, 'a stream of the server broke off')
    broken = brokenOff(options.server, error)
  }
  response.body.destroy()
  if (tooLong)
    throw new HubError(
      'upstream.invalid',
      `Server "${options.server}" sent an event of more than ${options.maxEventBytes} bytes.`,
      {
        data: { server: options.server },
      },
    )
  return broken
}
