import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DeclaredUsers } from '../access/declared-users.ts'
import { Passwords } from '../access/passwords.ts'
import { HubError } from '../domain/errors.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { VERSION } from '../kernel/version.ts'
import type { MigrationReport, SettingsMigration } from '../state/settings/migrate.ts'
import { SettingsInForce } from '../state/settings/settings-in-force.ts'
import { SettingsService } from '../state/settings/settings-service.ts'
import { describeTarget } from '../state/storage/dsn.ts'
import { partOf } from '../state/storage/dump.ts'
import { type BackupFile, type BackupHead, openBackup, writeBackup } from './backup/backup-file.ts'
import { replaceFile } from './backup/replace-file.ts'
import { migrationOf } from './migration.ts'
import { openState, type State, type StateOptions } from './state.ts'

export interface MaintenanceDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** Work on what the hub remembers, whether the hub runs or not. */
export class Maintenance {
  readonly #options: StateOptions
  readonly #deps: MaintenanceDeps

  constructor(options: StateOptions, deps: MaintenanceDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Moves the settings from the file to the database: see `SettingsMigration`. */
  migrate(how: { readonly dualWrite: boolean }): Promise<MigrationReport> {
    return this.#with((state) => this.#migration(state).toDatabase(how))
  }

  /** Writes the database's settings to the file and makes that the store again. */
  rollback(): Promise<{ readonly revision: number; readonly checksum: string }> {
    return this.#with((state) => this.#migration(state).rollback())
  }

  /** Seals every secret under the present CRYPTO_SECRET; returns how many documents that changed. */
  rotateSecrets(): Promise<number> {
    return this.#with((state) => this.#settings(state).reseal('system'))
  }

  /** The settings as text of an `mcp_settings.json`. */
  exportSettings(secrets: 'masked' | 'sealed' | 'open'): Promise<string> {
    return this.#with((state) => this.#settings(state).export(secrets))
  }

  /**
   * Writes everything into one file: the rows of the databases, the settings file, and the secrets that the hub has generated.
   * @throws HubError `settings.unwritable`, `storage.unavailable`
   */
  backup(
    path: string,
    { withSecrets }: { readonly withSecrets: boolean },
  ): Promise<{ readonly lines: number }> {
    const head: BackupHead = {
      format: 'flotilla-backup',
      version: 1,
      at: new Date(this.#deps.clock.now()).toISOString(),
      flotilla: VERSION,
    }
    return this.#with(async (state) => {
      const lines = await writeBackup(path, head, async (take) => {
        const settings = await state.file.read()
        if (settings.exists)
          await take({ file: { kind: 'settings', name: basename(state.file.path), text: settings.text } })
        for (const file of withSecrets ? await this.#generatedSecrets() : []) await take({ file })
        await state.storage.dump((table, row) => take({ table, row }))
      })
      return { lines }
    })
  }

  /**
   * Puts a backup in the place of everything that is there. Each database changes at once or not at all; files that are replaced
   * stay beside the new ones.
   * @throws HubError `settings.invalid` for a file that is no whole backup: then nothing was changed
   */
  async restore(path: string): Promise<{ readonly head: BackupHead; readonly rows: number }> {
    const { head, lines } = await openBackup(path)
    const files: BackupFile[] = []
    let rows = 0
    for await (const line of lines()) {
      if ('file' in line) files.push(line.file)
      else if (partOf(line.table)) rows += 1
      else throw foreign(path, head, line.table)
    }
    const settings = files.find(({ kind }) => kind === 'settings')
    // First the secrets: without them the state that is opened next could not read its own settings.
    for (const { kind, name, text } of files)
      if (kind === 'secret')
        await replaceFile(join(this.#secretsFolder, basename(name)), text, this.#deps.clock)
    await this.#with(async ({ storage, file }) => {
      for (const part of ['main', 'logs'] as const)
        await storage.restore(part, async function* () {
          for await (const line of lines()) if ('table' in line && partOf(line.table) === part) yield line
        })
      if (settings) await replaceFile(file.path, settings.text, this.#deps.clock)
    })
    return { head, rows }
  }

  /** Which database is meant, without its password. */
  describe(): Promise<string> {
    return this.#with(async ({ main }) => describeTarget(main))
  }

  get #secretsFolder(): string {
    return join(this.#options.dataDir, 'secrets')
  }

  async #generatedSecrets(): Promise<BackupFile[]> {
    const names = await readdir(this.#secretsFolder).catch((error: NodeJS.ErrnoException) => {
      // Both secrets come from the environment: the operator keeps them.
      if (error.code === 'ENOENT') return []
      throw error
    })
    const known = names.filter((name) => name === 'CRYPTO_SECRET' || name === 'SESSION_SECRET')
    return Promise.all(
      known.map(async (name) => ({
        kind: 'secret' as const,
        name,
        text: await readFile(join(this.#secretsFolder, name), 'utf8'),
      })),
    )
  }

  #migration(state: State): SettingsMigration {
    const { clock, random, log } = this.#deps
    const { users, logins } = state.storage
    const declared = new DeclaredUsers({
      store: users,
      logins,
      passwords: new Passwords(random),
      clock,
      log,
      changed: async () => undefined,
    })
    return migrationOf(state, { declared, environment: this.#options.environment, clock, log })
  }

  #settings({ home, checker, box, storage }: State): SettingsService {
    const { clock, log } = this.#deps
    const inForce = new SettingsInForce({ home, checker, clock, log, onChange: () => undefined })
    const { revisions } = storage
    return new SettingsService({
      home,
      revisions,
      checker,
      inForce,
      box,
      variables: this.#options.environment,
      clock,
    })
  }

  async #with<T>(work: (state: State) => Promise<T>): Promise<T> {
    const state = await openState(this.#options, this.#deps)
    try {
      return await work(state)
    } finally {
      await state.storage.close()
    }
  }
}

function foreign(path: string, head: BackupHead, table: string): HubError {
  return new HubError('settings.invalid', `${path} has rows of a table ${JSON.stringify(table)}.`, {
    cure: `Nothing was changed. It was made by Flotilla ${head.flotilla}: restore it with that version.`,
  })
}
