import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'

const FILE = 'cluster-term'
/** Counting in minutes leaves room for the epochs, which travel as 48 bits. */
const MINUTE_MS = 60_000

/**
 * A number for this run of a coordinator that is higher than that of any run before, on this data folder or, as far as clocks agree, on
 * another: what an earlier run has placed is older by it.
 * @throws HubError `settings.invalid` when it cannot be kept
 */
export async function nextTerm(dataDir: string, clock: Clock): Promise<number> {
  const path = join(dataDir, FILE)
  const last = Number(await readFile(path, 'utf8').catch(() => '0'))
  const term = Math.max(Number.isSafeInteger(last) ? last + 1 : 1, Math.floor(clock.now() / MINUTE_MS))
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await writeFile(`${path}.new`, `${term}\n`)
    await rename(`${path}.new`, path)
    return term
  } catch (cause) {
    throw new HubError(
      'settings.invalid',
      `The term of this coordinator cannot be kept in ${path}: ${messageOf(cause)}.`,
      {
        cause,
        cure: 'Let the hub write to its DATA_DIR.',
      },
    )
  }
}
