import { secretFolders } from '../compose/state.ts'
import type { HubSettings } from '../domain/server-spec.ts'
import { valueAt } from '../state/json/json-path.ts'
import { MASK } from '../state/secrets/secret-places.ts'
import type { ClusterFlags, ClusterOrigin } from '../state/settings/cluster.ts'
import { loadClusterSettings } from '../state/settings/cluster-file.ts'
import { isMissing, readSettingsFile } from '../state/settings/file-source.ts'
import { type InterpretOptions, interpretSettings } from '../state/settings/interpret.ts'
import { secretFileReader } from '../state/settings/secret-files.ts'
import type { HubOptions } from './options.ts'
import type { Output } from './output.ts'
import type { Texts } from './texts.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Whether the settings are right can be told without opening what is sealed in them. */
function unopened(environment: Environment): InterpretOptions {
  return { openSecret: (sealed) => sealed, readFile: secretFileReader(secretFolders(environment)) }
}

/** Checks a settings file; throws HubError where it is wrong. */
export async function validateConfig(
  path: string,
  environment: Environment,
  output: Output,
  texts: Texts,
): Promise<void> {
  const text = await readSettingsFile(path)
  const { settings, warnings } = interpretSettings(text, path, environment, unopened(environment))
  for (const warning of warnings) output.talk(warning)
  output.talk(texts.valid(path, settings.servers.size, settings.groups.length))
}

interface Row {
  readonly key: string
  readonly value: unknown
  readonly origin: string
}

export interface ShownConfig {
  readonly options: HubOptions
  readonly clusterFlags: ClusterFlags
  readonly environment: Environment
}

/** Shows what is in force and where it comes from. Secrets (keys, headers, environments of servers) are left out. */
export async function showConfig(
  shown: ShownConfig,
  output: Output,
  { origin, format }: { origin: boolean; format: 'table' | 'json' },
): Promise<void> {
  const { options, environment } = shown
  const rows = [
    ...optionRows(options),
    ...(await settingsRows(options, environment)),
    ...(await clusterRows(shown)),
  ]
  if (format === 'json') {
    const entries = rows.map(({ key, value, origin: from }) => [
      key,
      origin ? { value, origin: from } : value,
    ])
    output.data(JSON.stringify(Object.fromEntries(entries), undefined, 2))
    return
  }
  const width = Math.max(...rows.map(({ key }) => key.length))
  const values = rows.map(({ value }) => cell(value))
  const valueWidth = Math.max(...values.map((value) => value.length))
  for (const [index, row] of rows.entries()) {
    const value = values[index] ?? ''
    output.data(
      origin
        ? `${row.key.padEnd(width)}  ${value.padEnd(valueWidth)}  ${row.origin}`
        : `${row.key.padEnd(width)}  ${value}`,
    )
  }
}

function optionRows(options: HubOptions): Row[] {
  return Object.entries(options).map(([key, { value, origin, name }]) => ({
    key,
    value,
    origin: origin === 'default' ? 'default' : `${origin} ${name}`,
  }))
}

async function settingsRows(options: HubOptions, environment: Environment): Promise<Row[]> {
  const path = options.settings.value
  const text = await readSettingsFile(path).catch((error: unknown) => {
    if (options.settings.origin === 'default' && isMissing(error)) return undefined
    throw error
  })
  if (text === undefined) return [{ key: 'mcpServers', value: 'bundled example', origin: 'default' }]
  const { settings } = interpretSettings(text, path, environment, unopened(environment))
  const defaults = interpretSettings('{}', path, {}).settings
  const plain = [
    'nameSeparator',
    'sessionTimeoutMs',
    'bodyLimitBytes',
    'bearerAuth',
    'bearerHeader',
    'globalEndpoint',
    'groupsByName',
  ] as const
  return [
    ...plain.map((key) => ({
      key,
      value: settings[key],
      origin: settings[key] === defaults[key] ? 'default' : `file ${path}`,
    })),
    ...listRows(settings, path),
  ]
}

function cell(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null ? '-' : JSON.stringify(value)
}

async function clusterRows({ options, clusterFlags, environment }: ShownConfig): Promise<Row[]> {
  const path = options.settings.value
  const { settings, origins } = await loadClusterSettings({
    path,
    optional: options.settings.origin === 'default',
    environment,
    flags: clusterFlags,
    readFile: secretFileReader(secretFolders(environment)),
    opener: () => Promise.resolve((sealed) => sealed),
  })
  const from = ({ origin, name }: ClusterOrigin) => {
    if (origin === 'default') return origin
    return origin === 'file' ? `file ${path} ${name}` : `${origin} ${name}`
  }
  const special: Readonly<Record<string, unknown>> = {
    enabled: settings.role !== 'standalone',
    token: settings.token === undefined ? undefined : MASK,
    oldTokens: settings.oldTokens.map(() => MASK),
    'tls.enabled': settings.tls !== undefined,
  }
  return [...origins].map(([key, origin]) => ({
    key: `cluster.${key}`,
    value: (Object.hasOwn(special, key) ? special[key] : valueAt(settings, key.split('.'))) ?? null,
    origin: from(origin),
  }))
}

function listRows(settings: HubSettings, path: string): Row[] {
  const origin = `file ${path}`
  return [
    { key: 'keys', value: settings.keys.map((key) => key.id), origin },
    { key: 'groups', value: settings.groups.map((group) => group.name), origin },
    ...[...settings.servers.values()].map((spec) => ({
      key: `servers.${spec.name}`,
      value: `${spec.transport.kind}, ${spec.isolation}${spec.enabled ? '' : ', disabled'}`,
      origin,
    })),
  ]
}
