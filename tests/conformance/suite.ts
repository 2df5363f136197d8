import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GroupEnd, runInGroup } from './process-group.ts'
import {
  type Check,
  type Leg,
  type Requirements,
  type Revision,
  readReports,
  readRequirements,
  suiteCommand,
} from './suite-files.ts'

export interface ScenarioResult {
  name: string
  /** Whether the revision's requirements count this scenario. */
  scored: boolean
  /** At least one check of its own succeeded, and none failed. */
  passed: boolean
  failures: string[]
  warnings: string[]
  /** Ids of the checks that succeeded; the wire schema's are left out. */
  successes: string[]
}

export interface ServerRun {
  /** Must say `localhost`, or `dns-rebinding-protection` fails. */
  url: string
  requirements: Revision
  /** Everything the requirements name, unless given. One process for all takes about as long as five alone. */
  scenarios?: readonly string[]
  timeoutMs?: number
}

export interface ClientRun {
  scenario: string
  /** The words of the command; the suite appends the URL of its mock server. */
  command: readonly string[]
  requirements?: Revision
  env?: NodeJS.ProcessEnv
  timeoutMs?: number
}

interface SuiteRun extends GroupEnd {
  reports: Map<string, Check[]>
}

const SERVER_TIMEOUT_MS = 120_000
const CLIENT_TIMEOUT_MS = 30_000
/** What the suite gets on top of the client's own time to start, judge and report; a busy machine takes long for it. */
const SUITE_GRACE_MS = 15_000

export async function runServerScenarios(run: ServerRun): Promise<ScenarioResult[]> {
  const { url, requirements: revision, scenarios, timeoutMs = SERVER_TIMEOUT_MS } = run
  const required = await readRequirements(revision, 'server')
  const base = ['server', '--url', url]
  if (!scenarios) {
    const suite = await runSuite('server', [...base, '--requirements', revision], timeoutMs)
    return [...required.scored, ...required.unscored].map((name) => judge(name, required, suite))
  }
  const results: ScenarioResult[] = []
  for (const name of scenarios) {
    const args = [...base, '--scenario', name, '--spec-version', revision]
    results.push(judge(name, required, await runSuite('server', args, timeoutMs)))
  }
  return results
}

export async function runClientScenario(run: ClientRun): Promise<ScenarioResult> {
  const { scenario, command, requirements: revision = '2025-11-25', timeoutMs = CLIENT_TIMEOUT_MS } = run
  const required = await readRequirements(revision, 'client')
  // The suite starts the command through a shell and ends only the shell, hence `exec`.
  const line = `exec ${command.map(shellWord).join(' ')}`
  const args = ['client', '--scenario', scenario, '--command', line]
  args.push('--spec-version', revision, '--timeout', String(timeoutMs))
  const suite = await runSuite('client', args, timeoutMs + SUITE_GRACE_MS, run.env)
  const result = judge(scenario, required, suite)
  // With nothing to complain about in the checks, this is a client that did not end, or not well.
  if (result.passed && result.warnings.length === 0 && suite.end !== 0)
    result.warnings.push(`the client did not end well; suite: ${suite.end}\n${suite.tail}`)
  return result
}

async function runSuite(
  leg: Leg,
  args: string[],
  timeoutMs: number,
  env: NodeJS.ProcessEnv = {},
): Promise<SuiteRun> {
  const dir = await mkdtemp(join(tmpdir(), 'conformance-'))
  try {
    const end = await runInGroup({
      args: [suiteCommand, ...args, '-o', dir],
      cwd: dir,
      // The suite hands its environment on to the client, so it gets a bare one.
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      timeoutMs,
    })
    return { ...end, reports: await readReports(dir, leg) }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  }
}

function judge(name: string, required: Requirements, suite: SuiteRun): ScenarioResult {
  const checks = suite.reports.get(name) ?? []
  const textsOf = (status: Check['status']): string[] => checks.filter((c) => c.status === status).map(textOf)
  const failures = textsOf('FAILURE')
  const successes = checks
    .filter((check) => check.status === 'SUCCESS' && !check.id.startsWith('wire-schema-'))
    .map((check) => check.id)
  const passed = successes.length > 0 && failures.length === 0
  // The suite also ends with an error for a mere warning, so its end only tells something without a verdict.
  if (!passed && failures.length === 0)
    failures.push(`no check succeeded; suite: ${suite.end}\n${suite.tail}`)
  const warnings = textsOf('WARNING')
  // Its mock servers wait for their last connection, so a client that leaves a process behind shows here.
  if (passed && suite.end === 'timed out') warnings.push('the suite did not end by itself')
  return { name, scored: required.scored.includes(name), passed, failures, warnings, successes }
}

function textOf({ id, errorMessage, details, description }: Check): string {
  return `${id}: ${errorMessage ?? details?.message ?? description ?? 'no message'}`
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
