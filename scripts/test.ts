/** Every check there is, one after the other: types, lint, then all suites. The last line says how it went. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
}

const folder = await mkdtemp(join(tmpdir(), 'flotilla-checks-'))
const report = join(folder, 'vitest.json')
let passed = 0
let failed = 0
let skipped = 0

for (const [name, args] of [
  ['types', ['tsc', '-p', '.']],
  ['lint', ['biome', 'check', '--error-on-warnings', '.']],
] as const) {
  process.stdout.write(`\n== ${name}\n`)
  if ((await run(args)) === 0) passed += 1
  else failed += 1
}

process.stdout.write('\n== suites\n')
const code = await run([
  'vitest',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
])
try {
  const counts = JSON.parse(await readFile(report, 'utf8')) as VitestReport
  passed += counts.numPassedTests
  failed += counts.numFailedTests
  skipped = counts.numPendingTests + counts.numTodoTests
} catch (error) {
  process.stdout.write(`The suites left no report: ${String(error)}\n`)
}
// A file that cannot even be loaded fails no test of its own.
if (code !== 0 && failed === 0) failed = 1
await rm(folder, { recursive: true, force: true })
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs a program of node_modules/.bin; resolves with its exit code. */
function run([program, ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? '', args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('close', (exit) => resolve(exit ?? 1))
  })
}
