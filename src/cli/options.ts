import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HubError } from '../domain/errors.ts'
import { LOG_LEVELS, type LogLevel } from '../kernel/logger.ts'
import type { ClusterFlags } from '../state/settings/cluster.ts'

export type Origin = 'flag' | 'environment' | 'default'

/** A value and where it came from. */
export interface Sourced<T> {
  readonly value: T
  readonly origin: Origin
  /** The flag or variable, where there is one. */
  readonly name: string
}

export interface HubOptions {
  readonly port: Sourced<number>
  readonly host: Sourced<string>
  readonly dataDir: Sourced<string>
  /** Absolute path of the settings file. Only a path from the default may be missing. */
  readonly settings: Sourced<string>
  readonly logLevel: Sourced<LogLevel>
  readonly allowedHosts: Sourced<readonly string[]>
  readonly allowedOrigins: Sourced<readonly string[]>
}

/** `readOptions` reads those of the hub, `loadClusterSettings` those of the cluster. */
export interface Flags extends ClusterFlags {
  readonly port?: string
  readonly host?: string
  readonly dataDir?: string
  readonly settings?: string
  readonly logLevel?: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The hub's own options: flags before environment before defaults.
 * @throws HubError `settings.invalid` that names the flag or variable
 */
export function readOptions(flags: Flags, environment: Environment): HubOptions {
  const pick = (
    flag: string,
    given: string | undefined,
    variable: string,
    fallback: string,
  ): Sourced<string> => {
    if (given !== undefined) return { value: given, origin: 'flag', name: flag }
    const set = environment[variable]
    if (set !== undefined && set !== '') return { value: set, origin: 'environment', name: variable }
    return { value: fallback, origin: 'default', name: variable }
  }
  const settings = pick('--settings', flags.settings, 'MCPHUB_SETTING_PATH', './mcp_settings.json')
  return {
    port: map(pick('--port', flags.port, 'PORT', '3000'), readPort),
    host: pick('--host', flags.host, 'HOST', '127.0.0.1'),
    dataDir: map(pick('--data-dir', flags.dataDir, 'DATA_DIR', './data'), (path) => resolve(path)),
    settings: map(settings, settingsPath),
    logLevel: map(pick('--log-level', flags.logLevel, 'LOG_LEVEL', 'info'), readLogLevel),
    allowedHosts: map(pick('', undefined, 'ALLOWED_HOSTS', ''), readList),
    allowedOrigins: map(pick('', undefined, 'ALLOWED_ORIGINS', ''), readList),
  }
}

function map<A, B>(source: Sourced<A>, change: (value: A, name: string) => B): Sourced<B> {
  return { ...source, value: change(source.value, source.name) }
}

function readPort(text: string, name: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new HubError('settings.invalid', `${name}: ${JSON.stringify(text)} is no port.`, {
    cure: 'Give a number from 0 to 65535.',
  })
}

function readLogLevel(text: string, name: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === text.toLowerCase())
  if (level) return level
  throw new HubError('settings.invalid', `${name}: ${JSON.stringify(text)} is no log level.`, {
    cure: `Give one of ${LOG_LEVELS.join(', ')}.`,
  })
}

function readList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** A folder stands for the `mcp_settings.json` in it, as container set-ups of MCPHub have it. */
function settingsPath(path: string): string {
  return resolve(isFolder(path) ? join(path, 'mcp_settings.json') : path)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  } catch {
    // What cannot even be looked at is refused, with the reason, when it is read.
    return false
  }
}
