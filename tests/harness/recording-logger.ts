import type { Logger } from '../../src/kernel/logger.ts'
import type { LogLine } from './hub.ts'

/** A logger that keeps what it is told. */
export function recordingLogger(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = []
  const make = (base: Record<string, unknown>): Logger => {
    const at = (level: LogLine['level']) => (fields: Record<string, unknown>, message: string) => {
      lines.push({ level, message, fields: { ...base, ...fields } })
    }
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => make({ ...base, ...fields }),
    }
  }
  return { logger: make({}), lines }
}
