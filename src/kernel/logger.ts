import { type DestinationStream, pino } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

type Fields = Record<string, unknown>

/** Structured logging: fields first, then a sentence. `error` under the key `err` keeps its stack and cause. */
export interface Logger {
  debug(fields: Fields, message: string): void
  info(fields: Fields, message: string): void
  warn(fields: Fields, message: string): void
  error(fields: Fields, message: string): void
  child(fields: Fields): Logger
}

/**
 * A logger that writes JSON lines (RFC 3339 time) to `destination`.
 * @param filter sees each line last, such as to take secrets out of it
 */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream,
  filter?: (line: string) => string,
): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      ...(filter ? { hooks: { streamWrite: filter } } : {}),
    },
    destination,
  )
}
