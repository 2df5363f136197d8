import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type CallRecord,
  checkHistory,
  type Executed,
  failureLines,
  type Outcome,
  readJournals,
  timesToNextSuccess,
} from './history.ts'

function answered(replica: string, times = 1): Outcome {
  return { kind: 'answered', by: { replica, pid: 1, ppid: 1, session: 1 }, times }
}

function refused(code: string, message = 'The server went away.'): Outcome {
  return { kind: 'refused', code, message, times: 1 }
}

/** Calls of one session, one each 10 ms, each answered after 5. */
function calls(...outcomes: Outcome[]): CallRecord[] {
  return outcomes.map((outcome, n) => ({
    id: `c${n}`,
    client: 'ann',
    session: 'ann.1',
    tool: 'next',
    sentAt: 1_000 + n * 10,
    endedAt: 1_005 + n * 10,
    outcome,
  }))
}

function executed(...runs: (readonly [call: string, replica: string])[]): Executed[] {
  return runs.map(([call, replica], n) => ({
    call,
    replica,
    session: 'ann.1',
    tool: 'next',
    at: 1_001 + n * 10,
  }))
}

function kinds(...args: Parameters<typeof checkHistory>): string[] {
  return checkHistory(...args).violations.map(({ kind }) => kind)
}

describe('a history without fault', () => {
  test('has one answer or one clear error for each call', () => {
    const history = calls(answered('a'), refused('upstream.lost'), answered('a'))
    const verdict = checkHistory(history, executed(['c0', 'a'], ['c1', 'a'], ['c2', 'a']), { moves: 'never' })
    expect(verdict).toMatchObject({ answered: 2, repeated: 0, violations: [] })
    expect(failureLines(verdict)).toEqual(['upstream.lost × 1: The server went away.'])
  })

  test('may have errors of calls that nobody has executed', () => {
    expect(kinds(calls(refused('server.unavailable')), [])).toEqual([])
  })

  test('knows nothing of the calls of others in the same journals', () => {
    expect(kinds(calls(answered('a')), executed(['c0', 'a'], ['other', 'b'], ['other', 'b']))).toEqual([])
  })
})

describe('the checker catches', () => {
  test('a call that was never answered', () => {
    expect(kinds(calls({ kind: 'pending' }), executed(['c0', 'a']))).toEqual(['no answer'])
  })

  test('silence', () => {
    const history = calls({ kind: 'silent', why: 'socket hang up' })
    expect(kinds(history, executed(['c0', 'a']))).toEqual(['no answer'])
    expect(failureLines(checkHistory(history, []))).toEqual(['silent × 1: socket hang up'])
  })

  test('two answers', () => {
    expect(kinds(calls(answered('a', 2)), executed(['c0', 'a']))).toEqual(['answered twice'])
    expect(kinds(calls({ ...refused('upstream.lost'), times: 2 } as Outcome), [])).toEqual(['answered twice'])
  })

  test.each([
    ['without a name', refused('')],
    ['that is a bug', refused('internal')],
    ['without a sentence', refused('upstream.lost', 'oops')],
  ])('an error %s', (_what, outcome) => {
    expect(kinds(calls(outcome), [])).toEqual(['unclear error'])
  })

  test('a second execution, whether the client was answered or not', () => {
    expect(kinds(calls(answered('b')), executed(['c0', 'a'], ['c0', 'b']))).toEqual(['executed twice'])
    expect(kinds(calls(refused('upstream.lost')), executed(['c0', 'a'], ['c0', 'a']))).toEqual([
      'executed twice',
    ])
  })

  test('a second execution even of what may be repeated, as a count', () => {
    const rules = { repeatable: new Set(['next']) }
    const verdict = checkHistory(calls(answered('b')), executed(['c0', 'a'], ['c0', 'b']), rules)
    expect(verdict).toMatchObject({ repeated: 1, violations: [] })
  })

  test('an answer that no server has given', () => {
    expect(kinds(calls(answered('a')), [])).toEqual(['answered, never executed'])
    expect(kinds(calls(answered('a')), executed(['c0', 'b']))).toEqual(['answered by another'])
  })

  test('a session that moves where it must not', () => {
    const history = calls(answered('a'), answered('b'))
    const journals = executed(['c0', 'a'], ['c1', 'b'])
    expect(kinds(history, journals, { moves: 'never' })).toEqual(['moved'])
    expect(kinds(history, journals, { moves: 'forward' })).toEqual([])
  })

  test('two replicas that hold one session at once', () => {
    const history = calls(answered('a'), answered('b'), answered('a'))
    const journals = executed(['c0', 'a'], ['c1', 'b'], ['c2', 'a'])
    expect(kinds(history, journals, { moves: 'forward' })).toEqual(['came back'])
    expect(kinds(history, journals)).toEqual([])
  })

  test('a replica that goes on with a session although its client was told of a loss', () => {
    const history = calls(answered('a'), refused('upstream.lost'), answered('b'))
    // The lost call reached the old replica only after the new one had begun.
    const journals = executed(['c0', 'a'], ['c2', 'b'], ['c1', 'a'])
    expect(kinds(history, journals, { moves: 'forward' })).toEqual(['came back'])
  })
})

describe('the time to the next success', () => {
  test('counts from the moment to the end of the first good call that was sent after it', () => {
    const history = calls(answered('a'), refused('upstream.lost'), answered('b'), answered('b'))
    expect(timesToNextSuccess(history, 1_008)).toEqual(new Map([['ann', 17]]))
    // In flight at the moment: it may have been executed long before.
    expect(timesToNextSuccess(history, 1_021)).toEqual(new Map([['ann', 14]]))
  })

  test('is infinite where nothing good came', () => {
    expect(timesToNextSuccess(calls(answered('a')), 1_001)).toEqual(
      new Map([['ann', Number.POSITIVE_INFINITY]]),
    )
  })
})

describe('journals', () => {
  test('are read in the order of time, without the line that a killed process could not finish', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flotilla-journals-'))
    try {
      const [first, second, third] = executed(['c0', 'a'], ['c1', 'b'], ['c2', 'a'])
      await writeFile(
        join(folder, 'a.journal'),
        `${JSON.stringify(first)}\n${JSON.stringify(third)}\n{"call":"c`,
      )
      await writeFile(join(folder, 'b.journal'), `${JSON.stringify(second)}\n`)
      await writeFile(join(folder, 'other.txt'), 'no journal')
      expect(await readJournals(folder)).toEqual([first, second, third])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
