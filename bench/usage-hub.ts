/** A hub whose recording can be switched: a line on stdin is `off`, `calls` (its calls are recorded) or a number (its calls are recorded, and others
 *  beside them, so that there are so many records a second in all). A line on stdout says what came of it, as soon as nothing of the mode before is left to be written. */

import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ActivityLog } from '../src/compose/activity.ts'
import { Standalone } from '../src/compose/standalone.ts'
import { DEFAULT_ACTIVITY_RULES } from '../src/domain/activity.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { createLogger } from '../src/kernel/logger.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { LogLines } from '../src/observability/log-lines.ts'
import { Redactor } from '../src/observability/redaction.ts'
import { readTargets } from '../src/state/storage/dsn.ts'
import { Storage } from '../src/state/storage/storage.ts'

export type UsageCounts = { fed: number; written: number; lost: number; cpuMainMs: number; mode: string }

const feedEveryMs = 10
const [folder = '', settingsPath = ''] = process.argv.slice(2)
const log = createLogger('warn', process.stderr)
const parts = { clock: systemClock, random: systemRandom, log }
const storage = await Storage.open(readTargets({}, folder), parts)
const redactor = new Redactor()
redactor.setSecrets(Array.from({ length: 50 }, (_, n) => `secret-of-server-${n}-${systemRandom.id(96)}`))
const activity = new ActivityLog({
  store: storage.activity,
  redactor,
  dataDir: join(folder, 'data'),
  node: 'bench',
  environment: {},
  rules: () => DEFAULT_ACTIVITY_RULES,
  ...parts,
})
activity.start()

let mode = 'off'
let fed = 0
const hub = await Standalone.start(
  {
    host: '127.0.0.1',
    port: 0,
    dataDir: join(folder, 'data'),
    settingsPath,
    settingsOptional: false,
    allowedHosts: [],
    allowedOrigins: [],
    environment: process.env,
  },
  {
    ...parts,
    redactor,
    logs: new LogLines(),
    callLog: {
      keepsArguments: () => activity.calls.keepsArguments(),
      finished: (call) => {
        if (mode === 'off') return
        fed += 1
        activity.calls.finished(call)
      },
    },
  },
)
await hub.settled

/** Records like those of fifty users with twenty servers: like a call's, they are made anew of texts that are there already. */
const texts = Array.from({ length: 100 }, (_, n) => ({
  username: `user-${n % 50}`,
  keyId: `key-${n % 50}`,
  server: `server-${n % 20}`,
  tool: `tool-${n % 30}`,
  sessionId: `session-of-the-bench-${n}`,
}))

function feed(count: number): void {
  const timestamp = Date.now()
  for (let n = 0; n < count; n++, fed++) {
    const { username, keyId, server, tool, sessionId } = texts[fed % texts.length] as (typeof texts)[number]
    activity.recorder.usage({
      timestamp,
      username,
      keyId,
      server,
      tool,
      success: true,
      durationMs: 12,
      error: undefined,
      arguments: undefined,
      argumentsBytes: 0,
      ip: '127.0.0.1',
      userAgent: 'bench-client/1.0 (linux)',
      sessionId,
    })
  }
}

/** When the mode began, and what had been fed by then. */
let since = { at: performance.now(), fed }
setInterval(() => {
  const wanted = ((performance.now() - since.at) / 1000) * (Number(mode) || 0)
  feed(Math.max(0, Math.floor(wanted) - (fed - since.fed)))
}, feedEveryMs)

process.stdout.write(`listening http://127.0.0.1:${hub.port}/mcp/minimal\n`)
for await (const line of createInterface({ input: process.stdin })) {
  mode = line
  since = { at: performance.now(), fed }
  // A rate goes on; the other modes begin when the rest of the mode before is written.
  if (!Number(mode)) await activity.recorder.flush()
  const { written, dropped, rejected, spooled } = activity.recorder.status()
  const { user, system } = process.threadCpuUsage()
  const counts: UsageCounts = {
    mode,
    fed,
    written,
    lost: dropped + rejected + spooled,
    cpuMainMs: (user + system) / 1000,
  }
  process.stdout.write(`${JSON.stringify(counts)}\n`)
}
await hub.stop(0)
await activity.close()
await storage.close()
process.exit(0)
