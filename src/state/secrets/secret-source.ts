import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HubError, messageOf } from '../../domain/errors.ts'
import { requireStrongSecret } from './secret-strength.ts'

export type SecretName = 'CRYPTO_SECRET' | 'SESSION_SECRET'

type Environment = Readonly<Record<string, string | undefined>>

export interface FoundSecret {
  readonly value: string
  readonly origin: 'environment' | 'file' | 'generated'
}

/**
 * The secrets that the operator gave, or that an earlier start has made. Those in the environment win; nodes that share a
 * database or sessions need the same ones.
 */
export class SecretSource {
  readonly #environment: Environment
  readonly #folder: string

  /** @param dataDir generated secrets are kept in its folder `secrets` */
  constructor(environment: Environment, dataDir: string) {
    this.#environment = environment
    this.#folder = join(dataDir, 'secrets')
  }

  /**
   * The secret of this name: from the variable, from the file that `<name>_FILE` names, or generated once.
   * @throws HubError `settings.invalid` for one that is a sample, too weak or cannot be read
   */
  async get(name: SecretName): Promise<FoundSecret> {
    return (await this.#given(name)) ?? { value: await this.#generated(name), origin: 'generated' }
  }

  /**
   * Earlier secrets, under which values may still be sealed: `<name>_OLD`, separated by commas, and the generated one of a
   * hub that has been given another since.
   */
  async old(name: SecretName): Promise<readonly string[]> {
    const named = (this.#environment[`${name}_OLD`] ?? '').split(',').map((part) => part.trim())
    const generated = await this.#readGenerated(name)
    return [...named, generated ?? ''].filter((secret) => secret !== '')
  }

  async #given(name: SecretName): Promise<FoundSecret | undefined> {
    const value = this.#environment[name]?.trim()
    const path = this.#environment[`${name}_FILE`]
    if (value && path)
      throw new HubError('settings.invalid', `${name} and ${name}_FILE are both set.`, {
        cure: 'Remove one of them.',
      })
    if (value) return checked(name, value, 'environment')
    if (path) return checked(`${name}_FILE`, (await readSecretFile(`${name}_FILE`, path)).trim(), 'file')
    return undefined
  }

  async #generated(name: SecretName): Promise<string> {
    const known = await this.#readGenerated(name)
    if (known !== undefined) return known
    try {
      await this.#create(name, randomBytes(32).toString('base64url'))
    } catch (cause) {
      throw new HubError(
        'settings.invalid',
        `No ${name} can be kept in ${this.#folder}: ${messageOf(cause)}.`,
        {
          cause,
          cure: `Set ${name}, or let the hub write to its DATA_DIR.`,
        },
      )
    }
    // Another process may have been faster; what stands there counts.
    const agreed = await this.#readGenerated(name)
    if (agreed !== undefined) return agreed
    throw new HubError('settings.invalid', `The new ${name} is not in ${this.#folder}.`)
  }

  async #readGenerated(name: SecretName): Promise<string | undefined> {
    const path = join(this.#folder, name)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (cause) {
      if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined
      throw unreadable(name, path, cause)
    }
    requireStrongSecret(path, text.trim())
    return text.trim()
  }

  /** Puts a whole file in place, unless there is one: nobody ever sees a half. */
  async #create(name: SecretName, secret: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const path = join(this.#folder, name)
    const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
    try {
      const file = await open(temporary, 'wx', 0o600)
      await file.writeFile(`${secret}\n`)
      await file.sync()
      await file.close()
      await link(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await rm(temporary, { force: true })
    }
    const folder = await open(this.#folder, 'r')
    await folder.sync().finally(() => folder.close())
  }
}

function checked(name: string, value: string, origin: FoundSecret['origin']): FoundSecret {
  requireStrongSecret(name, value)
  return { value, origin }
}

async function readSecretFile(name: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(name, path, cause)
  }
}

function unreadable(name: string, path: string, cause: unknown): HubError {
  return new HubError('settings.invalid', `${name}: the file ${path} cannot be read: ${messageOf(cause)}.`, {
    cause,
    cure: 'Check that it exists and that the hub may read it.',
  })
}
