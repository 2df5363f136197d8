import { destination } from 'pino'
import { build } from 'pino-pretty'
import { createLogger, type Logger, type LogLevel } from '../kernel/logger.ts'

/**
 * The hub's log on stderr: JSON lines for programs, readable lines on a terminal.
 * @param filter sees each line as JSON before it is written, such as to take secrets out of it
 */
export function hubLogger(level: LogLevel, filter?: (line: string) => string): Logger {
  const stderr = 2
  if (!process.stderr.isTTY) return createLogger(level, destination({ dest: stderr, sync: true }), filter)
  const colorize = process.env['NO_COLOR'] === undefined
  return createLogger(
    level,
    build({
      destination: stderr,
      sync: true,
      colorize,
      messageKey: 'msg',
      timestampKey: 'time',
      translateTime: 'HH:MM:ss',
    }),
    filter,
  )
}
