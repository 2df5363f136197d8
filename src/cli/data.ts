import { resolve } from 'node:path'
import { Maintenance } from '../compose/maintenance.ts'
import { HubError } from '../domain/errors.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { hubLogger } from './log-output.ts'
import type { HubOptions } from './options.ts'
import type { Output } from './output.ts'
import type { Texts } from './texts.ts'

export interface DataContext {
  readonly options: HubOptions
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly texts: Texts
  readonly json: boolean
}

function maintenance({ options, environment }: DataContext): Maintenance {
  return new Maintenance(
    {
      dataDir: options.dataDir.value,
      settingsPath: options.settings.value,
      settingsOptional: options.settings.origin === 'default',
      environment,
    },
    { clock: systemClock, random: systemRandom, log: hubLogger(options.logLevel.value) },
  )
}

/** A result for programs on stdout, or a sentence for people. */
function tell({ output, json }: DataContext, result: object, sentence: string): void {
  if (json) output.data(JSON.stringify(result))
  else output.talk(sentence)
}

/** `flotilla migrate --from file --to database`. */
export async function migrate(
  context: DataContext,
  how: { readonly from: string; readonly to: string; readonly dualWrite: boolean },
): Promise<void> {
  if (how.from !== 'file' || how.to !== 'database')
    throw new HubError(
      'request.invalid-params',
      `Settings cannot be migrated from ${how.from} to ${how.to}.`,
      {
        cure: 'Use "--from file --to database"; "flotilla migrate rollback" goes the other way.',
      },
    )
  const report = await maintenance(context).migrate(how)
  for (const warning of report.warnings) context.output.talk(warning)
  const users = report.imported['users'] ?? 0
  tell(context, report, context.texts.migrated(report.servers, report.groups, users, report.backup))
}

/** `flotilla migrate rollback`. */
export async function rollbackMigration(context: DataContext): Promise<void> {
  const report = await maintenance(context).rollback()
  tell(context, report, context.texts.rolledBack(context.options.settings.value))
}

/** `flotilla backup <file>`. */
export async function backup(context: DataContext, file: string, withSecrets: boolean): Promise<void> {
  const path = resolve(file)
  const report = await maintenance(context).backup(path, { withSecrets })
  const { texts } = context
  const said = [texts.backedUp(path), ...(withSecrets ? [texts.backupHoldsSecrets] : [])].join(' ')
  tell(context, { file: path, ...report }, said)
}

/** `flotilla restore <file> --yes`. */
export async function restore(context: DataContext, file: string, sure: boolean): Promise<void> {
  const hub = maintenance(context)
  if (!sure)
    throw new HubError('request.invalid-params', `This replaces everything in ${await hub.describe()}.`, {
      cure: 'Make a backup of it first if it matters, then add --yes.',
    })
  const { head, rows } = await hub.restore(resolve(file))
  tell(context, { ...head, rows }, context.texts.restored(head.at, rows))
}

/** `flotilla secrets rotate`. */
export async function rotateSecrets(context: DataContext): Promise<void> {
  const documents = await maintenance(context).rotateSecrets()
  tell(context, { documents }, context.texts.rotated(documents))
}

/** `flotilla config export`. */
export async function exportConfig(
  context: DataContext,
  secrets: 'masked' | 'sealed' | 'open',
): Promise<void> {
  context.output.data((await maintenance(context).exportSettings(secrets)).trimEnd())
}
