import { readFile } from 'node:fs/promises'
import { HubError, messageOf } from '../../domain/errors.ts'

/** @throws HubError `settings.unreadable` */
export async function readSettingsFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new HubError(
      'settings.unreadable',
      `The settings file ${path} cannot be read: ${messageOf(cause)}.`,
      {
        cause,
        cure: 'Check that it exists and that the hub may read it.',
      },
    )
  }
}

/** Whether a file could not be read because there is none. */
export function isMissing(error: unknown): boolean {
  return error instanceof HubError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
}
