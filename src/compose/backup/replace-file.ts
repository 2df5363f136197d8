import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HubError, messageOf } from '../../domain/errors.ts'
import type { Clock } from '../../kernel/clock.ts'

/**
 * Puts `text` into a file, whole or not at all; what stood there is kept as `<file>.before-restore.<ms>` if it was another text. Nobody
 * but the owner may read what is new.
 * @throws HubError `settings.unwritable`
 */
export async function replaceFile(path: string, text: string, clock: Clock): Promise<void> {
  const temporary = `${path}.restore.tmp`
  try {
    const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (before === text) return
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    if (before !== undefined) await writeWhole(`${path}.before-restore.${clock.now()}`, before)
    await writeWhole(temporary, text)
    await rename(temporary, path)
    const folder = await open(dirname(path), 'r')
    await folder.sync().finally(() => folder.close())
  } catch (cause) {
    await rm(temporary, { force: true })
    throw new HubError('settings.unwritable', `${path} cannot be restored: ${messageOf(cause)}.`, {
      cause,
      cure: 'Mend that, and restore again: what is restored already does no harm.',
    })
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
