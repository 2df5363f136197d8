import { join } from 'node:path'
import type { ActivityRules } from '../domain/activity.ts'
import type { CallLog } from '../gateway/dispatch/call-log.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Random } from '../kernel/random.ts'
import { TaskGroup } from '../kernel/task-group.ts'
import { RecordIds } from '../observability/activity/ids.ts'
import type { ActivityStore } from '../observability/activity/ports.ts'
import { RecordMaker } from '../observability/activity/record-maker.ts'
import { ActivityRecorder, batchInterval } from '../observability/activity/recorder.ts'
import { Retention } from '../observability/activity/retention.ts'
import { Spool } from '../observability/activity/spool.ts'
import type { Redactor } from '../observability/redaction.ts'

export interface ActivityDeps {
  readonly store: ActivityStore
  readonly redactor: Redactor
  readonly dataDir: string
  /** The id of this node. */
  readonly node: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** The settings of the moment. */
  rules(): ActivityRules
}

/** What the hub remembers of what happens: written in batches, removed when it is old. */
export class ActivityLog {
  readonly recorder: ActivityRecorder
  /** What the gateway reports tool calls to. */
  readonly calls: CallLog
  readonly #retention: Retention
  readonly #tasks: TaskGroup

  constructor(deps: ActivityDeps) {
    const { clock, random, log, redactor, store } = deps
    this.#tasks = new TaskGroup(log)
    this.recorder = new ActivityRecorder({
      store,
      spool: new Spool({ folder: join(deps.dataDir, 'spool') }, log),
      maker: new RecordMaker(new RecordIds(clock, random), redactor, deps.node),
      clock,
      random,
      log,
      intervalMs: batchInterval(deps.environment),
    })
    this.calls = {
      keepsArguments: () => deps.rules().storeToolPayload,
      finished: (call) => this.recorder.usage(call),
    }
    this.#retention = new Retention({
      store,
      clock,
      log,
      days: () => {
        const { usageDays, accessDays, auditDays } = deps.rules()
        return { usage: usageDays, access: accessDays, audit: auditDays }
      },
    })
  }

  start(): void {
    this.recorder.start()
    this.#tasks.run('retention', (signal) => this.#retention.run(signal))
  }

  /** To be called when nothing reports any more, and before the store is closed. */
  async close(): Promise<void> {
    await this.#tasks.close()
    await this.recorder.close()
  }
}
