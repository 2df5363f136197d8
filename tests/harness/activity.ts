import { join } from 'node:path'
import { ActivityLog } from '../../src/compose/activity.ts'
import { DEFAULT_ACTIVITY_RULES } from '../../src/domain/activity.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import { Redactor } from '../../src/observability/redaction.ts'
import { readTargets } from '../../src/state/storage/dsn.ts'
import { Storage } from '../../src/state/storage/storage.ts'
import { recordingLogger } from './recording-logger.ts'

export interface TestActivity {
  readonly storage: Storage
  readonly activity: ActivityLog
  /** Writes what waits, and closes the database. */
  close(): Promise<void>
}

/** Records of activity in a SQLite file of a folder, as a hub keeps them. */
export async function openActivity(
  folder: string,
  environment: Record<string, string> = {},
): Promise<TestActivity> {
  const { logger: log } = recordingLogger()
  const clock = systemClock
  const storage = await Storage.open(readTargets({}, folder), { clock, log })
  const activity = new ActivityLog({
    store: storage.activity,
    redactor: new Redactor(),
    dataDir: join(folder, 'data'),
    node: 'node-1',
    environment,
    clock,
    random: systemRandom,
    log,
    rules: () => DEFAULT_ACTIVITY_RULES,
  })
  activity.start()
  const close = async () => {
    await activity.close()
    await storage.close()
  }
  return { storage, activity, close }
}
