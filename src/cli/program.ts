import tab from '@bomb.sh/tab/commander'
import { Command, CommanderError, Option } from 'commander'
import { type HubErrorCode, toHubError } from '../domain/errors.ts'
import { LOG_LEVELS } from '../kernel/logger.ts'
import { VERSION } from '../kernel/version.ts'
import { addClusterCommands } from './cluster/commands.ts'
import { showConfig, validateConfig } from './config.ts'
import {
  backup,
  type DataContext,
  exportConfig,
  migrate,
  restore,
  rollbackMigration,
  rotateSecrets,
} from './data.ts'
import { type Flags, readOptions } from './options.ts'
import type { Output } from './output.ts'
import { serve } from './serve.ts'
import { type Texts, textsFor } from './texts.ts'

/** 0 fine, 1 wrong use or unexpected, 4 nobody there, 78 (EX_CONFIG) settings that cannot be used. */
const EXIT_BY_CODE: Partial<Record<HubErrorCode, number>> = {
  'settings.invalid': 78,
  'settings.unreadable': 78,
  'secret.unreadable': 78,
  'storage.unavailable': 4,
}

export interface CliContext {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly exitNow: (code: number) => void
}

/** Runs the command line; resolves with the exit code. Never throws. */
export async function runCli(context: CliContext): Promise<number> {
  const { argv, output } = context
  let exitCode = 0
  const setExit = (code: number) => {
    exitCode = code
  }
  try {
    await buildProgram(context, setExit).parseAsync([...argv])
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1
    const { code, message, cure } = toHubError(error)
    output.talk(
      argv.includes('--json')
        ? JSON.stringify({ error: { code, message, cure } })
        : `flotilla: ${message}${cure ? `\n  ${cure}` : ''}`,
    )
    return EXIT_BY_CODE[code] ?? 1
  }
}

function buildProgram(context: CliContext, setExit: (code: number) => void): Command {
  const { environment, output, exitNow } = context
  const texts = textsFor(languageOf(context))
  const program = new Command('flotilla')
    .description(texts.describe)
    .version(VERSION, '-V, --version')
    .option('--lang <language>', texts.optionLang)
    .option('--json', 'one-line JSON errors')
    .showHelpAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.data(text.trimEnd()),
      writeErr: (text) => output.talk(text.trimEnd()),
    })
    .addHelpText('after', examples(texts))
  withClusterFlags(
    withHubFlags(program.command('serve', { isDefault: true }).description(texts.serve), texts),
    texts,
  ).action(async (flags: Flags) => {
    const options = readOptions(flags, environment)
    setExit(await serve({ options, clusterFlags: flags, environment, output, texts, exitNow }))
  })
  const config = program.command('config').description(texts.config)
  config
    .command('validate')
    .description(texts.configValidate)
    .argument('[file]', texts.optionSettings)
    .action(async (file: string | undefined) => {
      const options = readOptions(file === undefined ? {} : { settings: file }, environment)
      await validateConfig(options.settings.value, environment, output, texts)
    })
  withClusterFlags(withHubFlags(config.command('show').description(texts.configShow), texts), texts)
    .option('--origin', texts.optionOrigin, false)
    .addOption(
      new Option('-o, --output <format>', texts.optionOutput).choices(['table', 'json']).default('table'),
    )
    .action(async (flags: Flags & { origin: boolean; output: 'table' | 'json' }) => {
      const shape = { origin: flags.origin, format: flags.output }
      const shown = { options: readOptions(flags, environment), clusterFlags: flags, environment }
      await showConfig(shown, output, shape)
    })
  addDataCommands(program, config, context, texts)
  addClusterCommands(program, { ...context, language: languageOf(context) })
  tab(program, { completionCommandName: 'completion' })
  return program
}

/** Commands that work on what the hub remembers, with the hub running or not. */
function addDataCommands(program: Command, config: Command, context: CliContext, texts: Texts): void {
  const { argv, environment, output } = context
  const prepared = (flags: Flags): DataContext => {
    const options = readOptions(flags, environment)
    return { options, environment, output, texts, json: argv.includes('--json') }
  }
  withDataFlags(config.command('export').description(texts.configExport), texts)
    .addOption(
      new Option('--secrets <how>', texts.optionSecrets)
        .choices(['masked', 'sealed', 'open'])
        .default('masked'),
    )
    .action((flags: Flags & { secrets: 'masked' | 'sealed' | 'open' }) =>
      exportConfig(prepared(flags), flags.secrets),
    )
  const migration = withDataFlags(program.command('migrate').description(texts.migrate), texts)
    .option('--from <store>', texts.optionFrom, 'file')
    .option('--to <store>', texts.optionTo, 'database')
    .option('--dual-write', texts.optionDualWrite, false)
    .action((flags: Flags & { from: string; to: string; dualWrite: boolean }) =>
      migrate(prepared(flags), flags),
    )
  withDataFlags(migration.command('rollback').description(texts.migrateRollback), texts).action(
    (_flags, command: Command) => rollbackMigration(prepared(command.optsWithGlobals())),
  )
  withDataFlags(program.command('backup').description(texts.backup), texts)
    .argument('<file>', texts.argumentBackup)
    .option('--without-secrets', texts.optionWithoutSecrets, false)
    .action((file: string, flags: Flags & { withoutSecrets: boolean }) =>
      backup(prepared(flags), file, !flags.withoutSecrets),
    )
  withDataFlags(program.command('restore').description(texts.restore), texts)
    .argument('<file>', texts.argumentBackup)
    .option('--yes', texts.optionYes, false)
    .action((file: string, flags: Flags & { yes: boolean }) => restore(prepared(flags), file, flags.yes))
  const secrets = program.command('secrets').description(texts.secrets)
  withDataFlags(secrets.command('rotate').description(texts.secretsRotate), texts).action((flags: Flags) =>
    rotateSecrets(prepared(flags)),
  )
}

function withDataFlags(command: Command, texts: Texts): Command {
  return command
    .option('-d, --data-dir <folder>', texts.optionDataDir)
    .option('-s, --settings <file>', texts.optionSettings)
    .addOption(new Option('-l, --log-level <level>', texts.optionLogLevel).choices(LOG_LEVELS))
}

function withHubFlags(command: Command, texts: Texts): Command {
  return command
    .option('-p, --port <number>', texts.optionPort)
    .option('-H, --host <address>', texts.optionHost)
    .option('-d, --data-dir <folder>', texts.optionDataDir)
    .option('-s, --settings <file>', texts.optionSettings)
    .addOption(new Option('-l, --log-level <level>', texts.optionLogLevel).choices(LOG_LEVELS))
}

function withClusterFlags(command: Command, texts: Texts): Command {
  return command
    .option('--role <role>', texts.optionRole)
    .option('--coordinator <urls>', texts.optionCoordinator)
    .option('--token-file <file>', texts.optionTokenFile)
    .option('--node-id <id>', texts.optionNodeId)
    .option('--name <name>', texts.optionNodeName)
    .option('--labels <labels>', texts.optionLabels)
    .option('--max-servers <number>', texts.optionMaxServers)
}

function examples(texts: Texts): string {
  return `
${texts.examples}
  flotilla
  flotilla serve --port 3100 --settings ./mcp_settings.json
  flotilla serve --role worker --coordinator http://coordinator:3000 --token-file ./token
  flotilla config validate
  flotilla config show --origin
  flotilla status
  flotilla server scale <name> 3
  flotilla backup ./flotilla.backup
  flotilla migrate --from file --to database --dual-write
  source <(flotilla completion bash)`
}

/** `--lang` before LC_ALL before LC_MESSAGES before LANG; a variable that is empty is not set (POSIX). */
function languageOf({ argv, environment }: CliContext): string | undefined {
  const at = argv.findIndex((argument) => argument === '--lang' || argument.startsWith('--lang='))
  const flag =
    at === -1 ? undefined : argv[at]?.includes('=') ? argv[at]?.slice('--lang='.length) : argv[at + 1]
  return flag ?? (environment['LC_ALL'] || environment['LC_MESSAGES'] || environment['LANG'])
}
