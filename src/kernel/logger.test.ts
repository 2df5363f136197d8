import { describe, expect, test } from 'vitest'
import { createLogger } from './logger.ts'

/** What a logger writes, one parsed line each. */
function written(
  level: Parameters<typeof createLogger>[0],
  write: (log: ReturnType<typeof createLogger>) => void,
) {
  const lines: Record<string, unknown>[] = []
  write(createLogger(level, { write: (line: string) => void lines.push(JSON.parse(line)) }))
  return lines
}

describe('the log', () => {
  test('a line is JSON with its level by name, an RFC 3339 time, its fields and a sentence', () => {
    const [line] = written('info', (log) => log.info({ server: 'time' }, 'a server is up'))
    expect(line).toMatchObject({ level: 'info', server: 'time', msg: 'a server is up' })
    expect(new Date(String(line?.['time'])).toISOString()).toBe(line?.['time'])
  })

  test('lines below the level are left out', () => {
    const lines = written('warn', (log) => {
      log.debug({}, 'a')
      log.info({}, 'b')
      log.warn({}, 'c')
      log.error({}, 'd')
    })
    expect(lines.map(({ msg }) => msg)).toEqual(['c', 'd'])
  })

  test('an error keeps its stack and the cause behind it', () => {
    const error = new Error('outer', { cause: new Error('inner') })
    const [line] = written('info', (log) => log.error({ err: error }, 'it failed'))
    const err = line?.['err'] as Record<string, unknown>
    expect(err['message']).toContain('outer')
    expect(err['stack']).toContain('inner')
  })

  test('a child adds its fields to each line', () => {
    const [line] = written('info', (log) => log.child({ server: 'time' }).info({ tool: 'now' }, 'called'))
    expect(line).toMatchObject({ server: 'time', tool: 'now' })
  })

  test('a filter sees each line last, with everything that stands in it', () => {
    const lines: string[] = []
    const hide = (line: string) => line.replaceAll('canary', 'hidden')
    const log = createLogger('info', { write: (line: string) => void lines.push(line) }, hide)
    log.child({ key: 'canary' }).warn({ err: new Error('canary'), deep: [{ a: 'canary' }] }, 'a canary')
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain('canary')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ key: 'hidden', msg: 'a hidden' })
  })

  test('silent says nothing', () => {
    expect(written('silent', (log) => log.error({}, 'a'))).toEqual([])
  })
})
