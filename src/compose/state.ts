import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { SecretBox } from '../state/secrets/secret-box.ts'
import { SecretSource } from '../state/secrets/secret-source.ts'
import { DatabaseHome } from '../state/settings/database-home.ts'
import { FileHome } from '../state/settings/file-home.ts'
import { readSettingsFile } from '../state/settings/file-source.ts'
import { SettingsFileStore } from '../state/settings/file-store.ts'
import type { StoreInForce } from '../state/settings/migrate.ts'
import { secretFileReader } from '../state/settings/secret-files.ts'
import { type CheckedSettings, SettingsChecker } from '../state/settings/settings-checker.ts'
import type { SettingsHome } from '../state/settings/settings-home.ts'
import { type DatabaseTarget, readTargets } from '../state/storage/dsn.ts'
import { Storage } from '../state/storage/storage.ts'
import { exampleSettings } from './example.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface StateOptions {
  readonly dataDir: string
  readonly settingsPath: string
  readonly environment: Environment
  /** Whether there need not be a settings file: then the bundled example is served, or a shared database that is empty. */
  readonly settingsOptional: boolean
  /** How long to wait at the start for a database that is away, ms. */
  readonly waitMs?: number
}

export interface StateDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** What must hold of settings that are to come into force. @throws HubError when it does not */
  validate?(next: CheckedSettings): void
}

/** What the hub remembers, opened: shared by the hub itself and the commands that work on its data. */
export interface State {
  readonly storage: Storage
  readonly main: DatabaseTarget
  readonly box: SecretBox
  readonly secrets: SecretSource
  readonly file: SettingsFileStore
  readonly home: SettingsHome
  readonly checker: SettingsChecker
  /** Which store is in force, and whether the file is kept up to date beside the database. */
  readonly store: 'file' | 'database'
  readonly dualWrite: boolean
  /** Whether there are no settings, and the bundled example stands for them. */
  readonly example: boolean
}

/**
 * Opens the databases and finds the settings. Whoever calls closes the storage.
 * @throws HubError `settings.invalid`, `storage.unavailable`
 */
export async function openState(options: StateOptions, deps: StateDeps): Promise<State> {
  const { dataDir, settingsPath, environment } = options
  const { clock, random, log, validate } = deps
  const targets = readTargets(environment, dataDir)
  const secrets = new SecretSource(environment, dataDir)
  const box = await openBox(secrets)
  const storage = await Storage.open(targets, { clock, log, waitMs: options.waitMs ?? 0 })
  try {
    const checker = new SettingsChecker({
      box,
      variables: environment,
      readFile: secretFileReader(secretFolders(environment)),
      ...(validate ? { validate } : {}),
    })
    const file = new SettingsFileStore(settingsPath, {
      clock,
      log,
      check: (text) => void checker.interpret(text, settingsPath),
    })
    const { exists } = await file.read()
    const choice =
      (await storage.choice.get()) ?? firstChoice(targets.main, exists || !options.settingsOptional)
    const { store, dualWrite } = choice
    const example = store === 'file' && !exists && options.settingsOptional
    // Says in its own words what is wrong with a path that leads nowhere.
    if (store === 'file' && !exists && !example) await readSettingsFile(settingsPath)
    const whenMissing = example ? await exampleSettings(dataDir) : undefined
    const { revisions, document: documents } = storage
    const home =
      store === 'database'
        ? new DatabaseHome({ documents, revisions, clock, random })
        : new FileHome({ file, revisions, clock, box, variables: environment, whenMissing })
    return { storage, main: targets.main, box, secrets, file, home, checker, store, dualWrite, example }
  } catch (error) {
    await storage.close()
    throw error
  }
}

/** What opens and seals the secrets in settings. @throws HubError `settings.invalid` */
export async function openBox(secrets: SecretSource): Promise<SecretBox> {
  return new SecretBox((await secrets.get('CRYPTO_SECRET')).value, await secrets.old('CRYPTO_SECRET'))
}

/** Nodes that share a database server and have no file of their own share the settings too. */
function firstChoice(main: DatabaseTarget, hasFile: boolean): StoreInForce {
  return { store: main.kind === 'sqlite' || hasFile ? 'file' : 'database', dualWrite: false }
}

/** Where `${file:…}` in the settings may read: where Docker and Kubernetes mount secrets, and folders that the operator names. */
export function secretFolders(environment: Environment): readonly string[] {
  const named = (environment['SECRET_FILE_DIRS'] ?? '').split(':').filter((folder) => folder !== '')
  return ['/run/secrets', '/var/run/secrets', ...named]
}
