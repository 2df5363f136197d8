import { processOutput } from './cli/output.ts'
import { runCli } from './cli/program.ts'

const exitNow = (code: number) => process.exit(code)
const output = processOutput(exitNow)

exitNow(await runCli({ argv: process.argv, environment: process.env, output, exitNow }))
