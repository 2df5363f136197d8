import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

/** A call as its client saw it. Times in ms since the epoch. */
export interface CallRecord {
  /** Unique; the server writes it into its journal. */
  readonly id: string
  /** Who called: stays the same when a new session takes the place of a lost one. */
  readonly client: string
  readonly session: string
  readonly tool: string
  readonly sentAt: number
  endedAt: number | undefined
  outcome: Outcome
}

/**
 * `pending`: nothing has come yet. `refused`: an error, with its code in the hub's words or the number of JSON-RPC.
 * `silent`: the connection broke off, or time ran out, without an answer.
 */
export type Outcome =
  | { readonly kind: 'pending' }
  | { readonly kind: 'answered'; readonly by: Answerer; readonly times: number }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly times: number }
  | { readonly kind: 'silent'; readonly why: string }

/** The process that answered, as it tells itself. */
export interface Answerer {
  readonly replica: string
  readonly pid: number
  /** The node's process. */
  readonly ppid: number
  /** Calls of that session that this process has executed, this one included. */
  readonly session: number
}

/** A call as a server has executed it; `at` in ms since the epoch. */
export interface Executed {
  readonly call: string
  readonly session: string
  readonly tool: string
  readonly replica: string
  readonly at: number
}

export interface Rules {
  /** Tools that only read: they may be executed again after a loss. */
  readonly repeatable?: ReadonlySet<string>
  /** `never`: a session stays with its first replica. `forward`: it may move, but never comes back to one that it has left. */
  readonly moves?: 'never' | 'forward' | 'any'
}

export type ViolationKind =
  | 'no answer'
  | 'answered twice'
  | 'unclear error'
  | 'executed twice'
  | 'answered, never executed'
  | 'answered by another'
  | 'moved'
  | 'came back'

export interface Violation {
  readonly kind: ViolationKind
  readonly session: string
  /** What happened, as a sentence. */
  readonly text: string
}

export interface Verdict {
  readonly answered: number
  /** Calls that ended with an error, by its code. */
  readonly failures: ReadonlyMap<string, readonly CallRecord[]>
  /** Calls of `repeatable` tools that were executed more than once. */
  readonly repeated: number
  readonly violations: readonly Violation[]
}

const executedSchema = z.object({
  call: z.string(),
  session: z.string(),
  tool: z.string(),
  replica: z.string(),
  at: z.number(),
})

/** What all servers of a folder have executed, oldest first. A line that its process could not finish counts for nothing. */
export async function readJournals(folder: string): Promise<Executed[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.journal'))
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  const lines = texts.flatMap((text) => text.split('\n').slice(0, -1))
  return lines.map((line) => executedSchema.parse(JSON.parse(line))).sort((a, b) => a.at - b.at)
}

/**
 * Holds a history against what the servers say: each call has exactly one answer or one clear error, none was executed twice, and
 * sessions moved only as `rules` allow.
 */
export function checkHistory(
  history: readonly CallRecord[],
  journals: readonly Executed[],
  { repeatable = new Set(), moves = 'any' }: Rules = {},
): Verdict {
  const executions = Map.groupBy(journals, ({ call }) => call)
  const own = new Set(history.map(({ id }) => id))
  const seen = journals.filter(({ call }) => own.has(call))
  const twice = [...executions].filter(([call, runs]) => own.has(call) && runs.length > 1)
  const isRepeatable = ([, [run]]: [string, Executed[]]) => run !== undefined && repeatable.has(run.tool)
  return {
    answered: history.filter(({ outcome }) => outcome.kind === 'answered').length,
    failures: failuresOf(history),
    repeated: twice.filter(isRepeatable).length,
    violations: [
      ...history.flatMap((record) => answerViolations(record, executions.get(record.id) ?? [])),
      ...twice.filter((entry) => !isRepeatable(entry)).map(([call, runs]) => executedTwice(call, runs)),
      ...(moves === 'any' ? [] : moveViolations(seen, moves)),
    ],
  }
}

function failuresOf(history: readonly CallRecord[]): Map<string, CallRecord[]> {
  return Map.groupBy(
    history.filter(({ outcome }) => outcome.kind === 'refused' || outcome.kind === 'silent'),
    ({ outcome }) => (outcome.kind === 'refused' ? outcome.code : 'silent'),
  )
}

function answerViolations(record: CallRecord, runs: readonly Executed[]): Violation[] {
  const { id, session, outcome } = record
  const say = (kind: ViolationKind, what: string): Violation => ({
    kind,
    session,
    text: `Call ${id} ${what}.`,
  })
  switch (outcome.kind) {
    case 'pending':
      return [say('no answer', 'was never answered')]
    case 'silent':
      return [say('no answer', `ended without an answer: ${outcome.why}`)]
    case 'refused':
      return [
        ...(outcome.times > 1 ? [say('answered twice', `was answered ${outcome.times} times`)] : []),
        ...(isClear(outcome) ? [] : [say('unclear error', `failed with ${JSON.stringify(outcome)}`)]),
      ]
    case 'answered': {
      const { by, times } = outcome
      const found = [...(times > 1 ? [say('answered twice', `was answered ${times} times`)] : [])]
      if (runs.length === 0)
        found.push(say('answered, never executed', 'was answered, but no server knows it'))
      else if (!runs.some(({ replica }) => replica === by.replica))
        found.push(say('answered by another', `was answered by ${by.replica}, executed by ${namesOf(runs)}`))
      return found
    }
  }
}

/** An error that names itself, and says in a sentence what happened. */
function isClear({ code, message }: { code: string; message: string }): boolean {
  return code !== '' && code !== 'internal' && message.split(' ').length >= 3
}

function executedTwice(call: string, runs: readonly Executed[]): Violation {
  const session = runs[0]?.session ?? ''
  return { kind: 'executed twice', session, text: `Call ${call} was executed by ${namesOf(runs)}.` }
}

function namesOf(runs: readonly Executed[]): string {
  return runs.map(({ replica, at }) => `${replica} at ${new Date(at).toISOString()}`).join(' and ')
}

/** Looks at executions, not at answers: also a call whose answer was lost has held the session. */
function moveViolations(journals: readonly Executed[], moves: 'never' | 'forward'): Violation[] {
  return [...Map.groupBy(journals, ({ session }) => session)].flatMap(([session, runs]): Violation[] => {
    const path = runs.toSorted((a, b) => a.at - b.at).map(({ replica }) => replica)
    const stations = path.filter((replica, n) => replica !== path[n - 1])
    const text = `The session went ${stations.join(' → ')}.`
    if (moves === 'never' && stations.length > 1) return [{ kind: 'moved', session, text }]
    if (new Set(stations).size < stations.length) return [{ kind: 'came back', session, text }]
    return []
  })
}

/**
 * By client, how long after `at` its first call that was sent then or later was answered well, ms.
 * `Infinity` where none was. Calls in flight at that moment count for nothing.
 */
export function timesToNextSuccess(history: readonly CallRecord[], at: number): Map<string, number> {
  return new Map(
    [...Map.groupBy(history, ({ client }) => client)].map(([client, records]) => {
      const ends = records.flatMap(({ sentAt, endedAt, outcome }) =>
        sentAt >= at && outcome.kind === 'answered' && endedAt !== undefined ? [endedAt - at] : [],
      )
      return [client, Math.min(Number.POSITIVE_INFINITY, ...ends)]
    }),
  )
}

/** By client, who answered its last call before `at`. */
export function answerersBefore(history: readonly CallRecord[], at: number): Map<string, Answerer> {
  const last = new Map<string, { readonly endedAt: number; readonly by: Answerer }>()
  for (const { client, endedAt, outcome } of history) {
    if (outcome.kind !== 'answered' || endedAt === undefined || endedAt > at) continue
    if (endedAt >= (last.get(client)?.endedAt ?? 0)) last.set(client, { endedAt, by: outcome.by })
  }
  return new Map([...last].map(([client, { by }]) => [client, by]))
}

/** For assertions: the failures as `code × count: an example`, so that a red test says what happened. */
export function failureLines({ failures }: Verdict): string[] {
  return [...failures].map(([code, records]) => {
    const outcome = records[0]?.outcome
    const example =
      outcome?.kind === 'refused' ? outcome.message : outcome?.kind === 'silent' ? outcome.why : ''
    return `${code} × ${records.length}: ${example}`
  })
}
