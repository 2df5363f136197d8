import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HubError, messageOf } from '../domain/errors.ts'
import type { Random } from '../kernel/random.ts'

const FILE = 'node-id'
const SHAPE = /^[A-Za-z0-9_.-]{1,64}$/

/**
 * The id of this node, which stays the same over restarts: made at the first start and kept in the data folder.
 * @throws HubError `settings.invalid` when it can be neither read nor kept
 */
export async function nodeId(dataDir: string, random: Random): Promise<string> {
  const path = join(dataDir, FILE)
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    // Of two processes that start at once one writes; both read what stands there then.
    await writeFile(path, `node-${random.id(72)}\n`, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    const id = (await readFile(path, 'utf8')).trim()
    if (SHAPE.test(id)) return id
  } catch (cause) {
    throw new HubError(
      'settings.invalid',
      `The id of this node cannot be kept in ${path}: ${messageOf(cause)}.`,
      {
        cause,
        cure: 'Let the hub write to its DATA_DIR.',
      },
    )
  }
  throw new HubError('settings.invalid', `${path} does not hold the id of a node.`, {
    cure: 'Write one into it (letters, digits, "_", "." and "-"), or remove it to get a new one.',
  })
}
