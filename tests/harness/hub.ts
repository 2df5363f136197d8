import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Standalone, type StandaloneOptions } from '../../src/compose/standalone.ts'
import type { CallLog } from '../../src/gateway/dispatch/call-log.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { Logger } from '../../src/kernel/logger.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import { LogLines } from '../../src/observability/log-lines.ts'
import { Redactor } from '../../src/observability/redaction.ts'
import { recordingLogger } from './recording-logger.ts'

/** A settings document as a user would write it. */
export type Settings = Record<string, unknown> & { mcpServers?: Record<string, unknown> }

export interface TestHub {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string
  readonly standalone: Standalone
  readonly folder: string
  readonly settingsPath: string
  /** Every log line so far. */
  readonly logged: readonly LogLine[]
  /** Overwrites the settings file, as an editor would. */
  writeSettings(settings: Settings | string): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Record<string, unknown>
}

export type HubSetup = Partial<
  Pick<StandaloneOptions, 'host' | 'tuning' | 'allowedHosts' | 'allowedOrigins' | 'environment'>
> & {
  /** Reuses the folder of an earlier hub: a second start. */
  readonly folder?: string
  readonly log?: Logger
  readonly callLog?: CallLog
  /** Where the lines of `log` also go, for the API to show. */
  readonly logs?: LogLines
}

/** Starts a hub in this process on a free port, with a folder of its own. Waits until its servers have settled. */
export async function startHub(settings: Settings, setup: HubSetup = {}): Promise<TestHub> {
  const folder = setup.folder ?? (await mkdtemp(join(tmpdir(), 'flotilla-test-')))
  const settingsPath = join(folder, 'mcp_settings.json')
  const write = (text: Settings | string) =>
    writeFile(settingsPath, typeof text === 'string' ? text : JSON.stringify(text))
  await write(settings)
  const { logger, lines } = recordingLogger()
  const standalone = await Standalone.start(
    {
      host: setup.host ?? '127.0.0.1',
      port: 0,
      dataDir: join(folder, 'data'),
      settingsPath,
      settingsOptional: false,
      allowedHosts: setup.allowedHosts ?? [],
      allowedOrigins: setup.allowedOrigins ?? [],
      environment: setup.environment ?? { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      ...(setup.tuning ? { tuning: setup.tuning } : {}),
    },
    {
      clock: systemClock,
      random: systemRandom,
      log: setup.log ?? logger,
      redactor: new Redactor(),
      logs: setup.logs ?? new LogLines(),
      ...(setup.callLog ? { callLog: setup.callLog } : {}),
    },
  )
  await standalone.settled
  const stop = () => standalone.stop(0)
  return {
    url: `http://127.0.0.1:${standalone.port}`,
    standalone,
    folder,
    settingsPath,
    logged: lines,
    writeSettings: write,
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      if (!setup.folder) await rm(folder, { recursive: true, force: true })
    },
  }
}
