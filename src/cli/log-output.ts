import { destination } from 'pino'
import { build } from 'pino-pretty'
import { createLogger, type Logger, type LogLevel } from '../kernel/logger.ts'

/** The hub's log on stderr: JSON lines for programs, readable lines on a terminal. */
export function hubLogger(level: LogLevel): Logger {
  const stderr = 2
  if (!process.stderr.isTTY) return createLogger(level, destination({ dest: stderr, sync: true }))
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
  )
}
