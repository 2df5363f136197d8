import { HubError } from '../../domain/errors.ts'
import type { HubSettings } from '../../domain/server-spec.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import { SecretSource } from '../../state/secrets/secret-source.ts'
import { FileHome } from '../../state/settings/file-home.ts'
import { SettingsFileStore } from '../../state/settings/file-store.ts'
import type { RevisionStore } from '../../state/settings/ports.ts'
import { secretFileReader } from '../../state/settings/secret-files.ts'
import { type CheckedSettings, SettingsChecker } from '../../state/settings/settings-checker.ts'
import type { SettingsHome } from '../../state/settings/settings-home.ts'
import { SettingsInForce } from '../../state/settings/settings-in-force.ts'
import { type Environment, openBox, secretFolders } from '../state.ts'

export interface WorkerSettingsOptions {
  readonly settingsPath: string
  readonly dataDir: string
  readonly environment: Environment
  onChange(settings: HubSettings): void
}

export interface WorkerSettings {
  readonly inForce: SettingsInForce
  readonly checker: SettingsChecker
  readonly first: CheckedSettings
}

/**
 * The settings of a worker: a file that may be missing, and that nobody changes but its operator. A worker has no database, so it keeps no
 * history of them.
 */
export async function workerSettings(
  options: WorkerSettingsOptions,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<WorkerSettings> {
  const { settingsPath, dataDir, environment } = options
  const box = await openBox(new SecretSource(environment, dataDir))
  const checker = new SettingsChecker({
    box,
    variables: environment,
    readFile: secretFileReader(secretFolders(environment)),
  })
  const file = new SettingsFileStore(settingsPath, {
    clock,
    log,
    check: (text) => void checker.interpret(text, settingsPath),
  })
  const home = readOnly(
    new FileHome({
      file,
      revisions: NO_HISTORY,
      clock,
      box,
      variables: environment,
      whenMissing: {},
    }),
  )
  const inForce = new SettingsInForce({
    home,
    checker,
    clock,
    log,
    onChange: ({ settings }) => options.onChange(settings),
  })
  return { inForce, checker, first: await inForce.start() }
}

/** A worker never writes its file, so it needs no lock beside it either. */
function readOnly(home: FileHome): SettingsHome {
  return {
    name: home.name,
    lookEveryMs: home.lookEveryMs,
    read: (known) => home.read(known),
    base: async () => ({ document: (await home.read())?.document ?? {}, latest: undefined }),
    async change() {
      throw new HubError('settings.read-only', 'A worker does not change its settings.', {
        cure: 'Change the file, or the settings of the coordinator.',
      })
    },
  }
}

const NO_HISTORY: RevisionStore = {
  latest: async () => undefined,
  get: async () => undefined,
  list: async () => [],
  append: async () => undefined,
  replaceDocuments: async () => undefined,
}
