import { readFileSync } from 'node:fs'

// The same relative place from src/kernel and from the compiled dist/kernel.
const packageJson: { version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)

/** The version of this build, as package.json has it. */
export const VERSION: string = packageJson.version
