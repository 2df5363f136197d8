import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { counter } from './cluster.ts'
import { answerersBefore, checkHistory, failureLines, readJournals } from './history.ts'
import { startHub } from './hub.ts'
import { LoadGenerator, LoadSession, moment } from './load.ts'
import { until } from './wait.ts'

let journals: string
beforeAll(async () => {
  journals = await mkdtemp(join(tmpdir(), 'flotilla-load-'))
})
afterAll(() => rm(journals, { recursive: true, force: true }))

describe('a load on a hub with one process for all', () => {
  test('finds nothing wrong with it', async () => {
    await using hub = await startHub({ mcpServers: { c: counter(journals) } })
    const load = await LoadGenerator.start({ url: `${hub.url}/mcp/c`, tool: 'next', sessions: 8, pauseMs: 1 })
    await until('some calls have been made', () => load.history.length > 400)
    const verdict = checkHistory(await load.stop(), await readJournals(journals), { moves: 'never' })
    expect(verdict.violations).toEqual([])
    expect(failureLines(verdict)).toEqual([])
    expect(verdict.answered).toBeGreaterThan(400)
    expect(new Set([...answerersBefore(load.history, moment()).values()].map(({ pid }) => pid)).size).toBe(1)
  })

  test('counts the calls that a crash has cost, each with its error, and sees that sessions go on elsewhere', async () => {
    await using hub = await startHub({ mcpServers: { c: counter(journals) } })
    const load = await LoadGenerator.start({
      url: `${hub.url}/mcp/c`,
      tool: 'slow',
      args: { ms: 20 },
      sessions: 4,
    })
    const crashing = new LoadSession('crashing', { url: `${hub.url}/mcp/c`, tool: 'crash' }, [])
    expect(await crashing.call()).toMatchObject({ outcome: { kind: 'refused', code: 'upstream.lost' } })
    await crashing.close()
    const from = load.history.length
    await until('calls are answered again', () =>
      load.history.slice(from).some(({ outcome }) => outcome.kind === 'answered'),
    )
    const history = await load.stop()
    const verdict = checkHistory(history, await readJournals(journals), { moves: 'forward' })
    expect(verdict.violations).toEqual([])
    expect([...verdict.failures.keys()]).toEqual(['upstream.lost'])
    const moved = checkHistory(history, await readJournals(journals), { moves: 'never' })
    expect(moved.violations.map(({ kind }) => kind)).toEqual(['moved', 'moved', 'moved', 'moved'])
  })
})
