import type { KeyStore, LoginStore, UserStore } from '../../src/access/ports.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { ActivityStore } from '../../src/observability/activity/ports.ts'
import type { DocumentStore, RevisionStore } from '../../src/state/settings/ports.ts'
import type { OpenedDatabase } from '../../src/state/storage/dialects/dialect.ts'
import { openDatabase } from '../../src/state/storage/dialects/open.ts'
import type { StorageTargets } from '../../src/state/storage/dsn.ts'
import { Storage } from '../../src/state/storage/storage.ts'
import { recordingLogger } from '../harness/recording-logger.ts'

/** A kind of database, as the contract needs it. */
export interface Engine {
  /** An empty database. */
  create(): Promise<StorageTargets>
  /** Takes the database away from those who write, until the result is called. */
  takeAway(targets: StorageTargets): Promise<() => Promise<void>>
  /** Whether one can still read while it is away. */
  readonly readsWhileAway: boolean
  close(): Promise<void>
}

/** One database, two hubs that share it, and a way to look into its tables. */
export interface World {
  readonly targets: StorageTargets
  readonly storage: Storage
  readonly other: Storage
  readonly raw: OpenedDatabase
  /** Removes everything that was written. */
  wipe(): Promise<void>
  close(): Promise<void>
}

/** What the rest of the hub takes it for. */
interface Ports {
  readonly users: UserStore
  readonly keys: KeyStore
  readonly logins: LoginStore
  readonly activity: ActivityStore
  readonly revisions: RevisionStore
  readonly document: DocumentStore
}

export function openStorage(targets: StorageTargets, waitMs = 0): Promise<Storage & Ports> {
  return Storage.open(targets, { clock: systemClock, log: recordingLogger().logger, waitMs })
}

export function openRaw(targets: StorageTargets): Promise<OpenedDatabase> {
  return openDatabase(
    targets.main,
    { connections: 2, statementMs: 0, durability: 'everything' },
    { clock: systemClock, log: recordingLogger().logger },
  )
}

const TABLES = [
  'users',
  'api_keys',
  'login_sessions',
  'mcp_servers',
  'server_groups',
  'settings_revisions',
  'settings_sections',
  'settings_document',
  'settings_store',
  'mcp_usage_logs',
  'access_logs',
  'audit_log',
] as const

export async function openWorld(engine: Engine): Promise<World> {
  const targets = await engine.create()
  const storage = await openStorage(targets)
  const other = await openStorage(targets)
  const raw = await openRaw(targets)
  return {
    targets,
    storage,
    other,
    raw,
    async wipe() {
      for (const table of TABLES) await raw.db.deleteFrom(table).execute()
    },
    async close() {
      await Promise.all([storage.close(), other.close(), raw.close()])
    },
  }
}

/** The code of the HubError that `work` ends with; `none` when it ends well. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
